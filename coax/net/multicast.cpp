// Multicast options.
#include "coax/net/multicast.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace coax {

namespace {

void copy_to(sockaddr_storage& out, const Endpoint& endpoint) {
  const Address address(endpoint);
  std::memcpy(&out, address.native().data(), address.native().size());
}

int level_of(const Endpoint& group) { return group.family() == Endpoint::Family::v6 ? IPPROTO_IPV6 : IPPROTO_IP; }

group_req from_anybody(const Endpoint& group, unsigned interface) {
  group_req request{};
  request.gr_interface = interface;
  copy_to(request.gr_group, group);
  return request;
}

group_source_req from_one(const Endpoint& group, unsigned interface, const Endpoint& source) {
  group_source_req request{};
  request.gsr_interface = interface;
  copy_to(request.gsr_group, group);
  copy_to(request.gsr_source, source);
  return request;
}

}  // namespace

template <class T>
MulticastOption::MulticastOption(int level, int name, const T& value) noexcept
    : level_(level), name_(name), size_(sizeof value) {
  static_assert(sizeof value <= sizeof bytes_);
  std::memcpy(bytes_.data(), &value, sizeof value);
}

MulticastOption MulticastOption::join(const Endpoint& group, unsigned interface,
                                      const std::optional<Endpoint>& source) {
  if (source) return {level_of(group), MCAST_JOIN_SOURCE_GROUP, from_one(group, interface, *source)};
  return {level_of(group), MCAST_JOIN_GROUP, from_anybody(group, interface)};
}

MulticastOption MulticastOption::leave(const Endpoint& group, unsigned interface,
                                       const std::optional<Endpoint>& source) {
  if (source) return {level_of(group), MCAST_LEAVE_SOURCE_GROUP, from_one(group, interface, *source)};
  return {level_of(group), MCAST_LEAVE_GROUP, from_anybody(group, interface)};
}

MulticastOption MulticastOption::interface(Family family, unsigned interface) {
  if (family == Family::v6) return {IPPROTO_IPV6, IPV6_MULTICAST_IF, static_cast<int>(interface)};
  ip_mreqn request{};
  request.imr_ifindex = static_cast<int>(interface);
  return {IPPROTO_IP, IP_MULTICAST_IF, request};
}

}  // namespace coax
