// A room with many members, one of whom publishes: it keeps some messages under way, and one counts as finished when
// all members have it. Every member's bytes are compared with what was published, in its order.
#pragma once

#include "bench/generator.hpp"

namespace bench {

class Broadcast {
 public:
  explicit Broadcast(const Options& options)
      : target_(options.target()),
        message_bytes_(options.number("bytes", std::size_t{100})),
        members_(options.count("subscribers", 1000)),
        under_way_(options.count("in-flight", 16)),
        meter_(options) {
    if (message_bytes_ < 24) throw std::invalid_argument("--bytes must be at least 24");
  }

  void run() {
    for (std::size_t index = 0; index < members_.size(); ++index) {
      join(index);
      if (index % 16 == 15) receive_all(0);
    }
    synchronise();
    publish(under_way_.size());
    while (meter_.turn(finished_)) {
      receive_all(100);
      const std::uint64_t finished = finish_messages();
      if (finished != 0) publish(finished);
    }
    meter_.print(members_.size());
  }

 private:
  static constexpr std::string_view greeting = "NICK";

  struct Member {
    int fd = -1;
    bool greeted = false;
    bool ready = false;       // has had the last probe
    std::uint64_t bytes = 0;  // since the measuring began
    std::string begun;        // of a line, before
  };
  struct Message {
    std::string line;  // as it comes
    std::uint64_t published_at = 0;
    std::size_t missing = 0;  // members that do not have it
  };

  void join(std::size_t index) {
    members_[index].fd = connect_to(target_, index);
    say(members_[index], "m" + std::to_string(index) + "\n");
    epoll_.add(members_[index].fd, static_cast<std::uint32_t>(index));
  }

  static void say(const Member& member, std::string_view text) {
    const ssize_t sent = send(member.fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(text.size())) throw std::runtime_error("the server does not read");
  }

  void receive_all(int timeout_ms) {
    for (const epoll_event& event : epoll_.wait(timeout_ms)) {
      if ((event.events & (EPOLLIN | ended_events)) == 0) continue;
      Member& member = members_[event.data.u32];
      const bool ended = (event.events & ended_events) != 0;
      const bool open = buffer_.drain(member.fd, ended, [&](std::string_view bytes) {
        counting_ ? count(member, bytes) : look_for_probe(member, bytes);
        return true;
      });
      if (!open) throw std::runtime_error("the server closed a connection");
    }
  }

  // --- before the measuring: everybody is in, and has read away who came ---

  // Servers differ in what they tell of comings; a probe that has reached all is a place in the stream that all share.
  void synchronise() {
    const std::uint64_t give_up = now() + 60 * second;
    while (ready_ < members_.size()) {
      if (now() > give_up) {
        throw std::runtime_error(std::to_string(ready_) + " of " + std::to_string(members_.size()) +
                                 " have joined in 60 s");
      }
      for (Member& member : members_) member.ready = false;
      ready_ = 0;
      probe_ = text_of(probes_++);
      probe_.replace(0, 5, "probe");
      say(members_.front(), probe_);
      const std::uint64_t until = now() + second / 4;
      while (ready_ < members_.size() && now() < until) receive_all(10);
    }
    counting_ = true;
  }

  void look_for_probe(Member& member, std::string_view bytes) {
    member.begun.append(bytes);
    if (!member.greeted) {
      if (member.begun.size() < greeting.size()) return;
      if (!member.begun.starts_with(greeting)) throw std::runtime_error("not a chat server: " + member.begun);
      member.begun.erase(0, greeting.size());
      member.greeted = true;
    }
    std::string_view rest = member.begun;
    std::size_t end = 0;
    while ((end = rest.find('\n')) != std::string_view::npos) {
      const std::string_view line = rest.substr(0, end + 1);
      rest.remove_prefix(end + 1);
      if (!line.ends_with(probe_) || member.ready) continue;
      prefix_ = line.substr(0, line.size() - probe_.size());
      member.ready = true;
      ++ready_;
    }
    member.begun = std::string(rest);
  }

  // --- measuring ---

  // "message 0000000042 ......\n", of the wanted length.
  [[nodiscard]] std::string text_of(std::uint64_t number) const {
    const std::string digits = std::to_string(number);
    std::string text = "message " + std::string(digits.size() < 10 ? 10 - digits.size() : 0, '0') + digits + " ";
    text.resize(message_bytes_ - 1, '.');
    return text + '\n';
  }

  void publish(std::uint64_t count) {
    std::string texts;
    const std::uint64_t time = now();
    for (; count != 0; --count) {
      const std::string text = text_of(published_);
      under_way_[published_++ % under_way_.size()] = {
          .line = prefix_ + text, .published_at = time, .missing = members_.size()};
      texts += text;
    }
    say(members_.front(), texts);
  }

  void count(Member& member, std::string_view bytes) {
    const std::size_t line_bytes = prefix_.size() + message_bytes_;
    while (!bytes.empty()) {
      const std::uint64_t number = member.bytes / line_bytes;
      const std::size_t done = member.bytes % line_bytes;
      Message& message = under_way_[number % under_way_.size()];
      const std::string_view expected = std::string_view(message.line).substr(done, bytes.size());
      if (number >= published_ || !bytes.starts_with(expected)) {
        throw std::runtime_error("not what was published: " + std::string(bytes.substr(0, line_bytes)));
      }
      member.bytes += expected.size();
      bytes.remove_prefix(expected.size());
      if (member.bytes % line_bytes == 0) --message.missing;
    }
  }

  // Each member has them in their order, so they are finished in their order.
  std::uint64_t finish_messages() {
    const std::uint64_t before = finished_;
    const std::uint64_t time = now();
    while (finished_ < published_ && under_way_[finished_ % under_way_.size()].missing == 0) {
      meter_.latency.add(time - under_way_[finished_++ % under_way_.size()].published_at);
    }
    return finished_ - before;
  }

  sockaddr_in target_;
  std::size_t message_bytes_;
  std::vector<Member> members_;  // the first one publishes
  std::vector<Message> under_way_;
  Meter meter_;
  Epoll epoll_;
  ReceiveBuffer buffer_;
  std::string probe_;
  std::uint64_t probes_ = 0;
  std::size_t ready_ = 0;
  bool counting_ = false;
  std::string prefix_;  // what the server puts before each message
  std::uint64_t published_ = 0;
  std::uint64_t finished_ = 0;
};

inline int run_broadcast(const Options& options) {
  Broadcast(options).run();
  return 0;
}

}  // namespace bench
