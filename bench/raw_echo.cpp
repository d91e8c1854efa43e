// raw_echo PORT [HOST] [--spin] [--reuse-port]: the limit of an echo server: one thread, raw epoll, as few system calls
// as TCP allows. With --spin it busy-polls, the limit for round trips; with --reuse-port several processes share a
// port, the limit for several loops.
#include "bench/raw.hpp"

namespace {

class Echo {
 public:
  void opened(int fd) {
    if (connections_.size() <= static_cast<std::size_t>(fd)) connections_.resize(static_cast<std::size_t>(fd) + 1);
    connections_[static_cast<std::size_t>(fd)] = {};
  }
  // While bytes are unsent it does not receive: the peer must read first.
  bool event(int fd, std::uint32_t events) {
    Connection& connection = connections_[static_cast<std::size_t>(fd)];
    if ((events & EPOLLOUT) != 0 && !connection.unsent.flush(fd)) return false;
    if ((events & bench::ended_events) != 0) connection.ended = true;
    if ((events & (EPOLLIN | bench::ended_events)) != 0) connection.readable = true;
    if (!connection.readable || !connection.unsent.empty()) return true;
    bool gone = false;
    const bool drained = buffer_.drain(fd, connection.ended, [&](std::string_view bytes) {
      gone = !connection.unsent.send(fd, bytes);
      return !gone && connection.unsent.empty();
    });
    if (drained) connection.readable = false;
    return drained || (!gone && !connection.unsent.empty());
  }
  void closed(int) {}
  void turn_ended() {}

 private:
  struct Connection {
    bench::Unsent unsent;
    bool readable = false;
    bool ended = false;
  };
  std::vector<Connection> connections_;  // by descriptor
  bench::ReceiveBuffer buffer_;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::guarded("raw_echo", [&] {
    Echo echo;
    return bench::run_server(argc, argv, echo);
  });
}
