// Calls on threads: how many at once, in which order, and the effects of a cancellation.
#include "coax/task/offload.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <mutex>
#include <semaphore>
#include <set>
#include <stdexcept>
#include <thread>

#include "coax/sim/sim.hpp"
#include "coax/task/scope.hpp"
#include "coax/test/random.hpp"
#include "tests/support/run.hpp"

namespace offload_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t threads_max = 8;  // as offload.hpp says

class Offload : public OnKernel {};
class OffloadDeathTest : public OnKernel {};

// Blocks calls until it is opened; counts the blocked ones.
struct Gate {
  std::atomic<int> inside = 0;
  std::atomic<bool> is_open = false;
  void pass() {
    ++inside;
    is_open.wait(false);
    --inside;
  }
  void open() {
    is_open = true;
    is_open.notify_all();
  }
};

Task<> pass_gate(Gate& gate) {
  const auto pass = [&gate] { gate.pass(); };
  co_await offload(pass);
}
Task<> abandon_at(std::shared_ptr<Gate> gate) {
  const auto pass = [gate] { gate->pass(); };
  co_await offload(pass, abandon_on_cancel);
}
// Abandoned for sure, since it has begun.
Task<> abandon_inside(std::shared_ptr<Gate> gate) {
  EXPECT_EQ(co_await race(abandon_at(gate), until([&gate] { return gate->inside == 1; })), 1U);
}
Task<> note(int number, std::vector<int>& log) {
  co_await offload([number, &log] { log.push_back(number); });
}
Task<> observe(Task<> task, std::string& end) { end = co_await outcome(std::move(task)); }

}  // namespace

TEST_F(Offload, calls_the_function_on_a_thread_and_returns_its_result) {
  run([]() -> Task<> {
    const std::thread::id here = std::this_thread::get_id();
    const std::thread::id there = co_await offload([] { return std::this_thread::get_id(); });
    EXPECT_NE(there, here);
    EXPECT_EQ(std::this_thread::get_id(), here);
    bool ran = false;
    co_await offload([&ran] { ran = true; });
    EXPECT_TRUE(ran);
    EXPECT_EQ(*co_await offload([] { return std::make_unique<int>(7); }), 7);
  });
}

TEST_F(Offload, brings_errors_home) {
  run([]() -> Task<> {
    std::string told;
    try {
      co_await offload([]() -> int { throw std::runtime_error("far away"); });
    } catch (const std::runtime_error& error) {
      told = error.what();
    }
    EXPECT_EQ(told, "far away");
    EXPECT_EQ(co_await outcome(offload([] { throw Error(ErrorKind::refused, "open", "", "no"); })), "refused");
  });
}

TEST_F(Offload, leaves_the_loop_free) {
  run([]() -> Task<> {
    Gate gate;
    const auto open = [](Gate& held) -> Task<> {
      co_await until([&held] { return held.inside == 1; });
      held.open();
    };
    co_await all(pass_gate(gate), open(gate));
  });
}

TEST_F(Offload, runs_so_many_at_once_and_no_more) {
  run([]() -> Task<> {
    Gate gate;
    TaskGroup group;
    for (int index = 0; index < 20; ++index) group.spawn(pass_gate(gate));
    co_await until([&gate] { return gate.inside == threads_max; });
    for (int turn = 0; turn < 100; ++turn) co_await next_turn();
    EXPECT_EQ(gate.inside, static_cast<int>(threads_max));
    EXPECT_EQ(group.size(), 20U);
    gate.open();
    co_await group.join();
  });
}

TEST_F(Offload, runs_two_bulk_calls_at_once_which_hold_up_nothing_else) {
  run([]() -> Task<> {
    Gate gate;
    TaskGroup group;
    const auto pass = [&gate] { gate.pass(); };
    const auto pass_as_bulk = [&]() -> Task<> { co_await offload(pass, as_bulk_work); };
    for (std::size_t count = 0; count < 3 * threads_max; ++count) group.spawn(pass_as_bulk());
    co_await until([&] { return gate.inside == 2; });
    const auto nothing = [] {};
    co_await offload(nothing);
    co_await offload(nothing, abandon_on_cancel);
    EXPECT_EQ(gate.inside, 2);
    gate.open();
    co_await group.join();
  });
}

TEST_F(Offload, begins_in_the_order_of_the_calls) {
  run([]() -> Task<> {
    Gate gate;
    TaskGroup held;
    for (std::size_t index = 1; index < threads_max; ++index) held.spawn(pass_gate(gate));
    co_await until([&gate] { return gate.inside == threads_max - 1; });
    std::vector<int> log;  // by the one thread that is left
    TaskGroup group;
    std::vector<int> expected;
    for (int number = 0; number < 50; ++number) {
      group.spawn(note(number, log));
      expected.push_back(number);
    }
    co_await group.join();
    EXPECT_EQ(log, expected);
    gate.open();
    co_await held.join();
  });
}

TEST_F(Offload, uses_its_threads_again) {
  run([]() -> Task<> {
    std::set<std::thread::id> threads;
    for (int times = 0; times < 200; ++times) {
      threads.insert(co_await offload([] { return std::this_thread::get_id(); }));
    }
    EXPECT_LE(threads.size(), threads_max);
  });
}

TEST_F(Offload, is_not_interrupted_by_signals) {
  run([]() -> Task<> {
    const bool blocked = co_await offload([] {
      sigset_t now;
      pthread_sigmask(SIG_BLOCK, nullptr, &now);
      return sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGHUP) == 1 && sigismember(&now, SIGSEGV) == 0;
    });
    EXPECT_TRUE(blocked);
  });
}

// --- cancelling ---

TEST_F(Offload, cancelled_before_it_has_begun_is_never_called) {
  run([]() -> Task<> {
    Gate gate;
    TaskGroup held;
    for (std::size_t index = 0; index < threads_max; ++index) held.spawn(pass_gate(gate));
    std::vector<int> log;
    std::string ends[2];
    TaskGroup queued;
    queued.spawn(observe(note(1, log), ends[0]));
    co_await next_turn();
    queued.cancel();
    queued.spawn(observe(note(2, log), ends[1]));
    co_await queued.join();
    EXPECT_EQ(ends[0] + ends[1], "cancelledcancelled");
    gate.open();
    co_await held.join();
    EXPECT_TRUE(log.empty());
  });
}

TEST_F(Offload, cancelled_during_the_call_still_returns_its_result) {
  run([]() -> Task<> {
    Gate gate;
    std::string end;
    TaskGroup group;
    group.spawn(observe(pass_gate(gate), end));
    co_await until([&gate] { return gate.inside == 1; });
    group.cancel();
    for (int turn = 0; turn < 20; ++turn) co_await next_turn();
    EXPECT_EQ(end, "");
    gate.open();
    co_await group.join();
    EXPECT_EQ(end, "done");
    EXPECT_EQ(gate.inside, 0);
  });
}

TEST_F(Offload, cancelled_asks_a_function_that_listens_to_stop) {
  run([]() -> Task<> {
    std::atomic<bool> is_inside = false;
    const auto work_for_ever = [&is_inside](const std::stop_token& stop) {
      std::binary_semaphore asked(0);
      const std::stop_callback callback(stop, [&asked] { asked.release(); });
      is_inside = true;
      asked.acquire();
      return 5;
    };
    const auto note_result = [](auto work, int& result) -> Task<> { result = co_await offload(work); };
    int result = 0;
    co_await race(note_result(work_for_ever, result), until([&is_inside] { return is_inside.load(); }));
    EXPECT_EQ(result, 5);
  });
}

TEST_F(Offload, abandoned_lets_its_caller_go_at_once_and_runs_on) {
  run([]() -> Task<> {
    const auto gate = std::make_shared<Gate>();
    co_await abandon_inside(gate);
    EXPECT_EQ(gate->inside, 1);
    EXPECT_EQ(gate.use_count(), 2) << "the function has its own";
    gate->open();
    co_await until([&gate] { return gate.use_count() == 1; });
    EXPECT_EQ(gate->inside, 0);
  });
}

TEST_F(Offload, abandoned_is_asked_to_stop_too) {
  run([]() -> Task<> {
    const auto is_inside = std::make_shared<std::atomic<bool>>(false);
    const auto work_for_ever = [is_inside](const std::stop_token& stop) {
      std::binary_semaphore asked(0);
      const std::stop_callback callback(stop, [&asked] { asked.release(); });
      *is_inside = true;
      asked.acquire();
    };
    const auto work = [](auto function) -> Task<> { co_await offload(std::move(function), abandon_on_cancel); };
    const auto users = is_inside.use_count();
    co_await race(work(work_for_ever), until([&is_inside] { return is_inside->load(); }));
    co_await until([&] { return is_inside.use_count() == users; });
  });
}

TEST_F(Offload, abandoned_may_outlive_its_loop) {
  const auto gate = std::make_shared<Gate>();
  run([&]() -> Task<> { co_await abandon_inside(gate); });
  gate->open();
  run([&]() -> Task<> { co_await until([&gate] { return gate.use_count() == 1; }); });
}

TEST_F(Offload, what_may_be_abandoned_holds_up_nothing_else) {
  run([]() -> Task<> {
    const auto gate = std::make_shared<Gate>();
    TaskGroup group;
    for (std::size_t index = 0; index < threads_max; ++index) group.spawn(abandon_at(gate));
    co_await until([&gate] { return gate->inside == threads_max; });
    group.cancel();
    co_await group.join();
    EXPECT_EQ(gate->inside, static_cast<int>(threads_max));
    EXPECT_EQ(co_await offload([] { return 3; }), 3);
    gate->open();
    EXPECT_EQ(co_await offload([] { return 4; }, abandon_on_cancel), 4);
    co_await until([&gate] { return gate.use_count() == 1; });
  });
}

namespace {

Task<> abandon_for_ever() {
  const auto gate = std::make_shared<Gate>();
  co_await offload([] {});  // and an idle thread
  co_await abandon_inside(gate);
}

}  // namespace

TEST_F(OffloadDeathTest, the_end_of_the_process_does_not_wait_for_what_was_abandoned) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        run_to_end(abandon_for_ever());
        std::exit(3);
      },
      testing::ExitedWithCode(3), "");
}

namespace {

Task<> offload_somehow(Random& random, std::atomic<int>& inside, std::atomic<int>& calls) {
  const auto work = [&inside, &calls, spins = random.below(2000)] {
    ++inside;
    ++calls;
    for (std::size_t spin = 0; spin < spins; ++spin) inside.load();
    --inside;
  };
  co_await offload(work);
}

Task<> offload_at_random(Random& random) {
  std::atomic<int> inside = 0;
  std::atomic<int> calls = 0;
  for (int times = 0; times < 500; ++times) {
    TaskGroup group;
    for (std::size_t left = random.between(1, 20); left != 0; --left) {
      group.spawn(offload_somehow(random, inside, calls));
    }
    for (std::size_t turns = random.below(8); turns != 0; --turns) co_await next_turn();
    if (random.one_in(2)) group.cancel();
    co_await group.join();
    EXPECT_EQ(inside, 0) << "nothing outlives its scope; seed " << random.seed();
  }
  EXPECT_GT(calls, 500);
}

}  // namespace

TEST_F(Offload, outlives_no_scope_whichever_task_is_cancelled) {
  run(
      []() -> Task<> {
        Random here;
        Random there;
        co_await all(offload_at_random(here), run_on(*Loop::current().together()[1], offload_at_random(there)));
      },
      {.threads = 2});
}

// The same seed, the same run: no other thread is involved.
TEST(OffloadInSimulation, is_done_by_the_loop_while_time_waits) {
  const auto look = []() -> Task<> {
    const TimePoint before = Loop::current().backend().now();
    const std::thread::id here = std::this_thread::get_id();
    EXPECT_EQ(co_await timeout(1ms, offload([] { return std::this_thread::get_id(); })), here);
    EXPECT_EQ(co_await offload([] { return 5; }, abandon_on_cancel), 5);
    EXPECT_EQ(co_await outcome(offload([] { throw Error(ErrorKind::refused, "open", "", "no"); })), "refused");
    EXPECT_LT(Loop::current().backend().now() - before, 1ms) << "but for the turns of the loop";
  };
  run_to_end(make_sim_backend(std::make_shared<SimNetwork>(1)), look());
}

}  // namespace offload_test
