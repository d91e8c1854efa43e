// UdpSocket: a blocking socket for datagrams over IP; recv_from() and send_to() are Socket's.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "coax/socket/socket.hpp"

namespace coax {

class UdpSocket : public Socket {
 public:
  // To send from: gets a port with its first datagram.
  explicit UdpSocket(Family family = Family::v4) : Socket(family, SocketType::datagram) {}
  // To receive at.
  explicit UdpSocket(const Address& at);
  // "127.0.0.1:5353", "[::]:5353"; a host that is empty is the IPv4 wildcard.
  explicit UdpSocket(std::string_view at) : UdpSocket(Address::of(at, at.starts_with('[') ? Family::v6 : Family::v4)) {}

  // Multicast (RFC 3376, RFC 3810): receives what is sent to the group, from anybody or from one source, on that
  // interface (interface_index() gives its number; 0: the system chooses). The ports do not matter. Throw Error.
  void join(const Endpoint& group, unsigned interface = 0, const std::optional<Endpoint>& source = {});
  void leave(const Endpoint& group, unsigned interface = 0, const std::optional<Endpoint>& source = {});
  // Through which interface it sends to groups.
  void set_multicast_interface(unsigned interface);
};

}  // namespace coax
