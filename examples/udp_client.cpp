// udp_client HOST PORT [TEXT]: sends one datagram and prints the answer, for which it waits at most five seconds.
#include "coax/coax.hpp"

using namespace std::chrono_literals;

int main(int argc, char** argv) try {
  if (argc < 3) return fmt::print(stderr, "usage: udp_client HOST PORT [TEXT]\n"), 2;
  coax::UdpSocket socket;
  socket.set_timeout(5s);
  socket.connect(fmt::format("{}:{}", argv[1], argv[2]));  // from others nothing comes through; refusals are told
  socket.send(std::string(argc > 3 ? argv[3] : "Hello from the client!"));
  fmt::print("Received: {}\n", coax::printable(socket.recv()));
} catch (const coax::Error& error) {
  return fmt::print(stderr, "udp_client: {}\n", error.what()), 1;
}
