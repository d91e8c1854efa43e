// multicast_sender GROUP PORT [TEXT] [INTERFACE]: sends to a multicast group, and prints the answers within a second.
#include "coax/coax.hpp"
#include "coax/net/names.hpp"

void send(const coax::Arguments& given) {
  coax::UdpSocket socket;
  socket.set_timeout(std::chrono::seconds(1));
  if (!given["INTERFACE"].empty()) socket.set_multicast_interface(coax::interface_index(given["INTERFACE"]));
  socket.send_to(given.get("TEXT", "very important data"), given.address("GROUP"));
  try {
    while (true) {
      const coax::Datagram answer = socket.recv_from();
      coax::print_line("received \"{}\" from {}", coax::printable(answer.bytes), answer.from.endpoint().ip());
    }
  } catch (const coax::Error& error) {
    if (error.kind() != coax::ErrorKind::timed_out) throw;
  }
}

int main(int argc, char** argv) { return coax::program(argc, argv, "GROUP PORT [TEXT] [INTERFACE]", send); }
