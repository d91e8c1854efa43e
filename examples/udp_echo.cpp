// udp_echo PORT [HOST]: sends each datagram back to its sender, on the loop.
#include "coax/coax.hpp"

coax::Task<> echo(std::string at) {
  coax::DatagramTransport transport(at);
  while (true) {
    const coax::Datagram datagram = co_await transport.recv_from();
    co_await transport.reply(datagram, datagram.bytes);
  }
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](const coax::Arguments& given) { return echo(given.address()); });
}
