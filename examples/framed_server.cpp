// framed_server PORT [HOST]: messages with a length prefix (32 bits, big endian); each is printed and sent back.
#include "coax/coax.hpp"

coax::Task<> repeat(coax::Stream& client) {
  coax::Frames frames(client, coax::Framing::length_prefixed());
  while (auto message = co_await frames.next()) {
    coax::print_line("Received: {}", coax::printable(*message));
    co_await frames.send(*message);
  }
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, repeat); });
}
