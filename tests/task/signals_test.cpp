// Signals that tasks wait for, beside those that end run().
#include "coax/task/signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "coax/task/run.hpp"
#include "tests/support/run.hpp"

namespace signals_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

std::atomic<int> reached_the_program = 0;

// A handler that the program has installed itself.
class OwnHandler {
 public:
  explicit OwnHandler(int number) : number_(number), before_(std::signal(number, [](int) { ++reached_the_program; })) {
    reached_the_program = 0;
  }
  OwnHandler(const OwnHandler&) = delete;
  OwnHandler& operator=(const OwnHandler&) = delete;
  ~OwnHandler() { std::signal(number_, before_); }

 private:
  int number_;
  void (*before_)(int);
};

Task<> note_next(Signals& signals, std::vector<int>& log) { log.push_back(co_await signals.next()); }
Task<> observe(Task<> task, std::string& end) { end = co_await outcome(std::move(task)); }
Task<> wait_for_ever() {
  Event never;
  co_await never.wait();
}
Task<> wait_turns(int turns) {
  for (int turn = 0; turn < turns; ++turn) co_await next_turn();
}
bool is_default(int number) {
  struct sigaction now{};
  sigaction(number, nullptr, &now);
  return now.sa_handler == SIG_DFL;
}

}  // namespace

TEST(Signals, wake_the_waiting_task) {
  run([]() -> Task<> {
    Signals signals({SIGHUP, SIGUSR1});
    std::vector<int> log;
    for (const int number : {SIGUSR1, SIGHUP, SIGUSR1}) {
      TaskGroup group;
      group.spawn(note_next(signals, log));
      std::raise(number);
      co_await group.join();
    }
    EXPECT_EQ(log, (std::vector{SIGUSR1, SIGHUP, SIGUSR1}));
  });
}

TEST(Signals, wake_a_loop_that_sleeps) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    Signals signals({SIGUSR1});
    const std::jthread other([] { kill(getpid(), SIGUSR1); });
    EXPECT_EQ(co_await signals.next(), SIGUSR1);
  });
}

TEST(Signals, between_two_waits_are_kept_and_several_of_a_number_are_one) {
  run([]() -> Task<> {
    Signals signals({SIGHUP, SIGUSR1});
    for (const int number : {SIGUSR1, SIGUSR1, SIGHUP, SIGUSR1}) std::raise(number);
    co_await wait_turns(3);
    EXPECT_EQ(co_await signals.next(), SIGHUP) << "the first in the list";
    EXPECT_EQ(co_await signals.next(), SIGUSR1);
    EXPECT_EQ(co_await outcome(timeout(1ms, signals.next())), "timed_out");
  });
}

TEST(Signals, of_before_are_of_no_concern) {
  const OwnHandler program(SIGUSR1);
  run([]() -> Task<> {
    {
      const Signals earlier({SIGUSR1});
      std::raise(SIGUSR1);
    }
    Signals signals({SIGUSR1});
    EXPECT_EQ(co_await outcome(timeout(1ms, signals.next())), "timed_out");
  });
}

TEST(Signals, are_reported_to_all_objects_that_name_them) {
  run([]() -> Task<> {
    Signals first({SIGHUP});
    Signals second({SIGHUP, SIGUSR1});
    std::raise(SIGHUP);
    EXPECT_EQ(co_await first.next(), SIGHUP);
    EXPECT_EQ(co_await second.next(), SIGHUP);
  });
}

TEST(Signals, are_reported_on_each_loop) {
  run(
      []() -> Task<> {
        Signals here({SIGUSR1});
        Event ready;
        const auto wait_there = [](Loop& home, Event& set_when_ready, int& number) -> Task<> {
          Signals there({SIGUSR1});
          home.post([&set_when_ready] { set_when_ready.set(); });
          number = co_await there.next();
        };
        const auto raise_when_ready = [](Event& event) -> Task<> {
          co_await event.wait();
          std::raise(SIGUSR1);
        };
        int told = 0;
        co_await all(run_on(*Loop::current().together()[1], wait_there(Loop::current(), ready, told)),
                     raise_when_ready(ready));
        EXPECT_EQ(told, SIGUSR1);
        EXPECT_EQ(co_await here.next(), SIGUSR1);
      },
      {.threads = 2});
}

TEST(Signals, restore_the_action_when_the_last_object_ends) {
  const OwnHandler program(SIGUSR1);
  run([]() -> Task<> {
    auto first = std::make_unique<Signals>(std::initializer_list{SIGUSR1});
    auto second = std::make_unique<Signals>(std::initializer_list{SIGUSR1});
    first.reset();
    std::raise(SIGUSR1);
    EXPECT_EQ(reached_the_program, 0);
    EXPECT_EQ(co_await second->next(), SIGUSR1);
    second.reset();
    std::raise(SIGUSR1);
    EXPECT_EQ(reached_the_program, 1);
  });
}

TEST(Signals, a_cancelled_wait_leaves_them_for_the_next) {
  run([]() -> Task<> {
    for (const int turns : {0, 1}) {  // not seen yet; seen, and queued
      Signals signals({SIGUSR1});
      std::vector<int> log;
      std::string end;
      TaskGroup group;
      group.spawn(observe(note_next(signals, log), end));
      std::raise(SIGUSR1);
      co_await wait_turns(turns);
      group.cancel();
      co_await group.join();
      EXPECT_EQ(end, "cancelled");
      EXPECT_TRUE(log.empty());
      EXPECT_EQ(co_await signals.next(), SIGUSR1);
      EXPECT_EQ(co_await outcome(timeout(1ms, signals.next())), "timed_out");
    }
  });
}

TEST(Signals, that_cannot_be_caught_throw_and_change_nothing) {
  run([]() -> Task<> {
    for (const int number : {SIGKILL, 0, -1, 1000}) {
      EXPECT_THROW(Signals({SIGUSR1, number}), Error) << number;
      EXPECT_TRUE(is_default(SIGUSR1));
    }
    co_return;
  });
}

// --- with run() ---

namespace {

Task<> raise_twice_and_take(std::string& end) {
  {
    Signals signals({SIGINT});
    std::raise(SIGINT);
    EXPECT_EQ(co_await signals.next(), SIGINT);
    std::raise(SIGINT);
    EXPECT_EQ(co_await signals.next(), SIGINT);
    EXPECT_EQ(co_await outcome(wait_turns(5)), "done");
  }
  std::raise(SIGINT);
  end = co_await outcome(wait_for_ever());
}
Task<> raise_another(std::string& end) {
  Signals signals({SIGINT});
  std::raise(SIGTERM);
  end = co_await outcome(signals.next());
}
Task<> raise_and_note(std::initializer_list<int> numbers, std::string& end) {
  for (const int number : numbers) std::raise(number);
  end = co_await outcome(wait_for_ever());
}
Task<> raise_and_go_on(int number, int turns) {
  std::raise(number);
  co_await wait_turns(turns);
}
Task<> raise_and_raise_again() {
  std::raise(SIGTERM);
  EXPECT_EQ(co_await outcome(wait_for_ever()), "cancelled");
  std::raise(SIGTERM);
}

}  // namespace

TEST(Signals, named_by_a_task_do_not_cancel_the_program) {
  std::string end;
  EXPECT_EQ(coax::run(raise_twice_and_take(end)), 0);
  EXPECT_EQ(end, "cancelled");
  EXPECT_TRUE(is_default(SIGINT));
}

TEST(Signals, that_no_task_names_still_cancel_the_program) {
  std::string end;
  EXPECT_EQ(coax::run(raise_another(end)), 0);
  EXPECT_EQ(end, "cancelled");
}

TEST(SignalsDeathTest, a_second_one_ends_the_process_at_once) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::exit(coax::run(raise_and_raise_again())), testing::KilledBySignal(SIGTERM), "");
}

TEST(Signals, each_stop_signal_cancels_the_program) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    std::string end;
    EXPECT_EQ(coax::run(raise_and_note({number}, end)), 0) << number;
    EXPECT_EQ(end, "cancelled") << number;
    EXPECT_TRUE(is_default(number)) << number;
  }
}

TEST(Signals, a_hangup_is_never_the_second_one) {
  for (const auto& numbers : {std::initializer_list<int>{SIGTERM, SIGHUP, SIGHUP}, {SIGHUP, SIGHUP, SIGTERM}}) {
    std::string end;
    EXPECT_EQ(coax::run(raise_and_note(numbers, end)), 0);
    EXPECT_EQ(end, "cancelled");
  }
}

TEST(Signals, a_hangup_that_nohup_ignores_stays_ignored) {
  auto* const before = std::signal(SIGHUP, SIG_IGN);
  EXPECT_EQ(coax::run(raise_and_go_on(SIGHUP, 3)), 0);
  EXPECT_EQ(std::signal(SIGHUP, before), SIG_IGN);
}

TEST(Signals, a_hangup_that_the_program_handles_is_left_to_it) {
  const OwnHandler program(SIGHUP);
  EXPECT_EQ(coax::run(raise_and_go_on(SIGHUP, 3)), 0);
  EXPECT_EQ(reached_the_program, 1);
}

// Handlers run while others start and end; for the sanitizers.
TEST(Signals, may_arrive_while_loops_begin_and_end) {
  COAX_NEEDS_KERNEL();
  const OwnHandler program(SIGUSR1);
  std::jthread raising([](const std::stop_token& stop) {
    while (!stop.stop_requested()) kill(getpid(), SIGUSR1);
  });
  for (int times = 0; times < 200; ++times) {
    run([]() -> Task<> {
      Signals first({SIGUSR1});
      Signals second({SIGUSR1, SIGHUP});
      EXPECT_EQ(co_await first.next(), SIGUSR1);
      EXPECT_EQ(co_await second.next(), SIGUSR1);
    });
  }
}

}  // namespace signals_test
