// Accepting in serve.cpp: a connection that no loop has yet, and when another one can be closed for it.
#pragma once

#include <chrono>
#include <utility>

#include "coax/stream/socket_stream.hpp"

namespace coax {

constexpr Duration reclaim_silent = std::chrono::seconds(1);
constexpr Duration reclaim_idle = std::chrono::seconds(30);

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
