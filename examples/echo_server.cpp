// echo_server PORT [HOST]: sends back what comes in pieces of at most 16 bytes, and prints them.
#include "coax/coax.hpp"

coax::Task<> echo(coax::Stream& client) {
  std::array<char, 16> buffer;
  while (const auto count = co_await client.recv(std::span(buffer))) {
    const coax::Bytes piece(buffer.data(), count);
    fmt::print("received \"{}\"\n", coax::printable(piece));
    std::fflush(stdout);
    co_await client.send(piece);
  }
}

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: echo_server PORT [HOST]\n"), 2;
  return coax::run(coax::serve({.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])}, echo));
}
