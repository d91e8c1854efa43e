// The wheel: level n has 64 slots of 64^n ticks each. A timer is on the level of the highest digit (base 64) in which
// its tick differs from the present one. When time reaches its slot it fires (level 0) or moves down.
#include "coax/loop/timers.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

namespace coax {

namespace {
constexpr unsigned digit_bits = 6;
constexpr std::uint64_t digit_mask = 63;
// About a year. A timer due later waits here, and is moved on when its slot is reached.
constexpr std::uint64_t horizon = std::uint64_t{1} << (digit_bits * 6 - 1);
}  // namespace

void Timers::start(Timer& timer, TimePoint when) noexcept {
  const auto ticks = std::chrono::ceil<std::chrono::milliseconds>(when - start_).count();
  timer.tick = std::max(elapsed_ + 1, static_cast<std::uint64_t>(std::max<std::int64_t>(ticks, 0)));
  insert(timer);
}

void Timers::insert(Timer& timer) noexcept {
  const std::uint64_t tick = std::min(timer.tick, elapsed_ + horizon);
  const std::uint64_t differs = (elapsed_ ^ tick) | 1;
  const unsigned level = std::min<unsigned>((63 - std::countl_zero(differs)) / digit_bits, levels - 1);
  const auto slot = static_cast<unsigned>((tick >> (level * digit_bits)) & digit_mask);
  wheel_[level].lists[slot].push_back(timer);
  wheel_[level].occupied |= std::uint64_t{1} << slot;
}

std::optional<Timers::Due> Timers::next_due() noexcept {
  for (unsigned level = 0; level < levels; ++level) {
    Level& row = wheel_[level];
    const unsigned shift = level * digit_bits;
    const auto now_slot = static_cast<unsigned>((elapsed_ >> shift) & digit_mask);
    while (row.occupied != 0) {
      // The first occupied slot at or after the present one, around the circle.
      const auto distance =
          static_cast<unsigned>(std::countr_zero(std::rotr(row.occupied, static_cast<int>(now_slot))));
      const unsigned slot = (now_slot + distance) & digit_mask;
      if (row.lists[slot].empty()) {
        row.occupied &= ~(std::uint64_t{1} << slot);
        continue;
      }
      const std::uint64_t turn = std::uint64_t{1} << (shift + digit_bits);
      std::uint64_t tick = (elapsed_ & ~(turn - 1)) + (std::uint64_t{slot} << shift);
      if (tick <= elapsed_) tick += turn;
      return Due{tick, level, slot};
    }
  }
  return std::nullopt;
}

std::optional<TimePoint> Timers::next() noexcept {
  const auto due = next_due();
  if (!due) return std::nullopt;
  return start_ + std::chrono::milliseconds(due->tick);
}

void Timers::process(const Due& due) noexcept {
  elapsed_ = due.tick;
  List<Timer> taken;
  Level& row = wheel_[due.level];
  taken.splice_back(row.lists[due.slot]);
  row.occupied &= ~(std::uint64_t{1} << due.slot);
  while (!taken.empty()) {
    Timer& timer = taken.pop_front();
    if (timer.tick > elapsed_) {
      ++moves_;
      insert(timer);
    } else {
      timer.fire(timer);
    }
  }
}

void Timers::advance(TimePoint now) noexcept {
  const auto ticks = std::chrono::floor<std::chrono::milliseconds>(now - start_).count();
  if (ticks <= 0) return;
  const auto target = static_cast<std::uint64_t>(ticks);
  for (auto due = next_due(); due && due->tick <= target; due = next_due()) process(*due);
  elapsed_ = std::max(elapsed_, target);
}

}  // namespace coax
