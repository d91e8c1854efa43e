// Endpoint: an IP address with a port, IPv4 or IPv6, as a value of 24 bytes. resolve() turns names into endpoints.
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
  // Parses "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80". Numeric only; nothing for any other text.
  static std::optional<Endpoint> parse(std::string_view text);
  // An address without a port: "127.0.0.1", "::1", "[::1]".
  static std::optional<Endpoint> from_ip(std::string_view address, std::uint16_t port);
  // The wildcard: "::", or "0.0.0.0" where the kernel has no IPv6.
  static Endpoint any(std::uint16_t port);
  // 4 or 16 bytes in network order; any other number returns an Endpoint without a family.
  static Endpoint from_address(std::span<const std::uint8_t> bytes, std::uint16_t port) noexcept;
  // Any other family than AF_INET and AF_INET6 returns an Endpoint without a family.
  static Endpoint from_native(const ::sockaddr* address) noexcept;
  // Fills the sockaddr for bind(2) and connect(2); returns its length.
  unsigned to_native(struct NativeAddress& out) const noexcept;

  [[nodiscard]] Family family() const noexcept { return family_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::uint32_t scope_id() const noexcept { return scope_; }  // the interface of a link-local address
  [[nodiscard]] bool is_loopback() const noexcept;                          // 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104
  [[nodiscard]] bool is_wildcard() const noexcept;                          // 0.0.0.0, ::
  // The purpose of the address, by the IANA registries and as in Python's ipaddress. Shared addresses (100.64.0.0/10)
  // are neither private nor global. ::ffff:a.b.c.d counts as a.b.c.d.
  [[nodiscard]] bool is_private() const;  // not globally reachable; includes loopback and documentation addresses
  [[nodiscard]] bool is_global() const;
  [[nodiscard]] bool is_link_local() const;
  [[nodiscard]] bool is_multicast() const;
  // The host without the port, for limits per host: an IPv6 address by its /64. ::ffff:a.b.c.d counts as a.b.c.d.
  [[nodiscard]] Endpoint host_key() const noexcept;
  // 4 or 16 bytes in network order; empty without a family. Lifetime: that of the endpoint.
  [[nodiscard]] std::span<const std::uint8_t> address() const noexcept {
    return std::span(address_).first(family_ == Family::v4 ? 4 : family_ == Family::v6 ? 16 : 0);
  }
  // ::ffff:a.b.c.d as a.b.c.d; any other address unchanged.
  [[nodiscard]] Endpoint unmapped() const noexcept;
  [[nodiscard]] std::string ip() const;         // "127.0.0.1", "::1"
  [[nodiscard]] std::string to_string() const;  // "127.0.0.1:80", "[::1]:80"

  friend auto operator<=>(const Endpoint&, const Endpoint&) noexcept = default;

 private:
  [[nodiscard]] bool is_mapped_v4() const noexcept;

  std::array<std::uint8_t, 16> address_{};  // network order; IPv4 in the first four
  std::uint32_t scope_ = 0;
  std::uint16_t port_ = 0;
  Family family_ = Family::none;
};

// A buffer for any sockaddr of an Endpoint.
struct NativeAddress {
  alignas(8) std::array<std::byte, 28> bytes{};
  [[nodiscard]] ::sockaddr* get() noexcept { return reinterpret_cast<::sockaddr*>(bytes.data()); }
};

// A port in digits, from 0 to 65535, without a sign or blank. Nothing for any other text.
std::optional<std::uint16_t> parse_port(std::string_view text) noexcept;

// The parts of "HOST:PORT", "[V6]:PORT", ":PORT" and "HOST". The port is empty when absent; port 0 means any free one.
struct HostPort {
  std::string host;
  std::optional<std::uint16_t> port;
};
// Nothing for an empty text, a port that is not a number from 0 to 65535, or a bare IPv6 address with a port.
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

// Resolves a host, for one family or, without one, for both; it blocks. Numeric addresses are returned at once, names
// go through getaddrinfo(3), in its order (RFC 6724), including families without a route. An empty host is the
// wildcard. "localhost" and names below it are the loopback addresses, and names below "invalid" do not exist, whatever
// a name server answers (RFC 6761, sections 6.3 and 6.4).
// Throws: ResolveError; Error(address) when it is not a valid name.
std::vector<Endpoint> resolve(const std::string& host, std::uint16_t port,
                              Endpoint::Family family = Endpoint::Family::none);

// "localhost", "a.localhost", either with a trailing dot.
bool is_loopback_name(std::string_view host) noexcept;
// Whether the name is "invalid" or below it, and so does not exist (RFC 6761, section 6.4).
bool is_invalid_name(std::string_view host) noexcept;
// The loopback addresses of one family or of both, IPv6 first.
std::vector<Endpoint> loopback_addresses(std::uint16_t port, Endpoint::Family family = Endpoint::Family::none);

// Alternates the families, beginning with this one or, without one, with that of the first address. The order within a
// family is kept (RFC 8305, section 4).
std::vector<Endpoint> interleave_families(const std::vector<Endpoint>& addresses,
                                          Endpoint::Family first = Endpoint::Family::none);

}  // namespace coax
