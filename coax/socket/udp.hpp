// UdpSocket: a blocking datagram socket over IP; recv_from() and send_to() are Socket's.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "coax/socket/socket.hpp"

namespace coax {

class UdpSocket : public Socket {
 public:
  // For sending: gets a port with its first datagram.
  explicit UdpSocket(Family family = Family::v4) : Socket(family, SocketType::datagram) {}
  // For receiving at an address.
  explicit UdpSocket(const Address& at);
  // "127.0.0.1:5353", "[::]:5353"; an empty host is the IPv4 wildcard.
  explicit UdpSocket(std::string_view at) : UdpSocket(Address::of(at, at.starts_with('[') ? Family::v6 : Family::v4)) {}

  // Multicast (RFC 3376, RFC 3810): receives datagrams to the group, from any source or from one, on that interface
  // (interface_index() returns its number; 0: the system chooses). Ports are ignored. Throws: Error.
  void join(const Endpoint& group, unsigned interface = 0, const std::optional<Endpoint>& source = {});
  void leave(const Endpoint& group, unsigned interface = 0, const std::optional<Endpoint>& source = {});
  // The outgoing interface for multicast.
  void set_multicast_interface(unsigned interface);
};

}  // namespace coax
