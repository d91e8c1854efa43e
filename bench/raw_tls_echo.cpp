// raw_tls_echo PORT CERT KEY [--http]: the limit of an echo server over TLS: OpenSSL directly on sockets and epoll,
// with as few system calls as that allows. With --http it answers each GET with the same bytes instead, the limit of
// HTTPS.
#include "bench/tls.hpp"

namespace {

// As raw_http's.
constexpr std::string_view response =
    "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Length: 12\r\n"
    "X-Content-Type-Options: nosniff\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello world!";
constexpr std::size_t record_bytes_max = 16384;

class Echo {
 public:
  Echo(const std::string& certificate, const std::string& key, bool http)
      : context_(bench::ssl_server_context(certificate, key)), http_(http), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    bench::check(epoll_, "epoll_create1");
  }

  [[noreturn]] void run(int listener) {
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);
    std::array<epoll_event, 1024> events{};
    while (true) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int at = 0; at < count; ++at) {
        const int fd = events[static_cast<std::size_t>(at)].data.fd;
        if (fd == listener) {
          accept_all(listener);
        } else if (Connection& connection = connections_[static_cast<std::size_t>(fd)]; !serve(connection, fd)) {
          connection = {};
          close(fd);
        }
      }
    }
  }

 private:
  struct Connection {
    bench::Ssl ssl;
    std::string unsent;
  };

  void watch(int fd, int operation, std::uint32_t events) const {
    epoll_event event{.events = events, .data = {.fd = fd}};
    bench::check(epoll_ctl(epoll_, operation, fd, &event), "epoll_ctl");
  }

  void accept_all(int listener) {
    int fd = -1;
    while ((fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
      if (connections_.size() <= static_cast<std::size_t>(fd)) connections_.resize(static_cast<std::size_t>(fd) + 1);
      connections_[static_cast<std::size_t>(fd)] = {.ssl = bench::ssl_on(context_, fd, true), .unsent = {}};
      watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
  }

  // Level-triggered: a read that would only tell that there is nothing more is left out. Returns: false to close it.
  bool serve(Connection& connection, int fd) {
    SSL* const ssl = connection.ssl.get();
    ERR_clear_error();
    if (SSL_is_init_finished(ssl) == 0) {
      const int result = SSL_do_handshake(ssl);
      if (result != 1) return SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
      if (SSL_has_pending(ssl) == 0) return true;
    }
    if (!connection.unsent.empty()) {
      std::string waiting;
      waiting.swap(connection.unsent);
      if (!send(connection, waiting)) return false;
      if (!connection.unsent.empty()) return true;
      watch(fd, EPOLL_CTL_MOD, EPOLLIN);
    }
    while (true) {
      const int got = SSL_read(ssl, buffer_.data(), static_cast<int>(buffer_.size()));
      if (got <= 0) return ended(ssl, got);
      const auto size = static_cast<std::size_t>(got);
      if (!send(connection, answer({buffer_.data(), size}))) return false;
      if (!connection.unsent.empty()) {  // the peer must read first
        watch(fd, EPOLL_CTL_MOD, EPOLLOUT);
        return true;
      }
      if (size < record_bytes_max && SSL_has_pending(ssl) == 0) return true;
    }
  }

  static bool ended(SSL* ssl, int result) {
    const int error = SSL_get_error(ssl, result);
    if (error == SSL_ERROR_ZERO_RETURN) SSL_shutdown(ssl);
    return error == SSL_ERROR_WANT_READ;
  }

  std::string_view answer(std::string_view bytes) {
    constexpr std::string_view request_end = "\r\n\r\n";
    if (!http_) return bytes;
    if (!bytes.ends_with(request_end)) throw std::runtime_error("a request in two records");
    answers_.clear();
    for (std::size_t end = 0; (end = bytes.find(request_end, end)) != std::string_view::npos; end += 4) {
      answers_ += response;
    }
    return answers_;
  }

  static bool send(Connection& connection, std::string_view bytes) {
    while (!bytes.empty()) {
      std::size_t sent = 0;
      const int result = SSL_write_ex(connection.ssl.get(), bytes.data(), bytes.size(), &sent);
      if (result != 1) {
        connection.unsent.assign(bytes);
        return SSL_get_error(connection.ssl.get(), result) == SSL_ERROR_WANT_WRITE;
      }
      bytes.remove_prefix(sent);
    }
    return true;
  }

  bench::SslContext context_;
  bool http_;
  int epoll_;
  std::vector<Connection> connections_;  // by descriptor
  std::string answers_;
  std::vector<char> buffer_ = std::vector<char>(record_bytes_max);
};

}  // namespace

int main(int argc, char** argv) {
  return bench::guarded("raw_tls_echo", [&] {
    if (argc < 4) throw std::invalid_argument("usage: PORT CERT KEY [--http]");
    Echo echo(argv[2], argv[3], argc > 4 && std::string_view(argv[4]) == "--http");
    echo.run(bench::listen_on(bench::address_of("127.0.0.1", bench::number_of<std::uint16_t>(argv[1]))));
    return 0;
  });
}
