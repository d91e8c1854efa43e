// Multicast on blocking sockets.
#include "coax/socket/udp.hpp"

#include "coax/net/multicast.hpp"
#include "coax/net/packet_info.hpp"

namespace coax {

namespace {

void apply(Socket& socket, const MulticastOption& option) {
  socket.set_option(option.level(), option.name(), option.value());
}

}  // namespace

UdpSocket::UdpSocket(const Address& at) : UdpSocket(at.family()) {
  bind(at);
  packet_info::enable(native(), at);
}

void UdpSocket::join(const Endpoint& group, unsigned interface, const std::optional<Endpoint>& source) {
  apply(*this, MulticastOption::join(group, interface, source));
}

void UdpSocket::leave(const Endpoint& group, unsigned interface, const std::optional<Endpoint>& source) {
  apply(*this, MulticastOption::leave(group, interface, source));
}

void UdpSocket::set_multicast_interface(unsigned interface) {
  apply(*this, MulticastOption::interface(family(), interface));
}

}  // namespace coax
