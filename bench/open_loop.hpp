// An open loop: messages are due at a fixed rate, whatever was answered, and each latency is counted from the time at
// which the message was due. A server that pauses is late for all messages due in the pause; a closed loop would hide
// that (coordinated omission). The client never sleeps, so that it is not late itself. Messages due before the measured
// interval are not counted, so that a server that catches up does not exceed the rate.
#pragma once

#include <deque>

#include "bench/closed_loop.hpp"

namespace bench {

class OpenLoop {
 public:
  explicit OpenLoop(const Options& options)
      : protocol_(options.count("bytes", 64)),
        interval_(second / options.count("rate", 10'000)),
        connections_(options.count("connections", 64)),
        meter_(options) {
    if (interval_ == 0) throw std::invalid_argument("--rate must be at most 1000000000");
    const Connector connector(options);
    for (std::size_t index = 0; index < connections_.size(); ++index) {
      connections_[index].channel = connector.open(index);
      epoll_.add(connections_[index].channel.fd(), static_cast<std::uint32_t>(index));
    }
  }

  void run() {
    // The clock starts when the server has answered once on each connection.
    for (std::size_t index = 0; index < connections_.size(); ++index) ask(index, now());
    answer_all();
    std::uint64_t due = now();
    while (meter_.turn(counted_)) {
      for (const std::uint64_t time = now(); due <= time; due += interval_) ask(asked_ % connections_.size(), due);
      turn();
    }
    count_late();
    answer_all();
    expect_silence(connections_, epoll_, buffer_, EchoProtocol::may_end);
    meter_.print();
  }

 private:
  struct Connection {
    Channel channel;
    std::uint64_t asked_bytes = 0;
    std::uint64_t sent_bytes = 0;
    std::uint64_t received_bytes = 0;
    std::deque<std::uint64_t> due;  // of what is not answered
    EchoProtocol::State state;
  };

  void turn() {
    for (const epoll_event& event : epoll_.wait(0)) {
      const std::size_t index = event.data.u32;
      if ((event.events & EPOLLOUT) != 0) send(index);
      if ((event.events & (EPOLLIN | ended_events)) != 0) receive(index, (event.events & ended_events) != 0);
    }
  }

  void answer_all() {
    for (; answered_ < asked_; turn()) meter_.wait_for_rest(answered_, asked_);
  }

  void ask(std::size_t index, std::uint64_t due) {
    ++asked_;
    connections_[index].due.push_back(due);
    connections_[index].asked_bytes += protocol_.message_bytes();
    send(index);
  }

  void send(std::size_t index) {
    Connection& connection = connections_[index];
    while (const std::uint64_t left = connection.asked_bytes - connection.sent_bytes) {
      const std::string_view bytes = protocol_.outgoing(index, connection.sent_bytes, left);
      const ssize_t sent = connection.channel.send(bytes);
      if (sent < 0 && errno == EAGAIN) return;
      if (sent < 0) fail_with_errno("send");
      connection.sent_bytes += static_cast<std::uint64_t>(sent);
    }
  }

  void receive(std::size_t index, bool ended) {
    Connection& connection = connections_[index];
    const bool open = connection.channel.drain(buffer_, ended, [&](std::string_view bytes) {
      const std::size_t finished = protocol_.take(connection.state, index, connection.received_bytes, bytes);
      connection.received_bytes += bytes.size();
      if (connection.received_bytes > connection.sent_bytes) {
        throw std::runtime_error("the server sent more than it was asked for");
      }
      const std::uint64_t time = now();
      for (std::size_t count = 0; count < finished; ++count) {
        if (connection.due.front() >= meter_.start()) {
          meter_.latency.add(time - connection.due.front());
          ++counted_;
        }
        connection.due.pop_front();
      }
      answered_ += finished;
      return true;
    });
    if (!open) throw std::runtime_error("the server closed a connection");
  }

  // Messages in flight have taken at least this long.
  void count_late() {
    const std::uint64_t time = now();
    for (const Connection& connection : connections_) {
      for (const std::uint64_t due : connection.due) {
        if (due >= meter_.start()) meter_.latency.add(time - due);
      }
    }
  }

  EchoProtocol protocol_;
  std::uint64_t interval_;
  std::vector<Connection> connections_;
  Meter meter_;
  Epoll epoll_;
  ReceiveBuffer buffer_;
  std::uint64_t asked_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t counted_ = 0;  // answers that were due since the measuring began; before it all
};

inline int run_open(const Options& options) {
  OpenLoop(options).run();
  return 0;
}

}  // namespace bench
