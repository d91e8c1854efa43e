// Multicast group membership as socket options, in the form that is the same for IPv4 and IPv6 (RFC 3678), for blocking
// sockets and loops.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "coax/net/address.hpp"

namespace coax {

// The arguments of setsockopt(2).
class MulticastOption {
 public:
  // Joins the group for any source, or for one; interface 0: the system chooses.
  static MulticastOption join(const Endpoint& group, unsigned interface, const std::optional<Endpoint>& source);
  static MulticastOption leave(const Endpoint& group, unsigned interface, const std::optional<Endpoint>& source);
  // The outgoing interface for multicast of a socket of that family.
  static MulticastOption interface(Family family, unsigned interface);

  [[nodiscard]] int level() const noexcept { return level_; }
  [[nodiscard]] int name() const noexcept { return name_; }
  [[nodiscard]] std::span<const std::byte> value() const noexcept { return std::span(bytes_).first(size_); }

 private:
  template <class T>
  MulticastOption(int level, int name, const T& value) noexcept;

  int level_;
  int name_;
  std::size_t size_;
  alignas(8) std::array<std::byte, 264> bytes_{};  // a group_source_req, the longest
};

}  // namespace coax
