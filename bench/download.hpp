// Downloads of one file: each connection asks for it again and again, one request at a time. The file is the one that
// `load pattern` has made; every byte is compared. A message is a block of 64 KiB of the file.
#pragma once

#include <charconv>

#include "bench/channel.hpp"
#include "bench/pattern.hpp"

namespace bench {

class Download {
 public:
  explicit Download(const Options& options)
      : request_("GET " + options.text("path", "/") + " HTTP/1.1\r\nHost: " + options.text("host", "127.0.0.1") +
                 "\r\n\r\n"),
        file_bytes_(options.count("bytes", block)),
        connections_(options.count("connections", 1)),
        meter_(options) {
    if (file_bytes_ % block != 0) throw std::invalid_argument("--bytes must be a multiple of 65536");
    const Connector connector(options);
    for (std::size_t index = 0; index < connections_.size(); ++index) {
      connections_[index].channel = connector.open(index);
      epoll_.add(connections_[index].channel.fd(), static_cast<std::uint32_t>(index));
    }
  }

  void run() {
    for (Connection& connection : connections_) ask(connection);
    while (meter_.turn(blocks_)) turn();
    meter_.print();
  }

 private:
  static constexpr std::size_t block = 65536;
  struct Connection {
    Channel channel;
    std::string head;  // of the answer, until it is complete
    bool in_body = false;
    std::uint64_t received = 0;  // of the body
    std::uint64_t asked_at = 0;
  };

  void ask(Connection& connection) {
    connection.asked_at = now();
    connection.in_body = false;
    connection.received = 0;
    if (connection.channel.send(request_) != static_cast<ssize_t>(request_.size())) {
      throw std::runtime_error("the server does not read");
    }
  }

  void turn() {
    for (const epoll_event& event : epoll_.wait(100)) {
      if ((event.events & (EPOLLIN | ended_events)) == 0) continue;
      Connection& connection = connections_[event.data.u32];
      const bool open = connection.channel.drain(buffer_, (event.events & ended_events) != 0,
                                                 [&](std::string_view bytes) { return take(connection, bytes); });
      if (!open) throw std::runtime_error("the server closed a connection");
    }
  }

  bool take(Connection& connection, std::string_view bytes) {
    if (!connection.in_body) {
      const std::size_t before = connection.head.size();
      connection.head.append(bytes);
      const std::size_t end = connection.head.find("\r\n\r\n");
      if (end == std::string::npos) return true;
      bytes.remove_prefix(end + 4 - before);
      check_head(std::string_view(connection.head).substr(0, end + 2));
      connection.head.clear();
      connection.in_body = true;
    }
    if (bytes.size() > file_bytes_ - connection.received) throw std::runtime_error("the body is too long");
    if (!pattern_.has(connection.received, bytes)) throw std::runtime_error("the body is wrong");
    blocks_ += (connection.received + bytes.size()) / block - connection.received / block;
    connection.received += bytes.size();
    if (connection.received == file_bytes_) {
      meter_.latency.add(now() - connection.asked_at);
      ask(connection);
    }
    return true;
  }

  void check_head(std::string_view head) const {
    if (!head.starts_with("HTTP/1.1 200 ")) throw std::runtime_error("not a 200: " + std::string(head.substr(0, 80)));
    for (std::size_t at = 0; at < head.size(); at = head.find("\r\n", at) + 2) {
      constexpr std::string_view name = "content-length: ";
      const std::string_view line = head.substr(at, head.find("\r\n", at) - at);
      if (line.size() < name.size() || !std::ranges::equal(line.substr(0, name.size()), name, {}, to_lower)) continue;
      if (line.substr(name.size()) == std::to_string(file_bytes_)) return;
    }
    throw std::runtime_error("the answer has not the length of the file: " + std::string(head));
  }
  static char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

  std::string request_;
  std::uint64_t file_bytes_;
  std::vector<Connection> connections_;
  Meter meter_;
  Epoll epoll_;
  ReceiveBuffer buffer_;
  Pattern pattern_;
  std::uint64_t blocks_ = 0;
};

inline int run_download(const Options& options) {
  Download(options).run();
  return 0;
}

// Prints the file.
inline int run_pattern(const Options& options) {
  const Pattern pattern;
  std::uint64_t left = options.number("bytes", std::uint64_t{65536});
  for (std::uint64_t at = 0; left != 0;) {
    const std::string_view bytes = pattern.at(at, left);
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) fail_with_errno("write");
    at += bytes.size();
    left -= bytes.size();
  }
  return 0;
}

}  // namespace bench
