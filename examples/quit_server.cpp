// quit_server PORT [HOST]: repeats each line until the client says quit.
#include "coax/coax.hpp"

coax::Task<> repeat(coax::Stream& client) {
  coax::Lines lines(client, {.pause = std::chrono::milliseconds(200)});
  while (auto line = co_await lines.next()) {
    if (line->text() == "quit") co_return co_await client.send("Goodbye!\n");
    const std::string reply = fmt::format("You said: {}\n", line->text());
    co_await client.send(reply);
  }
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, repeat); });
}
