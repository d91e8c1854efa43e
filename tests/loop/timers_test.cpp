// The wheel against a clock, which is a number here: order, never early, and no timer lost on its way down the levels.
#include "coax/loop/timers.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "coax/test/random.hpp"
#include "tests/support/allocations.hpp"

namespace timers_test {

using namespace coax;
using namespace std::chrono_literals;

namespace {

const TimePoint start(1000h);

// Records its name and when it fired.
struct Noted : Timer {
  Noted(std::string& log, char name, TimePoint& now)
      : Timer([](Timer& self) noexcept {
          auto& noted = static_cast<Noted&>(self);
          noted.log_ += noted.name_;
          noted.fired_at = noted.now_;
          if (noted.then) noted.then();
        }),
        log_(log),
        name_(name),
        now_(now) {}
  std::optional<TimePoint> fired_at;
  std::function<void()> then;

 private:
  std::string& log_;
  char name_;
  TimePoint& now_;
};

class TimersTest : public ::testing::Test {
 protected:
  void advance(Duration duration) {
    now += duration;
    timers.advance(now);
  }
  // As a loop does: sleeps exactly until next().
  void advance_by_next(Duration duration) {
    const TimePoint until = now + duration;
    while (now < until) {
      now = std::min(until, std::max(now, timers.next().value_or(until)));
      timers.advance(now);
    }
  }
  Noted make(char name) { return {log, name, now}; }

  TimePoint now = start;
  Timers timers{start};
  std::string log;
};

}  // namespace

TEST_F(TimersTest, fire_in_their_order_when_they_are_due) {
  Noted a = make('a');
  Noted b = make('b');
  Noted c = make('c');
  timers.start(b, now + 20ms);
  timers.start(c, now + 30ms);
  timers.start(a, now + 10ms);
  advance(9ms);
  EXPECT_EQ(log, "");
  advance(1ms);
  EXPECT_EQ(log, "a");
  advance(60ms);
  EXPECT_EQ(log, "abc");
  advance(1h);
  EXPECT_EQ(log, "abc");
}

TEST_F(TimersTest, never_fire_early) {
  Noted a = make('a');
  timers.start(a, now + 5ms + 1ns);
  advance(5ms + 999us);
  EXPECT_EQ(log, "");
  advance(1us);
  EXPECT_EQ(log, "a");
}

TEST_F(TimersTest, of_the_past_fire_at_the_next_tick) {
  Noted a = make('a');
  advance(100ms);
  timers.start(a, now - 1h);
  timers.advance(now);
  EXPECT_EQ(log, "");
  advance(1ms);
  EXPECT_EQ(log, "a");
}

TEST_F(TimersTest, tell_when_the_next_is_due) {
  EXPECT_EQ(timers.next(), std::nullopt);
  Noted a = make('a');
  timers.start(a, now + 7ms);
  EXPECT_EQ(timers.next(), now + 7ms);
  Timers::stop(a);
  EXPECT_EQ(timers.next(), std::nullopt);
  advance(1h);
  EXPECT_EQ(log, "");
}

TEST_F(TimersTest, stop_when_they_are_destroyed) {
  {
    Noted a = make('a');
    timers.start(a, now + 1ms);
  }
  advance(1s);
  EXPECT_EQ(log, "");
}

TEST_F(TimersTest, started_again_forget_their_first_time) {
  Noted a = make('a');
  timers.start(a, now + 5ms);
  timers.start(a, now + 50ms);
  advance(49ms);
  EXPECT_EQ(log, "");
  advance(1ms);
  EXPECT_EQ(log, "a");
}

TEST_F(TimersTest, may_stop_each_other_while_they_fire) {
  Noted a = make('a');
  Noted b = make('b');
  Noted c = make('c');
  a.then = [&] {
    Timers::stop(b);
    Timers::stop(a);
  };
  for (Noted* timer : {&a, &b, &c}) timers.start(*timer, now + 5ms);
  advance(5ms);
  EXPECT_EQ(log, "ac");
}

TEST_F(TimersTest, may_start_themselves_and_others_while_they_fire) {
  Noted a = make('a');
  Noted b = make('b');
  int left = 3;
  a.then = [&] {
    if (--left == 0) return;
    timers.start(a, now);  // at once, which is the next tick
    timers.start(b, now + 2ms);
  };
  timers.start(a, now + 5ms);
  advance(5ms);
  EXPECT_EQ(log, "a");
  advance(1ms);
  EXPECT_EQ(log, "aa");
  advance(1ms);
  EXPECT_EQ(log, "aaa");
  advance(1ms);
  EXPECT_EQ(log, "aaab");
}

TEST_F(TimersTest, may_be_destroyed_by_their_own_firing) {
  auto owned = std::make_unique<Noted>(log, 'a', now);
  owned->then = [&owned] { std::exchange(owned, nullptr).reset(); };
  timers.start(*owned, now + 1ms);
  advance(1ms);
  EXPECT_EQ(owned, nullptr);
}

// One timer on each side of each boundary between slots of each level, from different positions of the wheel.
TEST_F(TimersTest, fire_in_their_tick_across_all_levels) {
  for (const std::uint64_t offset :
       {0ULL, 1ULL, 63ULL, 64ULL, 4095ULL, 4096ULL, 262'143ULL, 262'145ULL, 16'777'215ULL}) {
    for (unsigned level = 0; level < 6; ++level) {
      for (const std::uint64_t slot : {1ULL, 2ULL, 31ULL, 63ULL}) {
        for (const int side : {-1, 0, 1}) {
          const std::uint64_t ticks = (slot << (6 * level)) + static_cast<std::uint64_t>(side);
          if (ticks == 0 || ticks > (1ULL << 34)) continue;
          Timers wheel(start);
          TimePoint time = start + std::chrono::milliseconds(offset);
          wheel.advance(time);
          const TimePoint due = time + std::chrono::milliseconds(ticks);
          Noted timer(log, 'x', time);
          wheel.start(timer, due);
          while (!timer.fired_at && time < due) {
            const TimePoint next = wheel.next().value_or(due);
            EXPECT_GT(next, time);
            EXPECT_LE(next, due);
            wheel.advance(next - 1ns);
            EXPECT_FALSE(timer.fired_at);
            time = next;
            wheel.advance(time);
          }
          ASSERT_EQ(timer.fired_at, due) << "offset " << offset << " ticks " << ticks;
        }
      }
    }
  }
}

TEST_F(TimersTest, of_several_years_are_neither_early_nor_lost) {
  Noted three_years = make('3');
  Noted end_of_time = make('e');
  timers.start(three_years, now + 24h * 365 * 3);
  timers.start(end_of_time, TimePoint::max());
  advance_by_next(24h * 365 * 3 - 1ms);
  EXPECT_EQ(log, "");
  advance_by_next(1ms);
  EXPECT_EQ(log, "3");
  advance_by_next(24h * 365 * 100);
  EXPECT_EQ(log, "3");
}

TEST_F(TimersTest, a_long_sleep_of_the_machine_loses_none) {
  Noted a = make('a');
  Noted b = make('b');
  Noted c = make('c');
  timers.start(c, now + 24h * 30);
  timers.start(a, now + 1ms);
  timers.start(b, now + 5min);
  advance(24h * 31);
  EXPECT_EQ(log, "abc");
}

TEST(Later, never_goes_beyond_the_end_of_time) {
  EXPECT_EQ(later(start, 1s), start + 1s);
  EXPECT_EQ(later(start, -1s), start - 1s);
  EXPECT_EQ(later(start, Duration::max()), TimePoint::max());
  EXPECT_LT(later(start, Duration::min()), start);
}

// --- against a model ---

namespace {

// Timers that are started, moved and stopped at random, and a sorted map that knows when each must fire.
class Model {
 public:
  explicit Model(std::size_t count) {
    for (std::size_t index = 0; index < count; ++index) timers_.push_back(std::make_unique<Entry>(*this));
  }
  void run(std::size_t steps) {
    for (std::size_t step = 0; step < steps; ++step) {
      change(*timers_[random_.below(timers_.size())]);
      if (random_.one_in(4)) advance();
    }
    while (!due_.empty()) advance();
  }

 private:
  struct Entry : Timer {
    explicit Entry(Model& of)
        : Timer([](Timer& self) noexcept { static_cast<Entry&>(self).model.fired(static_cast<Entry&>(self)); }),
          model(of) {}
    Model& model;
    std::multimap<TimePoint, Entry*>::iterator place;
    bool started = false;
  };

  void stop(Entry& entry) {
    Timers::stop(entry);
    if (std::exchange(entry.started, false)) due_.erase(entry.place);
  }
  void change(Entry& entry) {
    stop(entry);
    if (random_.one_in(3)) return;
    const auto magnitude = random_.below(32);
    const Duration delay = std::chrono::microseconds(random_.below(1ULL << magnitude));
    wheel_.start(entry, now_ + delay);
    entry.place = due_.emplace(now_ + delay, &entry);
    entry.started = true;
  }
  void fired(Entry& entry) {
    ASSERT_TRUE(entry.started) << "seed " << random_.seed();
    EXPECT_LE(entry.place->first, now_) << "early; seed " << random_.seed();
    stop(entry);
    if (random_.one_in(5)) change(entry);
    if (random_.one_in(10)) change(*timers_[random_.below(timers_.size())]);
  }
  void advance() {
    const auto next = wheel_.next();
    if (!due_.empty()) {
      ASSERT_TRUE(next) << "seed " << random_.seed();
      EXPECT_LE(*next, due_.begin()->first + 1ms) << "a tick late; seed " << random_.seed();
    }
    now_ =
        random_.one_in(3) || !next ? now_ + std::chrono::microseconds(random_.below(100'000)) : std::max(now_, *next);
    wheel_.advance(now_);
    for (const auto& [when, entry] : due_) {
      if (when > now_ - 2ms) break;
      ADD_FAILURE() << "forgotten; seed " << random_.seed();
    }
  }

  test::Random random_;
  TimePoint now_ = start;
  Timers wheel_{start};
  std::multimap<TimePoint, Entry*> due_;
  std::vector<std::unique_ptr<Entry>> timers_;
};

}  // namespace

TEST(Timers, behave_like_a_sorted_list) {
  Model model(2'000);
  model.run(100'000);
}

// --- a million ---

namespace {

constexpr std::size_t a_million = 1'000'000;

// Fires in the order of its ticks, or reports it.
struct Ordered : Timer {
  struct Log {
    std::uint64_t last_tick = 0;
    std::size_t fired = 0;
    std::size_t out_of_order = 0;
  };
  explicit Ordered(Log& in)
      : Timer([](Timer& self) noexcept {
          Log& log = static_cast<Ordered&>(self).log;
          if (self.tick < log.last_tick) ++log.out_of_order;
          log.last_tick = self.tick;
          ++log.fired;
        }),
        log(in) {}
  Log& log;
};

std::size_t allocated() {
#ifdef COAX_SANITIZED
  return 0;
#else
  return test::allocations;
#endif
}

}  // namespace

TEST(Timers, a_million_cost_a_few_moves_each_and_no_memory) {
  test::Random random;
  Timers wheel(start);
  Ordered::Log log;
  std::deque<Ordered> timers;
  for (std::size_t index = 0; index < a_million; ++index) timers.emplace_back(log);
  const std::size_t allocated_before = allocated();

  for (Ordered& timer : timers) {
    const std::uint64_t ms_max = 1ULL << random.between(1, 33);  // up to some months
    wheel.start(timer, start + std::chrono::milliseconds(random.below(ms_max)));
  }
  for (std::size_t index = 0; index < a_million; index += 2) Timers::stop(timers[index]);
  EXPECT_EQ(wheel.moves(), 0U) << "who only starts and stops a timer moves none";

  std::size_t turns = 0;
  for (auto next = wheel.next(); next; next = wheel.next(), ++turns) wheel.advance(*next);
  EXPECT_EQ(log.fired, a_million / 2);
  EXPECT_EQ(log.out_of_order, 0U);
  EXPECT_LE(wheel.moves(), (Timers::levels - 1) * (a_million / 2)) << "the stopped ones cost nothing";
  EXPECT_LE(turns, wheel.moves() + log.fired) << "no turn without a timer to move or to fire";
  EXPECT_EQ(allocated(), allocated_before);
}

// As with connections: each byte postpones the time limit, which never expires.
TEST(Timers, a_million_that_are_put_off_again_and_again_never_move) {
  Timers wheel(start);
  Ordered::Log log;
  std::deque<Ordered> timers;
  for (std::size_t index = 0; index < a_million; ++index) timers.emplace_back(log);
  TimePoint now = start;
  for (std::size_t index = 0; index < a_million; ++index) {
    wheel.start(timers[index], now + 30s);
    if (index % 1000 == 0) wheel.advance(now += 1ms);
  }
  for (int times = 0; times < 3; ++times) {
    for (std::size_t index = 0; index < a_million; ++index) {
      wheel.start(timers[index], now + 30s);
      if (index % 1000 == 0) wheel.advance(now += 5ms);
    }
  }
  EXPECT_EQ(log.fired, 0U);
  EXPECT_EQ(wheel.moves(), 0U);
}

}  // namespace timers_test
