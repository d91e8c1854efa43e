// Sockets: made, named and ended.
#include "coax/loop/sockets.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace coax {

namespace {

void set_option(int native, int level, int name, int value) noexcept {
  setsockopt(native, level, name, &value, sizeof value);
}

void set_listener_options(int native, const Endpoint& at, const ListenOptions& options) noexcept {
  set_option(native, SOL_SOCKET, SO_REUSEADDR, 1);
  if (at.family() == Endpoint::Family::v6) {
    set_option(native, IPPROTO_IPV6, IPV6_V6ONLY, options.dual_stack && at.is_wildcard() ? 0 : 1);
  }
  // What is accepted inherits this: make_socket() has set TCP_NODELAY, too.
  if (!options.keep_alive) return;
  set_option(native, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(native, IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set_option(native, IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set_option(native, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

}  // namespace

void Backend::discard(int native) noexcept { ::close(native); }

std::expected<int, int> make_socket(Endpoint::Family family, int flags) {
  const int native =
      ::socket(family == Endpoint::Family::v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (native < 0) return std::unexpected(errno);
  set_option(native, IPPROTO_TCP, TCP_NODELAY, 1);  // we flush once per turn: nothing is gained by the kernel waiting
  return native;
}

std::expected<int, int> make_listener(const Endpoint& at, const ListenOptions& options, int flags) {
  const auto native = make_socket(at.family(), flags);
  if (!native) return native;
  set_listener_options(*native, at, options);
  NativeAddress address;
  const socklen_t length = at.to_native(address);
  if (::bind(*native, address.get(), length) == 0 && ::listen(*native, options.backlog) == 0) return native;
  const int reason = errno;
  ::close(*native);
  return std::unexpected(reason);
}

int shut_down_sending(int native) noexcept {
  if (::shutdown(native, SHUT_WR) == 0) return 0;
  return errno == ENOTCONN ? EPIPE : errno;
}

int set_option_of(int native, const SocketOption& option) noexcept {
  const auto size = static_cast<socklen_t>(option.size);
  return setsockopt(native, option.level, option.name, option.value, size) == 0 ? 0 : errno;
}

Endpoint local_of(int native) noexcept {
  NativeAddress address;
  socklen_t length = sizeof address.bytes;
  return getsockname(native, address.get(), &length) == 0 ? Endpoint::from_native(address.get()) : Endpoint();
}

Endpoint peer_of(int native) noexcept {
  NativeAddress address;
  socklen_t length = sizeof address.bytes;
  return getpeername(native, address.get(), &length) == 0 ? Endpoint::from_native(address.get()) : Endpoint();
}

}  // namespace coax
