// A closed loop: each connection keeps `depth` messages in flight and sends a new one for each answer. Three protocols:
// echo, HTTP, and echo over WebSocket. Every received byte is compared with the expected one, and at the end each
// connection must have an answer for each request.
#pragma once

#include "bench/channel.hpp"
#include "bench/pattern.hpp"
#include "bench/websocket.hpp"

namespace bench {

// Each connection begins at another position of the pattern.
class EchoProtocol {
 public:
  static constexpr bool is_echo = true;
  struct State {
    [[nodiscard]] static bool between_answers() { return true; }
  };

  explicit EchoProtocol(std::size_t message_bytes) : message_bytes_(message_bytes) {}
  static void greet(const Channel&) {}
  static bool may_end(std::string_view) { return false; }
  [[nodiscard]] std::size_t message_bytes() const { return message_bytes_; }
  [[nodiscard]] std::string_view outgoing(std::size_t connection, std::uint64_t position, std::uint64_t count) const {
    return pattern_.at(position + connection * 7919, count);
  }
  // Returns: how many messages these bytes complete, which were received at that position.
  std::size_t take(State&, std::size_t connection, std::uint64_t position, std::string_view bytes) const {
    if (!pattern_.has(position + connection * 7919, bytes)) throw std::runtime_error("the echo is wrong");
    return (position + bytes.size()) / message_bytes_ - position / message_bytes_;
  }

 private:
  std::size_t message_bytes_;
  Pattern pattern_;
};

// The same request again and again. Answers finds the ends of the answers, and checks them.
template <typename Answers>
class RequestProtocol {
 public:
  static constexpr bool is_echo = false;
  struct State {
    [[nodiscard]] bool between_answers() const { return begun.empty(); }
    std::string begun;  // of an answer
  };

  RequestProtocol(std::string request, Answers answers) : request_(std::move(request)), answers_(std::move(answers)) {
    while (requests_.size() < 64UL << 10) requests_ += request_;
  }
  void greet(const Channel& channel) const { answers_.greet(channel); }
  // Whether the server may send this when the client has half-closed.
  [[nodiscard]] bool may_end(std::string_view bytes) const { return answers_.may_end(bytes); }
  [[nodiscard]] std::size_t message_bytes() const { return request_.size(); }
  [[nodiscard]] std::string_view outgoing(std::size_t, std::uint64_t position, std::uint64_t count) const {
    return std::string_view(requests_).substr(position % request_.size(), count);
  }
  std::size_t take(State& state, std::size_t, std::uint64_t, std::string_view bytes) {
    if (!state.begun.empty()) {
      state.begun.append(bytes);
      bytes = state.begun;
    }
    std::size_t answers = 0;
    while (const std::size_t size = answers_.size(bytes)) {
      bytes.remove_prefix(size);
      ++answers;
    }
    state.begun = std::string(bytes);
    return answers;
  }

 private:
  std::string request_;
  Answers answers_;
  std::string requests_;
};

// Each must be a 200 with the expected body.
class HttpAnswers {
 public:
  explicit HttpAnswers(const std::string& body) : body_("\r\n\r\n" + body) {}
  static void greet(const Channel&) {}
  static bool may_end(std::string_view) { return false; }

  // 0: it is not complete. Nearly all answers are as long as the previous one.
  std::size_t size(std::string_view bytes) {
    constexpr std::string_view start = "HTTP/1.1 200 ";
    if (bytes.size() < start.size()) return 0;
    if (!bytes.starts_with(start)) throw std::runtime_error("not a 200: " + std::string(bytes.substr(0, 80)));
    if (usual_size_ != 0 && bytes.substr(0, usual_size_).ends_with(body_)) return usual_size_;
    const std::size_t head = bytes.find("\r\n\r\n");
    if (head == std::string_view::npos || bytes.size() < head + body_.size()) return 0;
    if (bytes.substr(head, body_.size()) != body_) {
      throw std::runtime_error("the body is not the expected one: " + std::string(bytes.substr(head + 4, 80)));
    }
    return usual_size_ = head + body_.size();
  }

 private:
  std::string body_;  // with the empty line before it
  std::size_t usual_size_ = 0;
};

// Each must be the text that was sent.
class WebSocketAnswers {
 public:
  WebSocketAnswers(std::string text, bool deflate) : text_(std::move(text)), deflate_(deflate) {}

  // Shakes hands.
  void greet(const Channel& channel) const {
    const std::string request = websocket::upgrade("/", deflate_);
    if (channel.send(request) != static_cast<ssize_t>(request.size())) fail_with_errno("send");
    ReceiveBuffer buffer;
    std::string head;
    while (!head.ends_with("\r\n\r\n")) {
      pollfd readable{.fd = channel.fd(), .events = POLLIN, .revents = 0};
      const bool open = poll(&readable, 1, 10'000) == 1 && channel.drain(buffer, false, [&](std::string_view bytes) {
        head.append(bytes);
        return true;
      });
      if (!open) throw std::runtime_error("the server does not answer a WebSocket's handshake");
    }
    websocket::check_handshake(head, deflate_);
  }

  static bool may_end(std::string_view bytes) { return websocket::parse(bytes).opcode == websocket::close; }

  // The first one is decoded; the later ones are the same bytes.
  std::size_t size(std::string_view bytes) {
    if (!first_.empty() && bytes.starts_with(first_)) return first_.size();
    const websocket::Frame frame = websocket::parse(bytes);
    if (frame.size == 0) return 0;
    if (websocket::text_of(frame, bytes, deflate_) != text_) throw std::runtime_error("the echo is wrong");
    first_ = bytes.substr(0, frame.size);
    return frame.size;
  }

 private:
  std::string text_;
  bool deflate_;
  std::string first_;
};

template <typename Protocol>
class ClosedLoop {
 public:
  ClosedLoop(const Options& options, Protocol protocol)
      : protocol_(std::move(protocol)),
        depth_(options.count("depth", 1)),
        connections_(options.count("connections", 1)),
        meter_(options) {
    const Connector connector(options);
    for (std::size_t index = 0; index < connections_.size(); ++index) {
      connections_[index].channel = connector.open(index);
      protocol_.greet(connections_[index].channel);
      connections_[index].asked_at.resize(depth_);
      epoll_.add(connections_[index].channel.fd(), static_cast<std::uint32_t>(index));
    }
  }

  void run() {
    for (std::size_t index = 0; index < connections_.size(); ++index) ask(index, depth_, now());
    while (meter_.turn(answered_)) turn();
    asking_ = false;
    for (; answered_ < asked_; turn()) meter_.wait_for_rest(answered_, asked_);
    expect_silence(connections_, epoll_, buffer_, [this](std::string_view bytes) { return protocol_.may_end(bytes); });
    for (const Connection& connection : connections_) {
      if (!connection.state.between_answers()) throw std::runtime_error("the server sent a part of an answer too many");
    }
    meter_.print();
  }

 private:
  struct Connection {
    Channel channel;
    std::uint64_t asked = 0;
    std::uint64_t answered = 0;
    std::uint64_t sent_bytes = 0;
    std::uint64_t received_bytes = 0;
    std::vector<std::uint64_t> asked_at;  // when; of the last `depth`
    typename Protocol::State state;
  };

  void turn() {
    for (const epoll_event& event : epoll_.wait(100)) {
      const std::size_t index = event.data.u32;
      if ((event.events & EPOLLOUT) != 0) send(index);
      if ((event.events & (EPOLLIN | ended_events)) != 0) receive(index, (event.events & ended_events) != 0);
    }
  }

  void receive(std::size_t index, bool ended) {
    Connection& connection = connections_[index];
    const bool open = connection.channel.drain(buffer_, ended, [&](std::string_view bytes) {
      const std::size_t finished = protocol_.take(connection.state, index, connection.received_bytes, bytes);
      connection.received_bytes += bytes.size();
      if (finished > connection.asked - connection.answered ||
          (Protocol::is_echo && connection.received_bytes > connection.sent_bytes)) {
        throw std::runtime_error("the server sent more than it was asked for");
      }
      const std::uint64_t time = now();
      for (std::size_t count = 0; count < finished; ++count) {
        meter_.latency.add(time - connection.asked_at[connection.answered++ % depth_]);
      }
      answered_ += finished;
      if (asking_) ask(index, finished, time);
      return true;
    });
    if (!open) throw std::runtime_error("the server closed a connection");
  }

  void ask(std::size_t index, std::size_t count, std::uint64_t time) {
    Connection& connection = connections_[index];
    asked_ += count;
    for (; count != 0; --count) connection.asked_at[connection.asked++ % depth_] = time;
    send(index);
  }

  void send(std::size_t index) {
    Connection& connection = connections_[index];
    while (const std::uint64_t left = connection.asked * protocol_.message_bytes() - connection.sent_bytes) {
      const std::string_view bytes = protocol_.outgoing(index, connection.sent_bytes, left);
      const ssize_t sent = connection.channel.send(bytes);
      if (sent < 0 && errno == EAGAIN) return;
      if (sent < 0) fail_with_errno("send");
      connection.sent_bytes += static_cast<std::uint64_t>(sent);
    }
  }

  Protocol protocol_;
  std::size_t depth_;
  std::vector<Connection> connections_;
  Meter meter_;
  Epoll epoll_;
  ReceiveBuffer buffer_;
  bool asking_ = true;
  std::uint64_t asked_ = 0;
  std::uint64_t answered_ = 0;
};

inline int run_echo(const Options& options) {
  ClosedLoop(options, EchoProtocol(options.count("bytes", 64))).run();
  return 0;
}

inline int run_http(const Options& options) {
  const std::string request =
      "GET " + options.text("path", "/hello") + " HTTP/1.1\r\nHost: " + options.text("host", "127.0.0.1") + "\r\n\r\n";
  ClosedLoop(options, RequestProtocol(request, HttpAnswers(options.text("body", "Hello world!")))).run();
  return 0;
}

inline int run_websocket(const Options& options) {
  const bool deflate = options.has("deflate");
  const std::string text = sample_text(options.count("bytes", 100));
  const std::string message = websocket::from_client(websocket::text, text, deflate);
  ClosedLoop(options, RequestProtocol(message, WebSocketAnswers(text, deflate))).run();
  return 0;
}

}  // namespace bench
