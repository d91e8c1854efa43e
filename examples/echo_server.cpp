// echo_server PORT [HOST]: sends back what it receives, in pieces of at most 16 bytes, and prints them.
#include <array>

#include "coax/coax.hpp"

coax::Task<> echo(coax::Stream& client) {
  for (std::array<char, 16> buffer; const auto count = co_await client.recv(std::span(buffer));) {
    coax::print_line("received \"{}\"", coax::printable({buffer.data(), count}));
    co_await client.send({buffer.data(), count});
  }
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, echo); });
}
