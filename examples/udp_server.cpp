// udp_server PORT [HOST]: prints each datagram and answers it.
#include "coax/coax.hpp"

// Whoever cannot be answered is their own trouble: nobody else's.
void answer(coax::UdpSocket& socket) try {
  const coax::Datagram datagram = socket.recv_from();
  fmt::print("Received: {}\n", coax::printable(datagram.bytes));
  std::fflush(stdout);
  socket.send_to("Response from server", datagram.from);
} catch (const coax::Error& error) {
  fmt::print(stderr, "udp_server: {}\n", error.what());
}

int main(int argc, char** argv) try {
  if (argc < 2) return fmt::print(stderr, "usage: udp_server PORT [HOST]\n"), 2;
  coax::UdpSocket socket(fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1]));
  while (true) answer(socket);
} catch (const coax::Error& error) {
  return fmt::print(stderr, "udp_server: {}\n", error.what()), 1;
}
