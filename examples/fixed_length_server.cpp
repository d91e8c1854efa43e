// fixed_length_server PORT [HOST]: messages of exactly 32 bytes, filled up with spaces; each is printed and sent back.
#include "coax/coax.hpp"

coax::Task<> repeat(coax::Stream& client) {
  coax::Frames frames(client, coax::Framing::fixed(32));
  while (auto message = co_await frames.next()) {
    coax::print_line("Received: {}", coax::printable(coax::trim(*message)));
    co_await frames.send(*message);
  }
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, repeat); });
}
