// Sockets: made, named and ended.
#include "coax/loop/sockets.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "coax/base/error.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

namespace {

void set_option(int native, int level, int name, int value) noexcept {
  setsockopt(native, level, name, &value, sizeof value);
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
  try {
    Listener listener(at, options);
    listener.set(options::no_delay, true);  // what is accepted inherits it
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
