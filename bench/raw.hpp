// The common part of the raw servers and the load generator: raw sockets and epoll, without the library, so that the
// limit and the load generator do not change with it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace bench {

constexpr std::uint32_t ended_events = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

[[noreturn]] inline void fail_with_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

inline int check(int result, const char* what) {
  if (result < 0) fail_with_errno(what);
  return result;
}

template <typename Number>
Number number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw std::invalid_argument("not a number: " + std::string(text));
  }
  return number;
}

inline sockaddr_in address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::invalid_argument("not an IPv4 address: " + host);
  }
  return address;
}

inline const sockaddr* generic(const sockaddr_in& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

inline void set_no_delay(int fd) {
  const int on = 1;
  check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

inline int listen_on(const sockaddr_in& address, bool reuse_port = false) {
  const int fd = check(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  if (reuse_port) check(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
  set_no_delay(fd);  // inherited by what is accepted
  check(bind(fd, generic(address), sizeof address), "bind");
  check(listen(fd, 4096), "listen");
  return fd;
}

// Edge-triggered; each descriptor is registered once, for both directions.
class Epoll {
 public:
  Epoll() : epoll_(check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {}
  Epoll(const Epoll&) = delete;
  Epoll& operator=(const Epoll&) = delete;
  ~Epoll() { close(epoll_); }

  void add(int fd, std::uint32_t tag) const {
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u32 = tag}};
    check(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }
  // timeout_ms -1: without a limit.
  std::span<const epoll_event> wait(int timeout_ms) {
    const int count = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), timeout_ms);
    if (count < 0 && errno != EINTR) fail_with_errno("epoll_wait");
    return {events_.data(), count < 0 ? 0U : static_cast<std::size_t>(count)};
  }
  // Busy-polls for 50 us before it sleeps: sleeping and waking up takes 30.
  std::span<const epoll_event> spin() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
    do {
      if (const auto events = wait(0); !events.empty()) return events;
    } while (std::chrono::steady_clock::now() < until);
    return wait(-1);
  }

 private:
  int epoll_;
  std::array<epoll_event, 1024> events_{};
};

// One receive buffer for all connections of a program.
class ReceiveBuffer {
 public:
  // Reads until the socket is empty or `take` returns false. A read of less than was asked for has emptied it, which
  // saves a read that returns EAGAIN; after an announced end it reads up to the end. Returns: false at the end, on
  // errors, and when `take` does.
  template <typename Take>
  bool drain(int fd, bool ended, const Take& take) {
    while (true) {
      const ssize_t got = recv(fd, bytes_.data(), bytes_.size(), 0);
      if (got < 0 && errno == EAGAIN) return true;
      if (got <= 0) return false;
      const auto count = static_cast<std::size_t>(got);
      if (!take(std::string_view(bytes_.data(), count))) return false;
      if (count < bytes_.size() && !ended) return true;
    }
  }
  [[nodiscard]] std::span<char> bytes() noexcept { return bytes_; }

 private:
  std::vector<char> bytes_ = std::vector<char>(512UL << 10);
};

// Bytes that wait for a peer that does not read. False: the peer has disconnected.
class Unsent {
 public:
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
  bool send(int fd, std::string_view bytes) {
    if (bytes_.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return false;
      bytes.remove_prefix(sent < 0 ? 0U : static_cast<std::size_t>(sent));
    }
    bytes_.append(bytes);
    return true;
  }
  bool flush(int fd) {
    if (bytes_.empty()) return true;
    std::string waiting;
    waiting.swap(bytes_);
    return send(fd, waiting);
  }

 private:
  std::string bytes_;
};

// The address and the options of a server, from main's `PORT [HOST] [OPTION]...`.
struct Arguments {
  Arguments(int argc, char** argv) {
    for (int index = 1; index < argc; ++index) {
      const std::string_view word = argv[index];
      (word.starts_with("--") ? options : words).emplace_back(word);
    }
    if (words.empty() || words.size() > 2) throw std::invalid_argument("usage: PORT [HOST] [--spin] [--reuse-port]");
  }
  [[nodiscard]] sockaddr_in address() const {
    return address_of(words.size() > 1 ? words[1] : "127.0.0.1", number_of<std::uint16_t>(words[0]));
  }
  [[nodiscard]] bool has(std::string_view option) const { return std::ranges::find(options, option) != options.end(); }
  std::vector<std::string> words;
  std::vector<std::string> options;
};

// Runs a server on one thread, with main's arguments. Server has opened(fd); event(fd, events), which returns false to
// close it; closed(fd), called before the close; and turn_ended().
template <typename Server>
int run_server(int argc, char** argv, Server& server) {
  const Arguments arguments(argc, argv);
  const bool spin = arguments.has("--spin");
  const int listener = listen_on(arguments.address(), arguments.has("--reuse-port"));
  Epoll epoll;
  epoll.add(listener, static_cast<std::uint32_t>(listener));
  while (true) {
    for (const epoll_event& event : spin ? epoll.spin() : epoll.wait(-1)) {
      const int fd = static_cast<int>(event.data.u32);
      if (fd == listener) {
        int accepted = -1;
        while ((accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
          server.opened(accepted);
          epoll.add(accepted, static_cast<std::uint32_t>(accepted));
        }
      } else if (!server.event(fd, event.events)) {
        server.closed(fd);
        close(fd);
      }
    }
    server.turn_ended();
  }
}

// Runs main's body, and prints what it throws on standard error. Returns: the exit code.
template <typename Body>
int guarded(const char* program, const Body& body) {
  try {
    return body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 1;
  }
}

}  // namespace bench
