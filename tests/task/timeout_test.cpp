// timeout(), shield() and sleep(): which task ends when, and with which error.
#include <gtest/gtest.h>

#include "coax/stream/memory.hpp"
#include "coax/task/scope.hpp"
#include "tests/support/run.hpp"

namespace timeout_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

Task<int> give(int value) { co_return value; }
Task<> wait_for_ever() {
  Event never;
  co_await never.wait();
}
Task<> wait_turns(int turns) {
  for (int turn = 0; turn < turns; ++turn) co_await next_turn();
}
Task<int> give_after(Duration duration, int value) {
  co_await sleep(duration);
  co_return value;
}
Task<int> give_in_spite_of_cancel(int value) {
  try {
    co_await wait_for_ever();
  } catch (const Cancelled&) {
    co_return value;
  }
  co_return -1;
}
Task<> fail() {
  throw Error(ErrorKind::protocol, "parse", "", "nonsense");
  co_return;
}
Task<> end_slowly(bool& ended) {
  const std::string end = co_await outcome(wait_for_ever());
  co_await shield(sleep(5ms));
  ended = true;
  if (end == "cancelled") throw Cancelled();
}
// Records in `end` how the task ended.
Task<> observe(Task<> task, std::string& end) { end = co_await outcome(std::move(task)); }

TimePoint clock_now() { return Loop::current().backend().now(); }

}  // namespace

// --- timeout ---

TEST(Timeout, returns_the_result_of_a_task_in_time) {
  run([]() -> Task<> {
    EXPECT_EQ(co_await timeout(1h, give(1)), 1);
    EXPECT_EQ(co_await timeout(1h, give_after(1ms, 2)), 2);
    EXPECT_EQ(co_await outcome(timeout(1h, fail())), "protocol");
  });
}

TEST(Timeout, is_an_error_that_names_the_limit) {
  run([]() -> Task<> {
    std::string told;
    try {
      co_await timeout(2ms, wait_for_ever());
    } catch (const Error& error) {
      told = error.what();
    }
    EXPECT_EQ(told, "wait: the time limit of 2ms has passed");
  });
}

TEST(Timeout, ends_a_loop_that_catches_every_std_exception) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    int caught = 0;
    const auto receive = [](Stream& stream, int& errors) -> Task<> {
      while (true) {
        try {
          co_await stream.recv();
        } catch (const std::exception&) {
          if (++errors == 1000) throw;
        }
      }
    };
    EXPECT_EQ(co_await outcome(timeout(2ms, receive(*near, caught))), "timed_out");
    EXPECT_EQ(caught, 0);
  });
}

TEST(Timeout, never_fires_early) {
  run([]() -> Task<> {
    for (const Duration limit : {Duration(0), Duration(1ns), Duration(1500us), Duration(20ms)}) {
      const TimePoint before = clock_now();
      EXPECT_EQ(co_await outcome(timeout(limit, wait_for_ever())), "timed_out");
      EXPECT_GE(clock_now() - before, limit);
    }
    EXPECT_EQ(co_await outcome(timeout(-1h, wait_for_ever())), "timed_out");
  });
}

TEST(Timeout, of_any_length_is_accepted) {
  run([]() -> Task<> {
    EXPECT_EQ(co_await timeout(Duration::max(), give_after(1ms, 1)), 1);
    EXPECT_EQ(co_await outcome(timeout(1ms, sleep(Duration::max()))), "timed_out");
  });
}

TEST(Timeout, waits_until_the_task_has_really_ended) {
  run([]() -> Task<> {
    bool ended = false;
    EXPECT_EQ(co_await outcome(timeout(1ms, end_slowly(ended))), "timed_out");
    EXPECT_TRUE(ended);
  });
}

TEST(Timeout, returns_a_result_that_was_ready_despite_the_limit) {
  run([]() -> Task<> { EXPECT_EQ(co_await timeout(1ms, give_in_spite_of_cancel(3)), 3); });
}

TEST(Timeout, leaves_no_timer_behind) {
  run([]() -> Task<> {
    co_await timeout(1h, give(1));
    co_await timeout(1h, give_after(1ms, 1));
    EXPECT_EQ(co_await outcome(timeout(1h, fail())), "protocol");
    const auto next = Loop::current().timers().next();
    EXPECT_TRUE(!next || *next > clock_now() + 10s) << "only the limit of the test itself is left";
  });
}

TEST(Timeout, inside_another_is_distinct_from_it) {
  run([]() -> Task<> {
    const auto inner_first = []() -> Task<std::string> { co_return co_await outcome(timeout(1ms, wait_for_ever())); };
    EXPECT_EQ(co_await timeout(1h, inner_first()), "timed_out");

    // The outer timeout cancels the inner one.
    std::string inside;
    const auto outer_first = [](std::string& end) -> Task<> {
      end = co_await outcome(timeout(1h, wait_for_ever()));
      co_await wait_for_ever();
    };
    EXPECT_EQ(co_await outcome(timeout(1ms, outer_first(inside))), "timed_out");
    EXPECT_EQ(inside, "cancelled");

    EXPECT_EQ(co_await outcome(timeout(1ms, timeout(1ms, wait_for_ever()))), "timed_out");
    EXPECT_EQ(co_await outcome(timeout(1h, timeout(1ms, wait_for_ever()))), "timed_out");
    EXPECT_EQ(co_await outcome(timeout(1ms, timeout(1h, wait_for_ever()))), "timed_out");
  });
}

TEST(Timeout, is_not_taken_for_a_cancellation_from_outside) {
  run([]() -> Task<> {
    std::string end;
    const auto inner = []() -> Task<> { co_await timeout(1h, wait_for_ever()); };
    TaskGroup group;
    group.spawn(observe(inner(), end));
    co_await next_turn();
    group.cancel();
    co_await group.join();
    EXPECT_EQ(end, "cancelled");
  });
}

TEST(Timeout, that_passes_while_a_cancelled_task_ends_is_no_timeout) {
  run([]() -> Task<> {
    std::string end;
    bool ended = false;
    const auto inner = [](bool& flag) -> Task<> { co_await timeout(2ms, end_slowly(flag)); };
    TaskGroup group;
    group.spawn(observe(inner(ended), end));
    co_await next_turn();
    group.cancel();
    co_await group.join();
    EXPECT_TRUE(ended);
    EXPECT_EQ(end, "cancelled");
  });
}

TEST(Timeout, is_cancelled_by_what_starts_inside_it) {
  run([]() -> Task<> {
    std::string end;
    const auto inner = []() -> Task<> {
      const auto cancel_and_wait = [](Context& context) -> Task<> {
        context.cancel();
        co_await wait_for_ever();
      };
      Context& self = co_await this_context();
      co_await timeout(1h, cancel_and_wait(self));
    };
    TaskGroup group;
    group.spawn(observe(inner(), end));
    co_await group.join();
    EXPECT_EQ(end, "cancelled");
  });
}

// --- shield ---

TEST(Shield, keeps_a_cancellation_outside_until_the_task_has_ended) {
  run([]() -> Task<> {
    std::string trace;
    const auto inner = [](std::string& log) -> Task<> {
      co_await shield(wait_turns(5));
      log += "cleaned up, ";
      log += co_await outcome(next_turn());
      log += ", ";
      log += co_await outcome(sleep(1h));
    };
    TaskGroup group;
    group.spawn(inner(trace));
    co_await next_turn();
    group.cancel();
    EXPECT_EQ(trace, "");
    co_await group.join();
    EXPECT_EQ(trace, "cleaned up, cancelled, cancelled");
  });
}

TEST(Shield, works_in_a_context_that_is_cancelled_already) {
  run([]() -> Task<> {
    int result = 0;
    const auto inner = [](int& value) -> Task<> { value = co_await shield(give_after(1ms, 4)); };
    TaskGroup group;
    group.cancel();
    group.spawn(inner(result));
    co_await group.join();
    EXPECT_EQ(result, 4);
  });
}

TEST(Shield, may_have_a_limit) {
  run([]() -> Task<> {
    EXPECT_EQ(co_await shield(1h, give(5)), 5);
    EXPECT_EQ(co_await outcome(shield(1ms, wait_for_ever())), "timed_out");
    std::string end;
    const auto inner = []() -> Task<> { co_await shield(3ms, wait_for_ever()); };
    TaskGroup group;
    group.cancel();
    group.spawn(observe(inner(), end));
    EXPECT_EQ(end, "");
    co_await group.join();
    EXPECT_EQ(end, "timed_out");
  });
}

TEST(Shield, passes_errors_on) {
  run([]() -> Task<> { EXPECT_EQ(co_await outcome(shield(fail())), "protocol"); });
}

// --- sleep ---

TEST(Sleep, lasts_at_least_as_long_as_it_says) {
  run([]() -> Task<> {
    for (const Duration duration : {Duration(0), Duration(1ns), Duration(1ms), Duration(7ms)}) {
      const TimePoint before = clock_now();
      co_await sleep(duration);
      EXPECT_GE(clock_now() - before, duration);
    }
    co_await sleep(-1h);
    co_await sleep_until(clock_now() - 1h);
    const TimePoint when = clock_now() + 3ms;
    co_await sleep_until(when);
    EXPECT_GE(clock_now(), when);
  });
}

TEST(Sleep, ends_when_it_is_cancelled) {
  run([]() -> Task<> {
    std::string end;
    const auto inner = []() -> Task<> { co_await sleep(1h); };
    TaskGroup group;
    group.spawn(observe(inner(), end));
    co_await next_turn();
    group.cancel();
    group.cancel();
    EXPECT_EQ(end, "");
    co_await group.join();
    EXPECT_EQ(end, "cancelled");
  });
}

}  // namespace timeout_test
