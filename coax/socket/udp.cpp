// Multicast, in the form that is the same for IPv4 and IPv6 (RFC 3678).
#include "coax/socket/udp.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace coax {

namespace {

void copy_to(sockaddr_storage& out, const Endpoint& endpoint) {
  const Address address(endpoint);
  std::memcpy(&out, address.native().data(), address.native().size());
}

}  // namespace

void UdpSocket::join(const Endpoint& group, unsigned interface, const std::optional<Endpoint>& source) {
  change_membership(MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP, group, interface, source);
}

void UdpSocket::leave(const Endpoint& group, unsigned interface, const std::optional<Endpoint>& source) {
  change_membership(MCAST_LEAVE_GROUP, MCAST_LEAVE_SOURCE_GROUP, group, interface, source);
}

void UdpSocket::change_membership(int join_or_leave, int of_source, const Endpoint& group, unsigned interface,
                                  const std::optional<Endpoint>& source) {
  const int level = group.family() == Endpoint::Family::v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  if (source) {
    group_source_req request{};
    request.gsr_interface = interface;
    copy_to(request.gsr_group, group);
    copy_to(request.gsr_source, *source);
    set_option(level, of_source, std::as_bytes(std::span(&request, 1)));
    return;
  }
  group_req request{};
  request.gr_interface = interface;
  copy_to(request.gr_group, group);
  set_option(level, join_or_leave, std::as_bytes(std::span(&request, 1)));
}

void UdpSocket::set_multicast_interface(unsigned interface) {
  if (family() == Family::v6) return set(options::v6_multicast_interface, static_cast<int>(interface));
  ip_mreqn request{};
  request.imr_ifindex = static_cast<int>(interface);
  set_option(IPPROTO_IP, IP_MULTICAST_IF, std::as_bytes(std::span(&request, 1)));
}

}  // namespace coax
