// Endpoint: an IP address with a port, IPv4 or IPv6. A value of 24 bytes; names are for the resolver.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/error.hpp"

struct sockaddr;

namespace coax {

class Endpoint {
 public:
  enum class Family : std::uint8_t { none, v4, v6 };

  constexpr Endpoint() noexcept = default;
  // "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80". Numeric only; anything else is nothing.
  static std::optional<Endpoint> parse(std::string_view text);
  // An address without a port: "127.0.0.1", "::1", "[::1]".
  static std::optional<Endpoint> from_ip(std::string_view address, std::uint16_t port);
  // Every address of this machine: "::", or "0.0.0.0" where the kernel has no IPv6.
  static Endpoint any(std::uint16_t port);
  // 4 or 16 bytes in network order; any other number gives an Endpoint of no family.
  static Endpoint from_address(std::span<const std::uint8_t> bytes, std::uint16_t port) noexcept;
  // Any other family than AF_INET and AF_INET6 gives an Endpoint of no family.
  static Endpoint from_native(const ::sockaddr* address) noexcept;
  // Fills what bind(2) and connect(2) take; returns its length.
  unsigned to_native(struct NativeAddress& out) const noexcept;

  [[nodiscard]] Family family() const noexcept { return family_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::uint32_t scope_id() const noexcept { return scope_; }  // of a link-local address: its interface
  [[nodiscard]] bool is_loopback() const noexcept;                          // 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104
  [[nodiscard]] bool is_wildcard() const noexcept;                          // 0.0.0.0, ::
  // What the address is for, as the IANA registries and Python's ipaddress have it. Shared addresses (100.64.0.0/10)
  // are neither private nor global. ::ffff:a.b.c.d counts as a.b.c.d.
  [[nodiscard]] bool is_private() const;  // not reachable from everywhere; loopback and documentation ones too
  [[nodiscard]] bool is_global() const;
  [[nodiscard]] bool is_link_local() const;
  [[nodiscard]] bool is_multicast() const;
  // The same without the port: one per host, for counting. ::ffff:a.b.c.d counts as a.b.c.d; IPv6 by its /64.
  [[nodiscard]] Endpoint host_key() const noexcept;
  // 4 or 16 bytes in network order; none without a family. Valid as long as the endpoint is.
  [[nodiscard]] std::span<const std::uint8_t> address() const noexcept {
    return std::span(address_).first(family_ == Family::v4 ? 4 : family_ == Family::v6 ? 16 : 0);
  }
  // ::ffff:a.b.c.d as a.b.c.d; anything else as it is.
  [[nodiscard]] Endpoint unmapped() const noexcept;
  [[nodiscard]] std::string ip() const;         // "127.0.0.1", "::1"
  [[nodiscard]] std::string to_string() const;  // "127.0.0.1:80", "[::1]:80"

  friend auto operator<=>(const Endpoint&, const Endpoint&) noexcept = default;

 private:
  [[nodiscard]] bool is_mapped_v4() const noexcept;

  std::array<std::uint8_t, 16> address_{};  // network order; v4 in the first four
  std::uint32_t scope_ = 0;
  std::uint16_t port_ = 0;
  Family family_ = Family::none;
};

// Room for any sockaddr that Endpoint knows.
struct NativeAddress {
  alignas(8) std::array<std::byte, 28> bytes{};
  [[nodiscard]] ::sockaddr* get() noexcept { return reinterpret_cast<::sockaddr*>(bytes.data()); }
};

// A port as digits alone, from 0 to 65535: no sign, no blank. Nothing when it is none.
std::optional<std::uint16_t> parse_port(std::string_view text) noexcept;

// What "HOST:PORT", "[V6]:PORT", ":PORT" and "HOST" say. The port is nothing when absent; port 0 is "any free one".
struct HostPort {
  std::string host;
  std::optional<std::uint16_t> port;
};
// A port that is no number from 0 to 65535, an empty text or a bare IPv6 address with a port is nothing.
std::optional<HostPort> parse_host_port(std::string_view text);

// A name that cannot be resolved; reason() is the resolver's EAI_ value (netdb.h), which the text spells out.
class ResolveError : public Error {
 public:
  ResolveError(int reason, std::string_view operation, std::string_view name);
  ResolveError(int reason, std::string_view operation, std::string_view name, std::string_view text);
  [[nodiscard]] int reason() const noexcept { return reason_; }

 private:
  int reason_;
};

// Blocks: numeric addresses at once, names through getaddrinfo(3), in its order (RFC 6724), of one family or, where it
// is none, of both; also of a family that this machine has no way out with. An empty host is the wildcard. "localhost"
// and names below it are the loopback addresses, and names below "invalid" do not exist, whatever a name server says
// (RFC 6761, sections 6.3 and 6.4). Throws ResolveError, or Error(address) when it is no name.
std::vector<Endpoint> resolve(const std::string& host, std::uint16_t port,
                              Endpoint::Family family = Endpoint::Family::none);

// "localhost", "a.localhost", either with a trailing dot.
bool is_loopback_name(std::string_view host) noexcept;
// Whether RFC 6761, section 6.4, says that there is no such name: "invalid" and the names below it.
bool is_invalid_name(std::string_view host) noexcept;
// The loopback addresses of one family or of both, IPv6 first.
std::vector<Endpoint> loopback_addresses(std::uint16_t port, Endpoint::Family family = Endpoint::Family::none);

// One of each family in turn, beginning with this one, or, where it is none, with that of the first; within a family in
// their order (RFC 8305, section 4).
std::vector<Endpoint> interleave_families(const std::vector<Endpoint>& addresses,
                                          Endpoint::Family first = Endpoint::Family::none);

}  // namespace coax
