// quit_server PORT [HOST]: repeats each line until the client says quit.
#include "coax/coax.hpp"

using namespace std::chrono_literals;

coax::Task<> repeat(coax::Stream& client) {
  coax::Lines lines(client, {.pause = 200ms});
  while (auto line = co_await lines.next()) {
    if (line->text() == "quit") co_return co_await client.send("Goodbye!\n");
    const std::string reply = fmt::format("You said: {}\n", line->text());
    co_await client.send(reply);
  }
}

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: quit_server PORT [HOST]\n"), 2;
  return coax::run(coax::serve({.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])}, repeat));
}
