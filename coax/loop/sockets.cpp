// Sockets: creation, addresses and shutdown.
#include "coax/loop/sockets.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "coax/base/error.hpp"
#include "coax/net/unix_path.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

namespace {

void set_option(int native, int level, int name, int value) noexcept {
  setsockopt(native, level, name, &value, sizeof value);
}

bool is_ip(Family family) noexcept { return family == Family::v4 || family == Family::v6; }

Address name_of(int native, int (*ask)(int, sockaddr*, socklen_t*)) noexcept {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (ask(native, reinterpret_cast<sockaddr*>(&name), &size) != 0) return {};
  return Address::from_native(std::as_bytes(std::span(&name, 1)).first(size));
}

}  // namespace

void Backend::discard(int native) noexcept { ::close(native); }

std::expected<int, int> make_socket(Family family, int flags) {
  const int native = ::socket(static_cast<int>(family), SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (native < 0) return std::unexpected(errno);
  // The loop flushes once per turn: Nagle's algorithm (RFC 896) would only add a delay.
  if (is_ip(family)) set_option(native, IPPROTO_TCP, TCP_NODELAY, 1);
  return native;
}

std::expected<int, int> make_listener(const Address& at, const ListenOptions& options, int flags) {
  try {
    std::optional<PathLock> lock;
    if (const auto name = at.unix_name()) {
      lock.emplace(*name);
      if (const int reason = remove_stale_socket(*name); reason != 0) return std::unexpected(reason);
    }
    Listener listener(at, options);
    if (is_ip(at.family())) listener.set(options::no_delay, true);  // accepted sockets inherit it
    listener.set_blocking((flags & SOCK_NONBLOCK) == 0);
    return listener.detach();
  } catch (const Error& error) {
    return std::unexpected(error.code().value());
  }
}

int shut_down_sending(int native) noexcept {
  if (::shutdown(native, SHUT_WR) == 0) return 0;
  return errno == ENOTCONN ? EPIPE : errno;
}

int get_option_of(int native, int level, int name, std::span<std::byte> value) noexcept {
  auto size = static_cast<socklen_t>(value.size());
  return getsockopt(native, level, name, value.data(), &size) == 0 ? 0 : errno;
}

int set_option_of(int native, const SocketOption& option) noexcept {
  const auto size = static_cast<socklen_t>(option.size);
  return setsockopt(native, option.level, option.name, option.value, size) == 0 ? 0 : errno;
}

std::expected<int, int> family_of(int native) noexcept {
  int family = 0;
  const int error = get_option_of(native, SOL_SOCKET, SO_DOMAIN, std::as_writable_bytes(std::span(&family, 1)));
  if (error != 0) return std::unexpected(error);
  return family;
}

Address local_of(int native) noexcept { return name_of(native, ::getsockname); }
Address peer_of(int native) noexcept { return name_of(native, ::getpeername); }

}  // namespace coax
