// Address: any address for bind(2) or connect(2): an Endpoint, the name of a Unix socket, or another sockaddr.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "coax/net/endpoint.hpp"

namespace coax {

// AF_... of the kernel; other numbers can be cast to it.
enum class Family : int { none = 0, local = 1, v4 = 2, v6 = 10, vsock = 40 };

// SOCK_... of the kernel; other numbers can be cast to it. `stream | SocketType::non_blocking` makes a socket
// non-blocking.
enum class SocketType : int { stream = 1, datagram = 2, raw = 3, seqpacket = 5, non_blocking = 0x800 };
constexpr SocketType operator|(SocketType left, SocketType right) noexcept {
  return static_cast<SocketType>(static_cast<int>(left) | static_cast<int>(right));
}

// The name of a Unix socket (unix(7)): a path; an abstract name, whose first byte is NUL; or empty, for which bind()
// chooses an abstract one.
class UnixName {
 public:
  static constexpr std::size_t bytes_max = 107;  // of a path; of an abstract name without its NUL

  // Throws: Error(address) when it is too long, or a path with a NUL inside.
  explicit UnixName(std::string_view name);
  static UnixName abstract(std::string_view name) { return UnixName(std::string(1, '\0').append(name)); }

  [[nodiscard]] bool is_abstract() const noexcept { return name_.starts_with('\0'); }
  [[nodiscard]] const std::string& text() const noexcept { return name_; }  // with the NUL of an abstract name
  [[nodiscard]] std::string to_string() const;                              // "unix:/run/x", "unix:@name"

  friend bool operator==(const UnixName&, const UnixName&) noexcept = default;

 private:
  std::string name_;
};

class Address {
 public:
  Address() noexcept = default;  // without a family
  Address(const Endpoint& endpoint) noexcept;
  Address(const UnixName& name) noexcept;
  // An IPv6 endpoint with a flow label (RFC 6437). Throws: Error(invalid) when the label has more than 20 bits.
  static Address with_flow_label(const Endpoint& endpoint, std::uint32_t label);
  // An address of a virtual machine (vsock(7)).
  static Address vsock(std::uint32_t context_id, std::uint32_t port) noexcept;
  // A sockaddr of any kind, truncated to 128 bytes.
  static Address from_native(std::span<const std::byte> bytes) noexcept;

  // Parses "127.0.0.1:80", "name:80" (resolved, which blocks; the first address of that family), ":80" (the wildcard),
  // "<broadcast>:80", "unix:/path", "unix:@abstract".
  // Throws: Error(invalid) for any other text, Error(address) when there is no such address.
  static Address of(std::string_view text, Family family);
  // The same without a resolver, so without blocking, for listening: the wildcard is that of both families.
  // Throws: Error(invalid) for a name, too; `operation` is for its message.
  static Address of_literal(std::string_view text, std::string_view operation);

  [[nodiscard]] Family family() const noexcept {
    std::uint16_t family = 0;  // a sa_family_t, with which every sockaddr begins
    if (size_ >= sizeof family) std::memcpy(&family, bytes_.data(), sizeof family);
    return static_cast<Family>(family);
  }
  [[nodiscard]] Endpoint endpoint() const noexcept;  // without a family when it is not an IP address
  [[nodiscard]] std::optional<UnixName> unix_name() const;
  [[nodiscard]] std::uint32_t flow_label() const noexcept;
  // The sockaddr. Lifetime: that of the address.
  [[nodiscard]] std::span<const std::byte> native() const noexcept { return std::span(bytes_).first(size_); }
  [[nodiscard]] const ::sockaddr* get() const noexcept { return reinterpret_cast<const ::sockaddr*>(bytes_.data()); }
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Address& left, const Address& right) noexcept;

 private:
  alignas(8) std::array<std::byte, 128> bytes_{};
  std::size_t size_ = 0;
};

// Advice for an address that cannot be bound or listened on; may be empty. For a path it checks which file exists.
std::string_view listen_advice(int errno_value, const Address& at);
// Advice for an address that cannot be connected or sent to; may be empty.
std::string_view connect_advice(int errno_value, const Address& to);

}  // namespace coax
