// Channel: a connection of the load generator: a socket, with TLS on it (--tls) or without.
#pragma once

#include <poll.h>

#include <utility>

#include "bench/generator.hpp"
#include "bench/tls.hpp"

namespace bench {

class Channel {
 public:
  Channel() = default;
  explicit Channel(int fd, Ssl ssl) : fd_(fd), ssl_(std::move(ssl)) {}

  [[nodiscard]] int fd() const noexcept { return fd_; }

  // As send(2): -1 with EAGAIN when there is no room.
  [[nodiscard]] ssize_t send(std::string_view bytes) const {
    if (!ssl_) return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    std::size_t sent = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent);
    if (result == 1) return static_cast<ssize_t>(sent);
    if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_WRITE) fail_with_openssl("send");
    errno = EAGAIN;
    return -1;
  }

  // As ReceiveBuffer::drain().
  template <typename Take>
  bool drain(ReceiveBuffer& buffer, bool ended, const Take& take) const {
    if (!ssl_) return buffer.drain(fd_, ended, take);
    const std::span<char> into = buffer.bytes();
    while (true) {
      std::size_t got = 0;
      ERR_clear_error();
      const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
      if (result != 1) return SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ;
      if (!take(std::string_view(into.data(), got))) return false;
    }
  }

  void end_sending() const {
    if (ssl_) SSL_shutdown(ssl_.get());
    shutdown(fd_, SHUT_WR);
  }

  void close() {
    ssl_.reset();
    ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
  Ssl ssl_;
};

// Opens channels as the options of the command line tell.
class Connector {
 public:
  explicit Connector(const Options& options)
      : target_(options.target()), context_(options.has("tls") ? ssl_client_context() : nullptr) {}

  // After the handshake.
  [[nodiscard]] Channel open(std::size_t index) const {
    const int fd = connect_to(target_, index);
    if (!context_) return Channel(fd, nullptr);
    Ssl ssl = ssl_on(context_, fd, false);
    while (SSL_do_handshake(ssl.get()) != 1) wait_for_handshake(ssl.get(), fd);
    return Channel(fd, std::move(ssl));
  }

 private:
  static void wait_for_handshake(SSL* ssl, int fd) {
    constexpr int stall_ms = 10'000;
    if (SSL_get_error(ssl, -1) != SSL_ERROR_WANT_READ) fail_with_openssl("TLS handshake");
    pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&readable, 1, stall_ms) != 1) throw std::runtime_error("the server stalls in a TLS handshake");
  }

  sockaddr_in target_;
  SslContext context_;
};

}  // namespace bench
