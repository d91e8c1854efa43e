// IP_PKTINFO and IPV6_PKTINFO, read and written.
#include "coax/net/packet_info.hpp"

#include <cstring>

namespace coax::packet_info {

namespace {

template <class T>
Endpoint endpoint_of(const T& native) noexcept {
  return Endpoint::from_native(reinterpret_cast<const sockaddr*>(&native));
}

Endpoint read_v4(const cmsghdr& control) noexcept {
  in_pktinfo info{};
  std::memcpy(&info, CMSG_DATA(&control), sizeof info);
  sockaddr_in native{};
  native.sin_family = AF_INET;
  native.sin_addr = info.ipi_spec_dst;
  return endpoint_of(native);
}

Endpoint read_v6(const cmsghdr& control) noexcept {
  in6_pktinfo info{};
  std::memcpy(&info, CMSG_DATA(&control), sizeof info);
  sockaddr_in6 native{};
  native.sin6_family = AF_INET6;
  native.sin6_addr = info.ipi6_addr;
  if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) native.sin6_scope_id = info.ipi6_ifindex;
  const Endpoint at = endpoint_of(native).unmapped();
  return at.is_multicast() ? Endpoint() : at;
}

template <class T>
std::size_t put(std::span<char> control, int level, int type, const T& info) noexcept {
  std::memset(control.data(), 0, CMSG_SPACE(sizeof info));
  auto* const header = reinterpret_cast<cmsghdr*>(control.data());
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
  return CMSG_SPACE(sizeof info);
}

}  // namespace

void enable(int native, const Address& at) noexcept {
  if (!at.endpoint().is_wildcard()) return;
  const int on = 1;
  // A socket of both families needs it, too: only this form names the local address for replies to a broadcast.
  ::setsockopt(native, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  if (at.family() == Family::v6) ::setsockopt(native, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
}

Endpoint read(const ::msghdr& message) noexcept {
  auto* const all = const_cast<::msghdr*>(&message);  // the macros expect a pointer that is not const
  Endpoint at;
  for (cmsghdr* control = CMSG_FIRSTHDR(all); control != nullptr; control = CMSG_NXTHDR(all, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) return read_v4(*control);
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) at = read_v6(*control);
  }
  return at;
}

std::size_t write(std::span<char> control, const Endpoint& from) noexcept {
  const Endpoint source = from.unmapped();
  const auto address = source.address();
  if (source.family() == Endpoint::Family::v4) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, address.data(), sizeof info.ipi_spec_dst);
    return put(control, IPPROTO_IP, IP_PKTINFO, info);
  }
  if (source.family() == Endpoint::Family::v6) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, address.data(), sizeof info.ipi6_addr);
    info.ipi6_ifindex = source.scope_id();
    return put(control, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
  return 0;
}

}  // namespace coax::packet_info
