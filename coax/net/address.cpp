// Conversion of addresses from and to sockaddr and text.
#include "coax/net/address.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

// After sys/socket.h, which it needs.
#include <linux/vm_sockets.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "coax/base/error.hpp"
#include "coax/net/unix_path.hpp"

namespace coax {

static_assert(static_cast<int>(Family::local) == AF_UNIX && static_cast<int>(Family::v4) == AF_INET &&
              static_cast<int>(Family::v6) == AF_INET6 && static_cast<int>(Family::vsock) == AF_VSOCK);
static_assert(sizeof(sa_family_t) == 2 && sizeof(sockaddr_storage) == 128 &&
              UnixName::bytes_max + 1 == sizeof(sockaddr_un::sun_path));

namespace {

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);
constexpr std::uint32_t flow_label_max = 0xfffff;

template <class T>
T as(std::span<const std::byte> bytes) noexcept {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

template <class T>
std::span<const std::byte> bytes_of(const T& value) noexcept {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

UnixName::UnixName(std::string_view name) : name_(name) {
  if (name.size() > bytes_max + (is_abstract() ? 1 : 0)) {
    throw Error(ErrorKind::address, "name", to_string(),
                fmt::format("AF_UNIX path too long: {} bytes, the kernel takes {}; choose a shorter one", name.size(),
                            bytes_max));
  }
  if (!is_abstract() && name.find('\0') != std::string_view::npos) {
    throw Error(ErrorKind::address, "name", to_string(), "a path has a NUL byte inside");
  }
}

std::string UnixName::to_string() const {
  std::string text = name_;
  std::ranges::replace(text, '\0', '@');
  return "unix:" + text;
}

Address::Address(const Endpoint& endpoint) noexcept {
  if (endpoint.family() == Endpoint::Family::none) return;
  NativeAddress native;
  size_ = endpoint.to_native(native);
  std::ranges::copy(native.bytes, bytes_.begin());
}

Address::Address(const UnixName& name) noexcept {
  const sa_family_t family = AF_UNIX;
  std::memcpy(bytes_.data(), &family, sizeof family);
  std::ranges::copy(std::as_bytes(std::span(name.text())), bytes_.begin() + path_offset);
  // The NUL after a path counts; an abstract name has no NUL at its end.
  size_ = path_offset + name.text().size() + (name.text().empty() || name.is_abstract() ? 0 : 1);
}

Address Address::with_flow_label(const Endpoint& endpoint, std::uint32_t label) {
  if (label > flow_label_max || endpoint.family() != Endpoint::Family::v6) {
    throw Error(ErrorKind::invalid, "name", endpoint.to_string(), "a flow label has 20 bits and belongs to IPv6");
  }
  auto in = as<sockaddr_in6>(Address(endpoint).native());
  in.sin6_flowinfo = htonl(label);
  return from_native(bytes_of(in));
}

Address Address::vsock(std::uint32_t context_id, std::uint32_t port) noexcept {
  sockaddr_vm vm{};
  vm.svm_family = AF_VSOCK;
  vm.svm_cid = context_id;
  vm.svm_port = port;
  return from_native(bytes_of(vm));
}

Address Address::from_native(std::span<const std::byte> bytes) noexcept {
  Address address;
  address.size_ = std::min(bytes.size(), address.bytes_.size());
  std::ranges::copy(bytes.first(address.size_), address.bytes_.begin());
  return address;
}

Address Address::of(std::string_view text, Family family) {
  if (family == Family::local || text.starts_with("unix:")) {
    const std::string_view given = text;
    if (text.starts_with("unix:")) text.remove_prefix(5);
    if (text.empty() || text == "@") throw Error(ErrorKind::invalid, "resolve", given, "give unix:/PATH or unix:@NAME");
    return text.starts_with('@') ? UnixName::abstract(text.substr(1)) : UnixName(text);
  }
  const auto target = parse_host_port(text);
  if (!target || !target->port) {
    throw Error(ErrorKind::invalid, "resolve", text, "give HOST:PORT, an IPv6 address as [ADDRESS]:PORT");
  }
  const bool is_v6 = family == Family::v6;
  if (target->host.empty() || target->host == "*") {
    return is_v6 ? Endpoint::any(*target->port) : *Endpoint::from_ip("0.0.0.0", *target->port);
  }
  if (target->host == "<broadcast>") return *Endpoint::from_ip("255.255.255.255", *target->port);
  for (const Endpoint& endpoint : resolve(target->host, *target->port)) {
    if ((endpoint.family() == Endpoint::Family::v6) == is_v6) return endpoint;
  }
  throw Error(ErrorKind::address, "resolve", text, is_v6 ? "it has no IPv6 address" : "it has no IPv4 address");
}

Address Address::of_literal(std::string_view text, std::string_view operation) {
  if (text.starts_with("unix:")) return of(text, Family::local);
  const auto target = parse_host_port(text);
  if (target && target->port) {
    if (target->host.empty() || target->host == "*") return Endpoint::any(*target->port);
    if (const auto numeric = Endpoint::from_ip(target->host, *target->port)) return *numeric;
  }
  throw Error(ErrorKind::invalid, operation, text,
              "give ADDRESS:PORT, an IPv6 address as [ADDRESS]:PORT, or unix:PATH; a name has to go through look_up()");
}

Endpoint Address::endpoint() const noexcept { return size_ == 0 ? Endpoint() : Endpoint::from_native(get()); }

std::optional<UnixName> Address::unix_name() const {
  if (family() != Family::local) return std::nullopt;
  std::string_view name(reinterpret_cast<const char*>(bytes_.data()) + path_offset,
                        size_ < path_offset ? 0 : size_ - path_offset);
  if (!name.starts_with('\0')) name = name.substr(0, std::min(name.find('\0'), UnixName::bytes_max));
  return UnixName(name);
}

std::uint32_t Address::flow_label() const noexcept {
  return family() == Family::v6 ? ntohl(as<sockaddr_in6>(native()).sin6_flowinfo) & flow_label_max : 0;
}

std::string Address::to_string() const {
  switch (family()) {
    case Family::none: return {};
    case Family::v4:
    case Family::v6: return endpoint().to_string();
    case Family::local: return unix_name()->to_string();
    case Family::vsock: {
      const auto vm = as<sockaddr_vm>(native());
      return fmt::format("vsock:{}:{}", vm.svm_cid, vm.svm_port);
    }
  }
  return fmt::format("family {}", static_cast<int>(family()));
}

namespace {

std::string_view path_advice(int reason, const UnixName& name) {
  switch (reason) {
    case EADDRINUSE:
      return is_other_file(name) ? "that path is a file, not a socket: choose another path"
                                 : "another program listens there: stop it or choose another path";
    case ENOENT: return "its directory does not exist: create it first";
    case ENOTDIR: return "a part of the path is not a directory";
    case EACCES:
    case EPERM:
      return "this user may not create or replace a file there: choose another path, or change the rights of its "
             "directory";
    case EROFS: return "that file system cannot be written to: choose another path, such as one in /run";
    default: return {};
  }
}

}  // namespace

std::string_view connect_advice(int reason, const Address& address) {
  const Endpoint to = address.endpoint();
  const bool lacks_zone = to.family() == Endpoint::Family::v6 && to.is_link_local() && to.scope_id() == 0;
  if (reason != EINVAL || !lacks_zone) return {};
  return "a link-local address needs the interface that it is on, as in fe80::1%eth0 (ip link lists them)";
}

std::string_view listen_advice(int reason, const Address& address) {
  if (const auto name = address.unix_name()) return path_advice(reason, *name);
  const Endpoint at = address.endpoint();
  if (reason == EADDRINUSE) return "another program listens there: stop it or choose another port";
  if (reason == EACCES && at.port() != 0 && at.port() < 1024) {
    return "ports below 1024 are privileged: choose a higher one, or grant CAP_NET_BIND_SERVICE";
  }
  if (reason == EADDRNOTAVAIL) return "no interface of this machine has that address";
  if (reason == EAFNOSUPPORT) return "this machine has no IPv6: use an IPv4 address, 0.0.0.0 for all";
  return connect_advice(reason, address);
}

bool operator==(const Address& left, const Address& right) noexcept {
  return std::ranges::equal(left.native(), right.native());
}

}  // namespace coax
