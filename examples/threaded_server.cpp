// threaded_server PORT [HOST]: a thread for each client, which sends back what comes.
#include <thread>

#include "coax/coax.hpp"

using namespace std::chrono_literals;

void serve(coax::Socket client) try {
  client.set_timeout(60s);
  while (auto bytes = client.recv()) client.send(bytes);
} catch (const coax::Error& error) {
  fmt::print(stderr, "threaded_server: {}\n", error.what());
}

int main(int argc, char** argv) try {
  if (argc < 2) return fmt::print(stderr, "usage: threaded_server PORT [HOST]\n"), 2;
  coax::Listener listener(fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1]));
  while (true) try {
      std::thread(serve, listener.accept()).detach();
    } catch (const std::exception& error) {  // out of descriptors or threads: newcomers wait
      fmt::print(stderr, "threaded_server: {}\n", error.what());
      std::this_thread::sleep_for(100ms);
    }
} catch (const std::exception& error) {
  return fmt::print(stderr, "threaded_server: {}\n", error.what()), 1;
}
