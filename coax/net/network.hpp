// Network: an address block (CIDR, RFC 4632 and RFC 4291), for access rules.
#pragma once

#include <string>
#include <string_view>

#include "coax/net/endpoint.hpp"

namespace coax {

// Ports of endpoints are ignored; ::ffff:a.b.c.d counts as a.b.c.d.
class Network {
 public:
  // Parses "10.0.0.0/8", "2001:db8::/32", or a single address.
  // Throws: Error(address) with the reason, such as bits beyond the prefix (and what was probably meant).
  static Network parse(std::string_view text);
  // The block of that address with the given prefix length.
  static Network around(const Endpoint& address, unsigned prefix_length);

  [[nodiscard]] bool contains(const Endpoint& address) const noexcept;
  [[nodiscard]] bool contains(const Network& other) const noexcept;
  [[nodiscard]] bool overlaps(const Network& other) const noexcept { return contains(other) || other.contains(*this); }

  [[nodiscard]] const Endpoint& first() const noexcept { return first_; }  // the address of the network
  [[nodiscard]] Endpoint last() const noexcept;                            // the broadcast address in IPv4
  [[nodiscard]] unsigned prefix_length() const noexcept { return prefix_length_; }
  [[nodiscard]] Endpoint::Family family() const noexcept { return first_.family(); }
  [[nodiscard]] std::string to_string() const;  // "10.0.0.0/8"

  friend bool operator==(const Network&, const Network&) noexcept = default;

 private:
  Network(const Endpoint& first, unsigned prefix_length) noexcept : first_(first), prefix_length_(prefix_length) {}

  Endpoint first_;
  unsigned prefix_length_;
};

}  // namespace coax
