// raw_http PORT [HOST]: the limit of HTTP/1.1 with keep-alive: finds the ends of requests, parses nothing else, and
// answers each with the same bytes; the answers to pipelined requests are sent together. Requests have no body.
#include "bench/raw.hpp"

namespace {

// The response of examples/http_hello, byte for byte, except for its Date.
constexpr std::string_view response =
    "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Length: 12\r\n"
    "X-Content-Type-Options: nosniff\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello world!";
constexpr std::string_view request_end = "\r\n\r\n";

class Http {
 public:
  void opened(int fd) {
    if (connections_.size() <= static_cast<std::size_t>(fd)) connections_.resize(static_cast<std::size_t>(fd) + 1);
    connections_[static_cast<std::size_t>(fd)] = {};
  }
  bool event(int fd, std::uint32_t events) {
    Connection& connection = connections_[static_cast<std::size_t>(fd)];
    if ((events & EPOLLOUT) != 0 && !connection.unsent.flush(fd)) return false;
    if ((events & (EPOLLIN | bench::ended_events)) == 0) return true;
    return buffer_.drain(fd, (events & bench::ended_events) != 0, [&](std::string_view bytes) {
      answers_.clear();
      take(connection, bytes);
      return answers_.empty() || connection.unsent.send(fd, answers_);
    });
  }
  void closed(int) {}
  void turn_ended() {}

 private:
  struct Connection {
    bench::Unsent unsent;
    std::string begun;  // of a request
  };

  void take(Connection& connection, std::string_view bytes) {
    if (!connection.begun.empty()) {
      connection.begun.append(bytes);
      std::string whole;
      whole.swap(connection.begun);
      return take(connection, whole);
    }
    std::size_t end = 0;
    while ((end = bytes.find(request_end)) != std::string_view::npos) {
      answers_.append(response);
      bytes.remove_prefix(end + request_end.size());
    }
    connection.begun.assign(bytes);
  }

  std::vector<Connection> connections_;  // by descriptor
  std::string answers_;                  // to what one read brought
  bench::ReceiveBuffer buffer_;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::guarded("raw_http", [&] {
    Http http;
    return bench::run_server(argc, argv, http);
  });
}
