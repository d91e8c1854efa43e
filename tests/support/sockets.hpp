// Plain sockets of the kernel, for the peer of a tested socket and for calls that a stream does not have.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/net/endpoint.hpp"

namespace coax::test {

// Owns a descriptor.
class Native {
 public:
  explicit Native(int fd = -1) noexcept : fd_(fd) {}
  Native(Native&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Native& operator=(Native&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Native() { close(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  // The next close() sends a reset.
  void reset_on_close() const noexcept {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }

 private:
  int fd_;
};

inline Endpoint local_of(const Native& native) {
  NativeAddress address;
  socklen_t length = sizeof address.bytes;
  getsockname(native.get(), address.get(), &length);
  return Endpoint::from_native(address.get());
}

inline void set_socket_option(int native, int name, int value) noexcept {
  setsockopt(native, SOL_SOCKET, name, &value, sizeof value);
}

inline Native open_socket() {
  const int native = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (native < 0) throw Error(errno, "make a socket");
  return Native(native);
}

// Listens on a free port of 127.0.0.1.
inline Native listen_on_loopback(int backlog = 128, int buffer_bytes = 0) {
  Native listener = open_socket();
  if (buffer_bytes != 0) {
    set_socket_option(listener.get(), SO_SNDBUF, buffer_bytes);
    set_socket_option(listener.get(), SO_RCVBUF, buffer_bytes);
  }
  NativeAddress address;
  const socklen_t length = Endpoint::parse("127.0.0.1:0")->to_native(address);
  ::bind(listener.get(), address.get(), length);
  ::listen(listener.get(), backlog);
  return listener;
}

// Blocks; invalid when the connection was refused.
inline Native connect_to(const Endpoint& where, int buffer_bytes = 0) {
  Native native = open_socket();
  if (buffer_bytes != 0) {
    set_socket_option(native.get(), SO_SNDBUF, buffer_bytes);
    set_socket_option(native.get(), SO_RCVBUF, buffer_bytes);
  }
  NativeAddress address;
  const socklen_t length = where.to_native(address);
  if (::connect(native.get(), address.get(), length) != 0) native.close();
  return native;
}

struct NativePair {
  Native near;
  Native far;
};

// Connected over loopback TCP; both ends block. With small buffers sends are often partial.
inline NativePair native_tcp_pair(int buffer_bytes = 0) {
  const Native listener = listen_on_loopback(1, buffer_bytes);
  NativePair pair;
  pair.near = connect_to(local_of(listener), buffer_bytes);
  pair.far = Native(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return pair;
}

// Unix sockets without a name.
inline NativePair native_unix_pair(int buffer_bytes = 0) {
  std::array<int, 2> natives{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, natives.data()) != 0)
    throw Error(errno, "make a socket pair");
  NativePair pair{.near = Native(natives[0]), .far = Native(natives[1])};
  for (const int native : natives) {
    if (buffer_bytes != 0) set_socket_option(native, SO_SNDBUF, buffer_bytes);
  }
  return pair;
}

inline int set_nonblocking(Native native) noexcept {
  ::fcntl(native.get(), F_SETFL, O_NONBLOCK);
  return native.release();
}

// How many descriptors this process has open.
inline std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) throw Error(errno, "list", "/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;  // NOLINT(concurrency-mt-unsafe): no other thread uses the folder
  ::closedir(folder);
  return count;
}

}  // namespace coax::test
