// Many idle connections. Each was used once: one message was echoed, or it has joined the hub. Prints `ready` when this
// holds for all, and keeps them, answering pings, until its standard input is closed.
#pragma once

#include "bench/channel.hpp"
#include "bench/websocket.hpp"

namespace bench {

// The steps of one connection until it is ready. Received bytes go in; bytes to send are left in `out`.
class Arrival {
 public:
  Arrival(const Options& options, std::size_t index)
      : websocket_(options.has("websocket")),
        join_(options.has("join")),
        http_(options.has("http")),
        nick_("m" + std::to_string(index)) {}

  [[nodiscard]] bool ready() const noexcept { return ready_; }

  // Sent when it is connected.
  std::string greeting() const {
    if (websocket_) return websocket::upgrade(join_ ? "/ws" : "/");
    if (http_) return "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    return join_ ? nick_ + "\n" : "?";
  }

  std::string take(std::string_view bytes) {
    if (websocket_) return take_websocket(bytes);
    if (http_) return take_response(bytes);
    if (ready_ && join_) return {};  // what the others say
    begun_.append(bytes);
    if (!join_ && (ready_ || begun_ != "?")) throw std::runtime_error("the echo is wrong");
    ready_ = !join_ || begun_.contains(nick_ + " joined the chat!\n");
    if (ready_) std::string().swap(begun_);
    return {};
  }

 private:
  std::string take_response(std::string_view bytes) {
    begun_.append(bytes);
    if (ready_ || !begun_.starts_with(std::string_view("HTTP/1.1 200").substr(0, begun_.size()))) {
      throw std::runtime_error("unexpected: " + begun_);
    }
    ready_ = begun_.ends_with("Hello world!");
    if (ready_) std::string().swap(begun_);
    return {};
  }

  std::string take_websocket(std::string_view bytes) {
    begun_.append(bytes);
    std::string out;
    if (!upgraded_) {
      const std::size_t end = begun_.find("\r\n\r\n");
      if (end == std::string::npos) return {};
      if (!begun_.starts_with("HTTP/1.1 101 ")) throw std::runtime_error("no upgrade: " + begun_.substr(0, end));
      begun_.erase(0, end + 4);
      upgraded_ = true;
      out += websocket::from_client(websocket::text, join_ ? R"({"type":"join","nick":")" + nick_ + "\"}" : "?");
    }
    std::size_t taken = 0;
    while (const std::size_t size = frame(std::string_view(begun_).substr(taken), out)) taken += size;
    begun_.erase(0, taken);
    if (begun_.empty()) std::string().swap(begun_);
    return out;
  }

  // Consumes one frame. Returns: its size; 0: it is not complete.
  std::size_t frame(std::string_view bytes, std::string& out) {
    const websocket::Frame frame = websocket::parse(bytes);
    if (frame.size == 0) return 0;
    const std::string_view payload = bytes.substr(frame.head, frame.size - frame.head);
    if (frame.opcode == websocket::ping) out += websocket::from_client(websocket::pong, payload);
    if (frame.opcode == websocket::close) {
      throw std::runtime_error("the server closed a WebSocket: " + std::string(payload));
    }
    if (frame.opcode == websocket::text && !(ready_ && join_)) {
      if (ready_) throw std::runtime_error("unexpected: " + std::string(payload));
      ready_ = join_ ? payload.starts_with(R"({"type":"welcome")") : payload == "?";
      if (!ready_) throw std::runtime_error("unexpected: " + std::string(payload));
    }
    return frame.size;
  }

  bool websocket_;
  bool join_;
  bool http_;
  std::string nick_;
  std::string begun_;
  bool upgraded_ = false;
  bool ready_ = false;
};

class Idle {
 public:
  explicit Idle(const Options& options)
      : options_(options), connector_(options), count_(options.count("connections", 1000)), stall_(options) {}

  void run() {
    while (ready_ < count_) {
      while (connections_.size() < count_ && connections_.size() - ready_ < arriving_max) open_one();
      receive(100);
      if (stall_.stalls(ready_)) {
        throw std::runtime_error("only " + std::to_string(ready_) + " of " + std::to_string(count_) + " became ready");
      }
    }
    std::puts("ready");
    std::fflush(stdout);
    check(fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    char byte = 0;
    while (read(STDIN_FILENO, &byte, 1) != 0) receive(20);
    for (const Connection& connection : connections_) connection.channel.end_sending();
  }

 private:
  struct Connection {
    Channel channel;
    Arrival arrival;
  };

  void open_one() {
    const std::size_t index = connections_.size();
    connections_.push_back({connector_.open(index), Arrival(options_, index)});
    say(connections_.back(), connections_.back().arrival.greeting());
    epoll_.add(connections_.back().channel.fd(), static_cast<std::uint32_t>(index));
  }

  static void say(const Connection& connection, std::string_view text) {
    if (text.empty()) return;
    const ssize_t sent = connection.channel.send(text);
    if (sent != static_cast<ssize_t>(text.size())) throw std::runtime_error("the server does not read");
  }

  void receive(int timeout_ms) {
    for (const epoll_event& event : epoll_.wait(timeout_ms)) {
      if ((event.events & (EPOLLIN | ended_events)) == 0) continue;
      Connection& connection = connections_[event.data.u32];
      const bool was_ready = connection.arrival.ready();
      const bool ended = (event.events & ended_events) != 0;
      const bool open = connection.channel.drain(buffer_, ended, [&](std::string_view bytes) {
        say(connection, connection.arrival.take(bytes));
        return true;
      });
      if (!open) throw std::runtime_error("the server closed a connection");
      if (!was_ready && connection.arrival.ready()) ++ready_;
    }
  }

  static constexpr std::size_t arriving_max = 32;  // a hub tells everybody of each: not more than an outbox takes

  const Options& options_;
  Connector connector_;
  std::size_t count_;
  StallWatch stall_;
  std::vector<Connection> connections_;
  std::size_t ready_ = 0;
  Epoll epoll_;
  ReceiveBuffer buffer_;
};

inline int run_idle(const Options& options) {
  Idle(options).run();
  return 0;
}

}  // namespace bench
