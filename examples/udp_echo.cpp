// udp_echo PORT [HOST]: gives each datagram back to whoever sent it, on the loop.
#include "coax/coax.hpp"

coax::Task<> echo(std::string at) {
  coax::DatagramTransport transport(at);
  while (true) {
    const coax::Datagram datagram = co_await transport.recv_from();
    co_await transport.send_to(datagram.bytes, datagram.from);
  }
}

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: udp_echo PORT [HOST]\n"), 2;
  return coax::run(echo(fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])));
}
