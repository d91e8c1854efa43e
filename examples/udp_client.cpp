// udp_client HOST PORT [TEXT]: sends one datagram and prints the answer, with a time limit of five seconds.
#include "coax/coax.hpp"

void ask(const coax::Arguments& given) {
  coax::UdpSocket socket;
  socket.set_timeout(std::chrono::seconds(5));
  socket.connect(given.address());  // datagrams of others are dropped; refusals are errors
  socket.send(given.get("TEXT", "Hello from the client!"));
  coax::print_line("Received: {}", coax::printable(socket.recv()));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [TEXT]", ask); }
