// A closed loop: each connection keeps `depth` messages in flight and sends a new one for each answer. Two protocols:
// echo, and HTTP. Every received byte is compared with the expected one, and at the end each connection must have an
// answer for each request.
#pragma once

#include <random>

#include "bench/channel.hpp"

namespace bench {

// An endless stream of bytes without a period of a power of two. Each connection begins at another position, so that
// lost, duplicated, changed or exchanged bytes are noticed.
class EchoProtocol {
 public:
  static constexpr bool is_echo = true;
  struct State {
    [[nodiscard]] static bool between_answers() { return true; }
  };

  explicit EchoProtocol(std::size_t message_bytes) : message_bytes_(message_bytes) {
    std::mt19937 random(1);
    for (std::size_t at = 0; at < stream_.size(); ++at) {
      stream_[at] = at < period ? static_cast<char>(random()) : stream_[at - period];
    }
  }
  [[nodiscard]] std::size_t message_bytes() const { return message_bytes_; }
  [[nodiscard]] std::string_view outgoing(std::size_t connection, std::uint64_t position, std::uint64_t count) const {
    return {stream_.data() + place(connection, position), std::min<std::size_t>(window, count)};
  }
  // Returns: how many messages these bytes complete, which were received at that position.
  std::size_t take(State&, std::size_t connection, std::uint64_t position, std::string_view bytes) const {
    for (std::size_t done = 0; done < bytes.size();) {
      const std::string_view expected = outgoing(connection, position + done, bytes.size() - done);
      if (bytes.substr(done, expected.size()) != expected) throw std::runtime_error("the echo is wrong");
      done += expected.size();
    }
    return (position + bytes.size()) / message_bytes_ - position / message_bytes_;
  }

 private:
  static constexpr std::size_t period = 65521;
  static constexpr std::size_t window = 512UL << 10;
  static std::size_t place(std::size_t connection, std::uint64_t position) {
    return (position + connection * 7919) % period;
  }

  std::size_t message_bytes_;
  std::vector<char> stream_ = std::vector<char>(period + window);
};

// GET of one path; each answer must be a 200 with the expected body.
class HttpProtocol {
 public:
  static constexpr bool is_echo = false;
  struct State {
    [[nodiscard]] bool between_answers() const { return begun.empty(); }
    std::string begun;  // of an answer
  };

  HttpProtocol(const std::string& host, const std::string& path, std::string body)
      : request_("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"), body_("\r\n\r\n" + std::move(body)) {
    while (requests_.size() < 64UL << 10) requests_ += request_;
  }
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
    while (const std::size_t size = answer_size(bytes)) {
      bytes.remove_prefix(size);
      ++answers;
    }
    state.begun = std::string(bytes);
    return answers;
  }

 private:
  // 0: it is not complete. Nearly all answers are as long as the previous one.
  std::size_t answer_size(std::string_view bytes) {
    constexpr std::string_view start = "HTTP/1.1 200 ";
    if (bytes.size() < start.size()) return 0;
    if (!bytes.starts_with(start)) throw std::runtime_error("not a 200: " + std::string(bytes.substr(0, 80)));
    if (usual_size_ != 0 && bytes.substr(0, usual_size_).ends_with(body_)) return usual_size_;
    const std::size_t head = bytes.find("\r\n\r\n");
    if (head == std::string_view::npos || bytes.size() < head + body_.size()) return 0;
    if (bytes.substr(head, body_.size()) != body_) throw std::runtime_error("the body is not the expected one");
    return usual_size_ = head + body_.size();
  }

  std::string request_;
  std::string body_;  // with the empty line before it
  std::string requests_;
  std::size_t usual_size_ = 0;
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
      connections_[index].asked_at.resize(depth_);
      epoll_.add(connections_[index].channel.fd(), static_cast<std::uint32_t>(index));
    }
  }

  void run() {
    for (std::size_t index = 0; index < connections_.size(); ++index) ask(index, depth_, now());
    while (meter_.turn(answered_)) turn();
    asking_ = false;
    for (; answered_ < asked_; turn()) meter_.wait_for_rest(answered_, asked_);
    expect_silence(connections_, epoll_, buffer_);
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
  ClosedLoop(options, HttpProtocol(options.text("host", "127.0.0.1"), options.text("path", "/hello"),
                                   options.text("body", "Hello world!")))
      .run();
  return 0;
}

}  // namespace bench
