// raw_room PORT [HOST]: the limit of a broadcast over WebSocket: the messages of a turn at /room are sent to all
// members together, from one buffer; any other path is an echo. It answers every handshake as that of the RFC's
// example, and validates neither UTF-8 nor anything else.
#include "bench/websocket.hpp"

namespace {

class Room {
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
      connection.begun.append(bytes);
      if (!connection.open && !shake_hands(fd, connection)) return true;
      return take(fd, connection);
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
    std::string begun;  // of the request, or of a frame
    bool open = false;
    bool member = false;
  };

  bool shake_hands(int fd, Connection& connection) {
    const std::size_t end = connection.begun.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    connection.member = connection.begun.starts_with("GET /room ");
    if (connection.member) members_.push_back(fd);
    connection.begun.erase(0, end + 4);
    connection.open = connection.unsent.send(
        fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                std::string(bench::websocket::accepted) + "\r\n\r\n");
    return connection.open;
  }

  bool take(int fd, Connection& connection) {
    std::string echo;
    std::size_t taken = 0;
    while (true) {
      char* const data = connection.begun.data() + taken;
      const auto frame = bench::websocket::parse({data, connection.begun.size() - taken});
      if (frame.size == 0) break;
      if (frame.opcode == bench::websocket::close || !frame.masked) return false;
      const std::size_t length = frame.size - frame.head;
      bench::websocket::mask(data + frame.head, length, data + frame.head - 4);
      std::string& out = connection.member ? said_ : echo;
      bench::websocket::append_head(out, frame.opcode, length, false);
      out.append(data + frame.head, length);
      taken += frame.size;
    }
    connection.begun.erase(0, taken);
    if (connection.begun.empty()) std::string().swap(connection.begun);
    return echo.empty() || connection.unsent.send(fd, echo);
  }

  std::vector<Connection> connections_;  // by descriptor
  std::vector<int> members_;
  std::string said_;  // in this turn
  bench::ReceiveBuffer buffer_;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::guarded("raw_room", [&] {
    Room room;
    return bench::run_server(argc, argv, room);
  });
}
