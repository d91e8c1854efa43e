// The local address of a datagram: which one it reached, and which one its answer leaves from. On a socket bound to a
// wildcard the kernel would else choose the latter by its routes, and a peer that asked 127.0.0.2 is answered by
// 127.0.0.1, which a connected socket does not accept.
// Source: ip(7) IP_PKTINFO; RFC 3542, section 6.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <span>

#include "coax/net/address.hpp"

namespace coax::packet_info {

// Room for it among the control messages of a datagram, either way.
// Over IPv4, a socket of both families gets it in both forms.
inline constexpr std::size_t space = CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo));

// Asks the kernel for it where `at`, which the socket is bound to, is a wildcard; else there is nothing to ask.
void enable(int native, const Address& at) noexcept;
// Returns: the address, without a port, that the datagram reached; of a group's or a broadcast datagram over IPv4, the
// local one that can answer it. Of no family when the kernel did not say, or when it cannot be a source.
Endpoint read(const ::msghdr& message) noexcept;
// Appends a control message that makes `from` the source.
// Returns: how much of `control` it takes; 0 when `from` is of no family.
std::size_t write(std::span<char> control, const Endpoint& from) noexcept;

}  // namespace coax::packet_info
