// The local address of a datagram: the one at which it arrived, and the source of its reply. On a socket bound to a
// wildcard the kernel would choose the source by its routes: a query to 127.0.0.2 would be answered from 127.0.0.1,
// which a connected client does not accept.
// Source: ip(7) IP_PKTINFO; RFC 3542, section 6.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <span>

#include "coax/net/address.hpp"

namespace coax::packet_info {

// The space for it among the control messages of a datagram, either way. Over IPv4, a socket of both families receives
// both forms.
inline constexpr std::size_t space = CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo));

// Enables it where `at`, which the socket is bound to, is a wildcard; otherwise it is not needed.
void enable(int native, const Address& at) noexcept;
// Returns: the local address, without a port, at which the datagram arrived; for multicast and broadcast over IPv4, the
// local address for a reply. Without a family when the kernel did not report it, or when it cannot be a source.
Endpoint read(const ::msghdr& message) noexcept;
// Appends a control message that makes `from` the source.
// Returns: the bytes used of `control`; 0 when `from` has no family.
std::size_t write(std::span<char> control, const Endpoint& from) noexcept;

}  // namespace coax::packet_info
