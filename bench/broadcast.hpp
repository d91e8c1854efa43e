// A room with many members, one of which publishes: it keeps some messages in flight, and a message is complete when
// all members have it. The first member to receive a message compares it with the published one; the bytes of all
// others are compared with those of the first. At the end each member must have all messages, and nothing more.
#pragma once

#include "bench/generator.hpp"
#include "bench/websocket.hpp"

namespace bench {

// The protocol of a member: lines over TCP; text messages of a WebSocket, which are sent to all unchanged; or JSON over
// the WebSocket of the hub (docs/protocols.md).
class Wire {
 public:
  Wire(bool websocket, bool join, bool deflate) : websocket_(websocket), join_(join), deflate_(deflate) {}

  // Sent when it is connected.
  [[nodiscard]] std::string greeting(std::size_t index) const {
    return websocket_ ? websocket::upgrade(join_ ? "/ws" : "/room", deflate_) : "m" + std::to_string(index) + "\n";
  }
  // Sent after the server's greeting.
  [[nodiscard]] std::string joining(std::size_t index) const {
    return join_
               ? websocket::from_client(websocket::text, R"({"type":"join","nick":"m)" + std::to_string(index) + "\"}")
               : "";
  }
  // The size of the server's greeting; 0: it is not complete.
  [[nodiscard]] std::size_t greeted(std::string_view bytes) const {
    const std::string_view start = websocket_ ? "HTTP/1.1 101 " : "NICK";
    if (bytes.size() < start.size()) return 0;
    if (!bytes.starts_with(start)) throw std::runtime_error("not a chat server: " + std::string(bytes));
    if (!websocket_) return start.size();
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    websocket::check_handshake(bytes.substr(0, end), deflate_);
    return end + 4;
  }
  [[nodiscard]] std::string said(const std::string& text) const {
    if (!websocket_) return text + "\n";
    return websocket::from_client(websocket::text, join_ ? R"({"type":"message","text":")" + text + "\"}" : text,
                                  deflate_);
  }
  // The size of the first message; 0: it is not complete.
  [[nodiscard]] std::size_t message(std::string_view bytes) const {
    return websocket_ ? websocket::parse(bytes).size : bytes.find('\n') + 1;
  }
  // Whether the first message, which has that size, has this text.
  [[nodiscard]] bool has(std::string_view bytes, std::size_t size, std::string_view text) const {
    if (!deflate_) return bytes.substr(0, size).contains(text);
    return websocket::text_of(websocket::parse(bytes), bytes, true).contains(text);
  }

 private:
  bool websocket_;
  bool join_;
  bool deflate_;
};

class Broadcast {
 public:
  explicit Broadcast(const Options& options)
      : target_(options.target()),
        wire_(options.has("websocket"), options.has("join"), options.has("deflate")),
        text_bytes_(options.number("bytes", std::size_t{100})),
        members_(options.count("subscribers", 1000)),
        under_way_(options.count("in-flight", 16)),
        meter_(options) {
    if (text_bytes_ < 24) throw std::invalid_argument("--bytes must be at least 24");
  }

  void run() {
    for (std::size_t index = 0; index < members_.size(); ++index) {
      members_[index].fd = connect_to(target_, index);
      epoll_.add(members_[index].fd, static_cast<std::uint32_t>(index));
      say(members_[index], wire_.greeting(index));
      if (index % 16 == 15) receive_all(0);
    }
    synchronise();
    publish(under_way_.size());
    while (meter_.turn(finished_)) {
      receive_all(100);
      const std::uint64_t finished = finish_messages();
      if (finished != 0) publish(finished);
    }
    for (; finished_ < published_; finish_messages()) {
      meter_.wait_for_rest(finished_, published_);
      receive_all(100);
    }
    receive_all(50);
    for (const Member& member : members_) {
      if (member.bytes != found_end_) throw std::runtime_error("the server sent a member more than was published");
    }
    meter_.print(members_.size());
  }

 private:
  struct Member {
    int fd = -1;
    bool greeted = false;
    bool ready = false;       // has had the last probe
    std::string begun;        // of a message, before the measuring
    std::uint64_t bytes = 0;  // since the measuring began
    std::uint64_t messages = 0;
  };
  struct Message {
    std::uint64_t end = 0;  // in the stream that all share
    std::uint64_t published_at = 0;
    std::size_t missing = 0;  // members that do not have it
  };

  static void say(const Member& member, std::string_view text) {
    if (text.empty()) return;
    const ssize_t sent = send(member.fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(text.size())) throw std::runtime_error("the server does not read");
  }

  void receive_all(int timeout_ms) {
    for (const epoll_event& event : epoll_.wait(timeout_ms)) {
      if ((event.events & (EPOLLIN | ended_events)) == 0) continue;
      const bool ended = (event.events & ended_events) != 0;
      const bool open = buffer_.drain(members_[event.data.u32].fd, ended, [&](std::string_view bytes) {
        counting_ ? count(members_[event.data.u32], bytes) : look_for_probe(event.data.u32, bytes);
        return true;
      });
      if (!open) throw std::runtime_error("the server closed a connection");
    }
  }

  // --- before the measurement: all have joined, and have read the joins ---

  // Servers announce joins in different ways; a probe that has reached all members is a common position in the stream.
  void synchronise() {
    const std::uint64_t give_up = now() + 60 * second;
    while (ready_ < members_.size()) {
      if (now() > give_up) {
        throw std::runtime_error(std::to_string(ready_) + " of " + std::to_string(members_.size()) +
                                 " have joined in 60 s");
      }
      for (Member& member : members_) member.ready = false;
      ready_ = 0;
      probe_ = text_of("probe  ", probes_++);
      if (members_.front().greeted) say(members_.front(), wire_.said(probe_));
      const std::uint64_t until = now() + second / 4;
      while (ready_ < members_.size() && now() < until) receive_all(10);
    }
    for (const Member& member : members_) {
      if (!member.begun.empty()) throw std::runtime_error("somebody said something after the last probe");
    }
    counting_ = true;
  }

  void look_for_probe(std::size_t index, std::string_view bytes) {
    Member& member = members_[index];
    member.begun.append(bytes);
    if (!member.greeted) {
      const std::size_t size = wire_.greeted(member.begun);
      if (size == 0) return;
      member.begun.erase(0, size);
      member.greeted = true;
      say(member, wire_.joining(index));
    }
    std::string_view rest = member.begun;
    while (const std::size_t size = wire_.message(rest)) {
      if (!member.ready && wire_.has(rest, size, probe_)) {
        member.ready = true;
        ++ready_;
      }
      rest.remove_prefix(size);
    }
    member.begun = std::string(rest);
  }

  // --- the measurement ---

  // "message 0000000042 other words", of the requested length.
  [[nodiscard]] std::string text_of(std::string_view word, std::uint64_t number) const {
    const std::string digits = std::to_string(number);
    std::string text = std::string(word) + " " + std::string(digits.size() < 10 ? 10 - digits.size() : 0, '0') + digits;
    text += ' ';
    text += padding_;
    text.resize(text_bytes_);
    return text;
  }

  void publish(std::uint64_t count) {
    std::string texts;
    const std::uint64_t time = now();
    for (; count != 0; --count) {
      texts += wire_.said(text_of("message", published_));
      under_way_[published_++ % under_way_.size()] = {.published_at = time, .missing = members_.size()};
    }
    say(members_.front(), texts);
  }

  void count(Member& member, std::string_view bytes) {
    while (!bytes.empty()) {
      const std::uint64_t begin = member.bytes - shared_begin_;
      if (begin == shared_.size()) extend(bytes);
      const std::string_view expected = std::string_view(shared_).substr(begin, bytes.size());
      if (!bytes.starts_with(expected)) {
        throw std::runtime_error("two members read different bytes: " + std::string(bytes.substr(0, 200)));
      }
      member.bytes += expected.size();
      bytes.remove_prefix(expected.size());
    }
    for (; member.messages < found_; ++member.messages) {
      Message& message = under_way_[member.messages % under_way_.size()];
      if (message.end > member.bytes) return;
      --message.missing;
    }
  }

  // By the first member that receives them.
  void extend(std::string_view bytes) {
    shared_.append(bytes);
    std::string_view rest = std::string_view(shared_).substr(found_end_ - shared_begin_);
    while (const std::size_t size = wire_.message(rest)) {
      if (found_ == published_ || !wire_.has(rest, size, text_of("message", found_))) {
        throw std::runtime_error("not what was published: " + std::string(rest.substr(0, size)));
      }
      found_end_ += size;
      under_way_[found_++ % under_way_.size()].end = found_end_;
      rest.remove_prefix(size);
    }
  }

  // Each member receives them in order, so they are completed in order.
  std::uint64_t finish_messages() {
    const std::uint64_t before = finished_;
    const std::uint64_t time = now();
    std::uint64_t end = 0;
    for (; finished_ < found_ && under_way_[finished_ % under_way_.size()].missing == 0; ++finished_) {
      meter_.latency.add(time - under_way_[finished_ % under_way_.size()].published_at);
      end = under_way_[finished_ % under_way_.size()].end;
    }
    if (end > shared_begin_ + 65536) {
      shared_.erase(0, end - shared_begin_);
      shared_begin_ = end;
    }
    return finished_ - before;
  }

  sockaddr_in target_;
  Wire wire_;
  std::size_t text_bytes_;
  std::string padding_ = sample_text(text_bytes_);
  std::vector<Member> members_;  // the first one publishes
  std::vector<Message> under_way_;
  Meter meter_;
  Epoll epoll_;
  ReceiveBuffer buffer_;
  std::string probe_;
  std::uint64_t probes_ = 0;
  std::size_t ready_ = 0;
  bool counting_ = false;
  std::string shared_;  // what all read, from a place that all have passed to what the first has read
  std::uint64_t shared_begin_ = 0;
  std::uint64_t published_ = 0;
  std::uint64_t found_ = 0;  // whole messages in what the first has read
  std::uint64_t found_end_ = 0;
  std::uint64_t finished_ = 0;
};

inline int run_broadcast(const Options& options) {
  Broadcast(options).run();
  return 0;
}

}  // namespace bench
