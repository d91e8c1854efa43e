// tcp_server PORT [HOST]: prints each received line and greets; for clients without line ends, a pause ends a line.
#include "coax/coax.hpp"

coax::Task<> greet(coax::Stream& client) {
  coax::Lines lines(client, {.pause = std::chrono::milliseconds(200)});
  while (auto line = co_await lines.next()) {
    coax::print_line("Received: {}", coax::printable(*line));
    co_await client.send("Hello from the server!");
  }
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, greet); });
}
