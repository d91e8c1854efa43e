// Datagrams: each socket keeps `depth` in flight and sends a new one for each answer. Each has a number, and every byte
// is compared. A lost one is sent again; when more than a few are lost the run fails, since a server that loses
// datagrams does less work. A duplicate fails the run, too.
#pragma once

#include <netinet/udp.h>

#include "bench/closed_loop.hpp"

namespace bench {

class DatagramLoop {
 public:
  explicit DatagramLoop(const Options& options)
      : bytes_(options.count("bytes", 64)),
        depth_(options.count("depth", 1)),
        joined_(options.has("joined")),
        content_(bytes_),
        sockets_(options.count("connections", 1)),
        meter_(options) {
    if (bytes_ < sizeof(Head)) throw std::invalid_argument("--bytes must be at least " + std::to_string(sizeof(Head)));
    if (depth_ > batch_max) throw std::invalid_argument("--depth must be at most " + std::to_string(batch_max));
    const sockaddr_in target = options.target();
    for (std::size_t index = 0; index < sockets_.size(); ++index) {
      Socket& socket = sockets_[index];
      socket.fd = check(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
      check(connect(socket.fd, generic(target), sizeof target), "connect");
      socket.slots.resize(depth_);
      epoll_.add(socket.fd, static_cast<std::uint32_t>(index));
    }
    for (std::size_t index = 0; index < batch_max; ++index) {
      in_pieces_[index] = {.iov_base = in_bytes_.data() + index * datagram_max, .iov_len = datagram_max};
      in_[index].msg_hdr.msg_iov = &in_pieces_[index];
      in_[index].msg_hdr.msg_iovlen = 1;
    }
  }

  void run() {
    for (std::size_t index = 0; index < sockets_.size(); ++index) {
      due_.clear();
      for (std::uint32_t slot = 0; slot < depth_; ++slot) due_.push_back(slot);
      ask(index);
    }
    std::uint64_t looked_at = now();
    while (meter_.turn(answered_)) {
      turn(10);
      if (const std::uint64_t time = now(); time - looked_at > patience / 2) {
        looked_at = time;
        ask_again(time);
      }
    }
    asking_ = false;
    for (const std::uint64_t until = now() + patience; waiting() != 0 && now() < until; turn(10)) {
    }
    turn(50);  // for datagrams that arrive once more
    lost_ += waiting();
    if (lost_ * 1000 > answered_) throw std::runtime_error(std::to_string(lost_) + " datagrams were lost");
    meter_.print();
  }

 private:
  struct Head {
    std::uint32_t socket;
    std::uint32_t slot;
    std::uint64_t number;
  };
  struct Slot {
    std::uint64_t number = 0;  // 0: none is under way
    std::uint64_t asked_at = 0;
  };
  struct Socket {
    int fd = -1;
    std::vector<Slot> slots;
  };
  static constexpr std::uint64_t patience = second;
  static constexpr std::size_t batch_max = 64;
  static constexpr std::size_t datagram_max = 2048;

  void turn(int timeout_ms) {
    for (const epoll_event& event : epoll_.wait(timeout_ms)) {
      if ((event.events & EPOLLIN) != 0) receive(event.data.u32);
    }
  }

  [[nodiscard]] std::size_t waiting() const {
    std::size_t count = 0;
    for (const Socket& socket : sockets_) {
      count +=
          static_cast<std::size_t>(std::ranges::count_if(socket.slots, [](auto& slot) { return slot.number != 0; }));
    }
    return count;
  }

  // One datagram for each slot that is due.
  void ask(std::size_t index) {
    if (due_.empty() || !asking_) return;
    Socket& socket = sockets_[index];
    const std::uint64_t time = now();
    for (std::size_t at = 0; at < due_.size(); ++at) {
      Slot& slot = socket.slots[due_[at]];
      slot = {.number = ++number_, .asked_at = time};
      const Head head{.socket = static_cast<std::uint32_t>(index), .slot = due_[at], .number = slot.number};
      char* const to = out_bytes_.data() + at * bytes_;
      std::memcpy(to, &head, sizeof head);
      const std::string_view rest = content_.outgoing(index, slot.number, bytes_ - sizeof head);
      std::memcpy(to + sizeof head, rest.data(), rest.size());
    }
    send(socket.fd, due_.size());
  }

  void send(int fd, std::size_t count) {
    if (joined_ && count > 1) return send_joined(fd, count);
    for (std::size_t at = 0; at < count; ++at) {
      out_pieces_[at] = {.iov_base = out_bytes_.data() + at * bytes_, .iov_len = bytes_};
      out_[at].msg_hdr.msg_iov = &out_pieces_[at];
      out_[at].msg_hdr.msg_iovlen = 1;
    }
    const int sent = sendmmsg(fd, out_.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) fail_with_errno("sendmmsg");
  }

  void send_joined(int fd, std::size_t count) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control{};
    iovec piece{.iov_base = out_bytes_.data(), .iov_len = count * bytes_};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    const auto segment = static_cast<std::uint16_t>(bytes_);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof segment);
    std::memcpy(CMSG_DATA(header), &segment, sizeof segment);
    if (sendmsg(fd, &message, MSG_DONTWAIT) < 0 && errno != EAGAIN) fail_with_errno("sendmsg");
  }

  void receive(std::size_t index) {
    Socket& socket = sockets_[index];
    std::size_t count = batch_max;
    while (count == batch_max) {
      const int got = recvmmsg(socket.fd, in_.data(), batch_max, MSG_DONTWAIT, nullptr);
      if (got < 0 && errno != EAGAIN) fail_with_errno("recvmmsg");
      count = got < 0 ? 0 : static_cast<std::size_t>(got);
      due_.clear();
      for (std::size_t at = 0; at < count; ++at) {
        take(index, {static_cast<const char*>(in_pieces_[at].iov_base), in_[at].msg_len});
      }
      ask(index);
    }
  }

  void take(std::size_t index, std::string_view datagram) {
    Head head{};
    if (datagram.size() != bytes_) throw std::runtime_error("a datagram came back with another length");
    std::memcpy(&head, datagram.data(), sizeof head);
    if (head.socket != index || head.slot >= depth_) throw std::runtime_error("a datagram of another socket came");
    if (datagram.substr(sizeof head) != content_.outgoing(index, head.number, bytes_ - sizeof head)) {
      throw std::runtime_error("the echo is wrong");
    }
    Slot& slot = sockets_[index].slots[head.slot];
    if (slot.number != head.number) {  // it was given up, or has come before
      if (++surplus_ > lost_) throw std::runtime_error("the server sent more than it was asked for");
      return;
    }
    slot.number = 0;
    meter_.latency.add(now() - slot.asked_at);
    ++answered_;
    due_.push_back(head.slot);
  }

  void ask_again(std::uint64_t time) {
    for (std::size_t index = 0; index < sockets_.size(); ++index) {
      due_.clear();
      for (std::uint32_t slot = 0; slot < depth_; ++slot) {
        const Slot& asked = sockets_[index].slots[slot];
        if (asked.number != 0 && time - asked.asked_at > patience) due_.push_back(slot);
      }
      lost_ += due_.size();
      ask(index);
    }
  }

  std::size_t bytes_;
  std::size_t depth_;
  bool joined_;
  EchoProtocol content_;
  std::vector<Socket> sockets_;
  Meter meter_;
  Epoll epoll_;
  bool asking_ = true;
  std::uint64_t number_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t surplus_ = 0;
  std::vector<std::uint32_t> due_;
  std::vector<char> in_bytes_ = std::vector<char>(batch_max * datagram_max);
  std::vector<char> out_bytes_ = std::vector<char>(batch_max * datagram_max);
  std::array<mmsghdr, batch_max> in_{};
  std::array<mmsghdr, batch_max> out_{};
  std::array<iovec, batch_max> in_pieces_{};
  std::array<iovec, batch_max> out_pieces_{};
};

inline int run_datagrams(const Options& options) {
  DatagramLoop(options).run();
  return 0;
}

}  // namespace bench
