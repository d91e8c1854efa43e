// An outer event loop on poll(2): it drives coax loops as the documentation of Loop requires, and counts how often it
// is woken.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "coax/loop/loop.hpp"
#include "tests/support/run.hpp"

namespace coax::test {

class PollLoop {
 public:
  explicit PollLoop(std::vector<Loop*> loops) : loops_(std::move(loops)) {
    for (Loop* loop : loops_) polled_.push_back({.fd = loop->poll_descriptor(), .events = POLLIN, .revents = 0});
  }

  // Until condition() is true; it is called after each wait.
  template <class Condition>
  void run_until(Condition condition) {
    const TimePoint end = Clock::now() + time_limit;
    while (!condition() && Clock::now() < end) step(time_limit);
    EXPECT_LT(Clock::now(), end) << "the outer loop reached its limit";
  }
  // Until no work is ready.
  void settle() {
    run_until([this] { return !is_ready(); });
  }
  // Waits once, at most that long, and dispatches.
  void step(Duration limit) {
    std::vector<std::optional<Duration>> timeouts;
    for (Loop* loop : loops_) {
      timeouts.push_back(loop->poll_timeout());
      limit = std::min(limit, timeouts.back().value_or(limit));
    }
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
    ::poll(polled_.data(), polled_.size(), static_cast<int>(milliseconds));
    for (std::size_t index = 0; index < loops_.size(); ++index) {
      const bool is_due = timeouts[index] && loops_[index]->poll_timeout() == Duration::zero();
      if (polled_[index].revents == 0 && !is_due) continue;
      ++wakeups_;
      loops_[index]->run_once();
    }
  }
  [[nodiscard]] bool is_readable() { return ::poll(polled_.data(), polled_.size(), 0) > 0; }
  [[nodiscard]] bool is_ready() {
    return is_readable() ||
           std::ranges::any_of(loops_, [](Loop* loop) { return loop->poll_timeout() == Duration::zero(); });
  }
  [[nodiscard]] std::size_t wakeups() const noexcept { return wakeups_; }

 private:
  std::vector<Loop*> loops_;
  std::vector<pollfd> polled_;
  std::size_t wakeups_ = 0;
};

}  // namespace coax::test
