// raw_chat PORT [HOST]: the limit of a broadcast over TCP: sends NICK, takes the first line as a nickname, and sends
// the later lines of a turn to all members together, unchanged, from one buffer. There are no rules, no limits, and no
// messages about joins and leaves.
#include <algorithm>

#include "bench/raw.hpp"

namespace {

class Chat {
 public:
  void opened(int fd) {
    if (connections_.size() <= static_cast<std::size_t>(fd)) connections_.resize(static_cast<std::size_t>(fd) + 1);
    connections_[static_cast<std::size_t>(fd)] = {};
    connections_[static_cast<std::size_t>(fd)].unsent.send(fd, "NICK");
  }
  bool event(int fd, std::uint32_t events) {
    Connection& connection = connections_[static_cast<std::size_t>(fd)];
    if ((events & EPOLLOUT) != 0 && !connection.unsent.flush(fd)) return false;
    if ((events & (EPOLLIN | bench::ended_events)) == 0) return true;
    return buffer_.drain(fd, (events & bench::ended_events) != 0, [&](std::string_view bytes) {
      take(fd, connection, bytes);
      return true;
    });
  }
  void closed(int fd) { std::erase(members_, fd); }
  void turn_ended() {
    if (said_.empty()) return;
    for (const int fd : members_) {
      if (!connections_[static_cast<std::size_t>(fd)].unsent.send(fd, said_)) shutdown(fd, SHUT_RDWR);
    }
    said_.clear();
  }

 private:
  struct Connection {
    bench::Unsent unsent;
    std::string begun;  // of a line
    bool has_nick = false;
  };

  void take(int fd, Connection& connection, std::string_view bytes) {
    const std::size_t end = bytes.rfind('\n');
    if (end == std::string_view::npos) {
      connection.begun.append(bytes);
      return;
    }
    std::string_view lines = bytes.substr(0, end + 1);
    if (!connection.has_nick) {
      lines.remove_prefix(lines.find('\n') + 1);
      connection.has_nick = true;
      connection.begun.clear();
      members_.push_back(fd);
    }
    if (!lines.empty()) said_.append(connection.begun).append(lines);
    connection.begun.assign(bytes.substr(end + 1));
  }

  std::vector<Connection> connections_;  // by descriptor
  std::vector<int> members_;
  std::string said_;  // in this turn
  bench::ReceiveBuffer buffer_;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::guarded("raw_chat", [&] {
    Chat chat;
    return bench::run_server(argc, argv, chat);
  });
}
