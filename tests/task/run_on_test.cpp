// Tasks on other loops, and the root of all tasks. Under ThreadSanitizer these are the relevant tests.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <set>
#include <stdexcept>
#include <thread>

#include "coax/task/run.hpp"
#include "coax/test/random.hpp"
#include "tests/support/captured.hpp"
#include "tests/support/run.hpp"

namespace run_on_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr RunOptions two_threads{.threads = 2};

Loop& other_loop() { return *Loop::current().together()[1]; }

Task<> note_thread(std::thread::id& id) {
  co_await next_turn();
  id = std::this_thread::get_id();
}
Task<> wait_for_ever() {
  Event never;
  co_await never.wait();
}
Task<> wait_turns(std::size_t turns) {
  for (std::size_t turn = 0; turn < turns; ++turn) co_await next_turn();
}
Task<> fail_after(int turns, std::string text) {
  co_await wait_turns(turns);
  throw std::runtime_error(text);
}
Task<> observe(Task<> task, std::string& end) { end = co_await outcome(std::move(task)); }

}  // namespace

TEST(RunOn, runs_on_the_other_loop_and_returns) {
  run(
      []() -> Task<> {
        const std::thread::id here = std::this_thread::get_id();
        std::thread::id there;
        co_await run_on(other_loop(), note_thread(there));
        EXPECT_NE(there, std::thread::id());
        EXPECT_NE(there, here);
        EXPECT_EQ(std::this_thread::get_id(), here);
      },
      two_threads);
}

TEST(RunOn, the_loop_of_its_own_works_too) {
  run([]() -> Task<> {
    std::thread::id there;
    co_await run_on(Loop::current(), note_thread(there));
    EXPECT_EQ(there, std::this_thread::get_id());
    std::string end;
    TaskGroup group;
    group.spawn(observe(run_on(Loop::current(), wait_for_ever()), end));
    group.cancel();
    co_await group.join();
    EXPECT_EQ(end, "cancelled");
  });
}

TEST(RunOn, brings_errors_home) {
  run(
      []() -> Task<> {
        for (const int turns : {0, 3}) {
          std::string told;
          try {
            co_await run_on(other_loop(), fail_after(turns, "far away"));
          } catch (const std::runtime_error& error) {
            told = error.what();
          }
          EXPECT_EQ(told, "far away");
        }
      },
      two_threads);
}

TEST(RunOn, is_cancelled_there_and_waited_for) {
  run(
      []() -> Task<> {
        const auto end_slowly = [](bool& flag) -> Task<> {
          const std::string how = co_await outcome(wait_for_ever());
          co_await shield(sleep(2ms));
          flag = true;
          if (how == "cancelled") throw Cancelled();
        };
        bool ended = false;
        std::string end;
        TaskGroup group;
        group.spawn(observe(run_on(other_loop(), end_slowly(ended)), end));
        co_await next_turn();
        group.cancel();
        co_await group.join();
        EXPECT_TRUE(ended);
        EXPECT_EQ(end, "cancelled");
      },
      two_threads);
}

TEST(RunOn, in_a_cancelled_context_does_not_start) {
  run(
      []() -> Task<> {
        std::thread::id there;
        std::string end;
        TaskGroup group;
        group.cancel();
        group.spawn(observe(run_on(other_loop(), note_thread(there)), end));
        co_await group.join();
        EXPECT_EQ(there, std::thread::id());
        EXPECT_EQ(end, "cancelled");
      },
      two_threads);
}

namespace {

Task<> count_runs(std::atomic<std::size_t>& runs, std::size_t turns) {
  co_await wait_turns(turns);
  ++runs;
}

Task<> race_with_its_end(Random& random) {
  std::atomic<std::size_t> runs = 0;
  std::size_t done = 0;
  for (int times = 0; times < 10'000; ++times) {
    std::string end;
    TaskGroup group;
    group.spawn(observe(run_on(other_loop(), count_runs(runs, random.below(3))), end));
    co_await wait_turns(random.below(4));
    group.cancel();
    co_await group.join();
    EXPECT_TRUE(end == "done" || end == "cancelled") << end;
    if (end == "done") ++done;
  }
  EXPECT_LE(done, runs);
}

}  // namespace

TEST(RunOn, a_cancellation_may_meet_the_end) {
  run(
      []() -> Task<> {
        Random random;
        co_await race_with_its_end(random);
      },
      two_threads);
}

TEST(RunOn, there_and_back_nests) {
  const auto ping = [](auto& self, Loop& here, Loop& there, int depth) -> Task<int> {
    if (depth == 0) co_return 0;
    int result = 0;
    const auto deeper = [](auto& ping_self, Loop& a, Loop& b, int left, int& out) -> Task<> {
      out = co_await ping_self(ping_self, a, b, left);
    };
    co_await run_on(there, deeper(self, there, here, depth - 1, result));
    co_return result + 1;
  };
  run(
      [&]() -> Task<> {
        const int depth = co_await ping(ping, Loop::current(), other_loop(), 200);
        EXPECT_EQ(depth, 200);
      },
      two_threads);
}

// --- the root ---

TEST(RunToEnd, has_the_requested_number_of_loops) {
  run(
      []() -> Task<> {
        EXPECT_EQ(Loop::current().together().size(), 4U);
        std::set<std::thread::id> threads;
        for (Loop* loop : Loop::current().together()) {
          std::thread::id id;
          co_await run_on(*loop, note_thread(id));
          threads.insert(id);
        }
        EXPECT_EQ(threads.size(), 4U);
      },
      {.threads = 4});
  run([]() -> Task<> {
    EXPECT_EQ(Loop::current().together().size(), 1U);
    EXPECT_EQ(Loop::current().together()[0], &Loop::current());
    co_return;
  });
}

// The end of a loop must wait for threads that are in wake().
TEST(RunToEnd, may_be_short) {
  for (int times = 0; times < 300; ++times) {
    run(
        []() -> Task<> {
          std::thread::id id;
          co_await run_on(other_loop(), note_thread(id));
        },
        two_threads);
  }
}

TEST(RunToEnd, throws_what_the_task_throws) {
  EXPECT_THROW(run_to_end(fail_after(2, "the root")), std::runtime_error);
  const auto cancel_itself = []() -> Task<> {
    (co_await this_context()).cancel();
    co_await next_turn();
  };
  EXPECT_THROW(run_to_end(cancel_itself()), Cancelled);
}

TEST(RunToEnd, a_loop_runs_one_task_after_the_other) {
  Loop loop;
  run_to_end(loop, wait_turns(2));
  EXPECT_THROW(run_to_end(loop, fail_after(2, "the first")), std::runtime_error);
  run_to_end(loop, wait_turns(2));
}

TEST(RunToEnd, may_run_inside_another) {
  run([]() -> Task<> {
    Loop& outer = Loop::current();
    co_await next_turn();
    run_to_end(wait_turns(3));
    EXPECT_EQ(&Loop::current(), &outer);
    co_await sleep(1ms);
  });
}

TEST(Run, turns_the_end_into_an_exit_code) {
  EXPECT_EQ(coax::run(wait_turns(1)), 0);
  testing::internal::CaptureStderr();
  EXPECT_EQ(coax::run(fail_after(1, "nothing works")), 1);
  EXPECT_EQ(captured_stderr(), "nothing works\n");
}

TEST(Run, is_cancelled_by_a_signal) {
  const auto raise_and_wait = [](int number, std::string& end) -> Task<> {
    std::raise(number);
    end = co_await outcome(wait_for_ever());
  };
  for (const int number : {SIGINT, SIGTERM}) {
    std::string end;
    EXPECT_EQ(coax::run(raise_and_wait(number, end)), 0);
    EXPECT_EQ(end, "cancelled");
  }
}

}  // namespace run_on_test
