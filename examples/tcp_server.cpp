// tcp_server PORT [HOST]: prints each line that comes and greets; for clients without line ends, a pause is one.
#include "coax/coax.hpp"

using namespace std::chrono_literals;

coax::Task<> greet(coax::Stream& client) {
  coax::Lines lines(client, {.pause = 200ms});
  while (auto line = co_await lines.next()) {
    fmt::print("Received: {}\n", coax::printable(*line));
    std::fflush(stdout);
    co_await client.send("Hello from the server!");
  }
}

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: tcp_server PORT [HOST]\n"), 2;
  return coax::run(coax::serve({.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])}, greet));
}
