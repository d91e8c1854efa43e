// Timers in a hierarchical wheel (Varghese and Lauck, 1987). Start and stop are O(1) for any number of timers. A timer
// that is stopped before it fires, as nearly every time limit is, never costs more than that.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "coax/base/list.hpp"
#include "coax/base/units.hpp"

namespace coax {

// A member of the object that it calls. Its destructor stops it.
struct Timer : ListHook {
  using Fire = void (*)(Timer&) noexcept;
  explicit Timer(Fire on_fire) noexcept : fire(on_fire) {}
  Fire fire;
  std::uint64_t tick = 0;
};

// `time` + `duration`, or the maximum of TimePoint when that would overflow.
inline TimePoint later(TimePoint time, Duration duration) noexcept {
  return duration < TimePoint::max() - time ? time + duration : TimePoint::max();
}

// Ticks are milliseconds. A timer never fires early, and at most one tick and the length of a loop turn late.
class Timers {
 public:
  static constexpr unsigned levels = 6;

  explicit Timers(TimePoint start) noexcept : start_(start) {}

  void start(Timer& timer, TimePoint when) noexcept;
  static void stop(Timer& timer) noexcept { timer.unlink(); }
  // When the timer, which was started, is due: at most a tick after the time for which it was started.
  [[nodiscard]] TimePoint due(const Timer& timer) const noexcept {
    return start_ + std::chrono::milliseconds(timer.tick);
  }
  // A lower bound of when the next timer is due.
  [[nodiscard]] std::optional<TimePoint> next() noexcept;
  // How often timers have moved down a level: the only cost beside start and stop. A timer that is due within a year
  // moves at most levels - 1 times, and not at all before its slot is reached.
  [[nodiscard]] std::uint64_t moves() const noexcept { return moves_; }
  // Fires all that are due. A fired timer may start and stop any timer, itself too.
  void advance(TimePoint now) noexcept;

 private:
  static constexpr unsigned slots = 64;
  struct Level {
    std::uint64_t occupied = 0;  // a bit per slot; may be stale after timers were stopped
    std::array<List<Timer>, slots> lists;
  };
  struct Due {
    std::uint64_t tick;
    unsigned level;
    unsigned slot;
  };

  void insert(Timer& timer) noexcept;
  std::optional<Due> next_due() noexcept;
  void process(const Due& due) noexcept;

  TimePoint start_;
  std::uint64_t elapsed_ = 0;
  std::uint64_t moves_ = 0;
  std::array<Level, levels> wheel_;
};

}  // namespace coax
