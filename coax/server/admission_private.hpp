// Who may come in to a server, and who makes room for a newcomer. For serve.cpp alone.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "coax/server/serve.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/scope.hpp"

namespace coax {

// --- who may come in: on the server's loop ---

// Of this machine: the loopback interface, or a Unix socket.
inline bool is_here(const Endpoint& peer) noexcept {
  return peer.is_loopback() || peer.family() == Endpoint::Family::none;
}

class Admission {
 public:
  explicit Admission(const Limits& limits) : limits_(limits) {}

  [[nodiscard]] bool full() const noexcept { return limits_.connections_max && open_ >= *limits_.connections_max; }
  // False: too many are there from its host.
  bool enter(const Endpoint& peer) {
    if (!is_here(peer) && limits_.connections_per_host_max) {
      std::size_t& count = per_host_[peer.host_key()];
      if (count >= *limits_.connections_per_host_max) return false;
      ++count;
    }
    ++open_;
    return true;
  }
  void leave(const Endpoint& peer) {
    const auto host = per_host_.find(peer.host_key());
    if (host != per_host_.end() && --host->second == 0) per_host_.erase(host);
    --open_;
    left_.set();
  }
  Task<> wait_for_room() {
    while (full()) {
      left_.clear();
      co_await left_.wait();
    }
  }

 private:
  const Limits& limits_;
  std::map<Endpoint, std::size_t> per_host_;
  std::size_t open_ = 0;
  Event left_;
};

// --- who makes room for a newcomer ---

constexpr Duration reclaim_silent = std::chrono::seconds(1);
constexpr Duration reclaim_idle = std::chrono::seconds(30);

// The best has the lowest rank and, of those, has been idle for longest.
struct Victim {
  enum class Rank : std::uint8_t { silent, between_requests, idle, none } rank = Rank::none;
  TimePoint idle_since;
  std::uint64_t id = 0;
  friend bool operator<(const Victim& left, const Victim& right) noexcept {
    return std::tie(left.rank, left.idle_since) < std::tie(right.rank, right.idle_since);
  }
};

// An accepted connection that no loop has taken over yet.
class Newcomer {
 public:
  explicit Newcomer(const SocketListener::Accepted& accepted) noexcept : accepted_(accepted) {}
  Newcomer(const Newcomer&) = delete;
  Newcomer& operator=(const Newcomer&) = delete;
  ~Newcomer() {
    if (accepted_.native >= 0) Loop::current().backend().discard(accepted_.native);
  }
  [[nodiscard]] const Endpoint& peer() const noexcept { return accepted_.peer; }
  int take() noexcept { return std::exchange(accepted_.native, -1); }

 private:
  SocketListener::Accepted accepted_;
};

}  // namespace coax
