// multicast_receiver GROUP PORT [INTERFACE]: joins the group, prints and acknowledges the datagrams.
#include "coax/coax.hpp"
#include "coax/net/names.hpp"

void receive(const coax::Arguments& given) {
  coax::UdpSocket socket;
  socket.set(coax::options::reuse_address, true);  // several on one machine
  socket.bind(given.address("GROUP"));             // only datagrams to this group on that port
  const std::string_view interface = given["INTERFACE"];
  socket.join(socket.local().endpoint(), interface.empty() ? 0 : coax::interface_index(interface));
  coax::forever([&] {
    const coax::Datagram datagram = socket.recv_from();
    coax::print_line("received \"{}\"", coax::printable(datagram.bytes));
    socket.reply(datagram, "ack");
  });
}

int main(int argc, char** argv) { return coax::program(argc, argv, "GROUP PORT [INTERFACE]", receive); }
