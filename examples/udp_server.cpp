// udp_server PORT [HOST]: prints each datagram and answers it. A client that cannot be answered affects no other.
#include "coax/coax.hpp"

void serve(const coax::Arguments& given) {
  coax::UdpSocket socket(given.address());
  coax::forever([&] {
    const coax::Datagram datagram = socket.recv_from();
    coax::print_line("Received: {}", coax::printable(datagram.bytes));
    socket.reply(datagram, "Response from server");
  });
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }
