// A deadlocked simulation ends with an error, and cleans up everything that was begun.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "coax/sim/sim.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/channel.hpp"
#include "coax/task/offload.hpp"
#include "coax/task/signals.hpp"
#include "tests/support/run.hpp"

namespace stuck_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view for_ever =
    "wait on sim: deadlock: every task waits, and there is no timer, no operation in progress, and no posted function";

// What the run throws, or "none".
std::string end_of(Task<> task) {
  try {
    run_to_end(make_sim_backend(std::make_shared<SimNetwork>(1)), std::move(task));
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

struct Alive {
  explicit Alive(int& of) : count(of) { ++count; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  ~Alive() { --count; }
  int& count;
};

Task<> wait_for_ever(int& tasks) {
  const Alive alive(tasks);
  Event never;
  co_await never.wait();
}

Task<> recv_for_ever(int& tasks) {
  const Alive alive(tasks);
  SocketListener listener(*Endpoint::parse("127.0.0.1:7"));
  const auto near = co_await connect(listener.address());
  const auto accepted = co_await listener.accept();
  const auto far = SocketStream::adopt(accepted.native);
  co_await near->send("x");
  co_await far->recv();
  co_await all(far->recv(), wait_for_ever(tasks));
}

}  // namespace

TEST(Stuck, a_task_that_waits_for_nothing_ends_the_run_and_is_cancelled) {
  int tasks = 0;
  EXPECT_EQ(end_of(wait_for_ever(tasks)), for_ever);
  EXPECT_EQ(tasks, 0);
}

TEST(Stuck, so_do_streams_without_a_sender) {
  int tasks = 0;
  EXPECT_EQ(end_of(recv_for_ever(tasks)), for_ever);
  EXPECT_EQ(tasks, 0);
}

TEST(Stuck, a_cancelled_task_has_time_to_clean_up) {
  bool cleaned_up = false;
  const auto clean_up = [](bool& done) -> Task<> {
    int tasks = 0;
    bool cancelled = false;
    try {
      co_await wait_for_ever(tasks);
    } catch (const Cancelled&) {
      cancelled = true;
    }
    co_await shield(sleep(1h));
    done = cancelled;
  };
  EXPECT_EQ(end_of(clean_up(cleaned_up)), for_ever);
  EXPECT_TRUE(cleaned_up);
}

TEST(Stuck, what_sleeps_is_under_way_or_has_posted_is_not) {
  const auto busy = []() -> Task<> {
    co_await sleep(24h);
    co_await offload([] {});
    int posted = 0;
    Loop::current().post([&] { ++posted; });
    co_await until([&] { return posted == 1; });
    SocketListener listener(*Endpoint::parse("10.0.0.1:7"));
    const auto near = co_await connect(listener.address());
    co_await next_turn();
  };
  EXPECT_EQ(end_of(busy()), "none");
}

TEST(Stuck, a_task_that_waits_for_a_signal_is_not) {
  const auto wait_for_signal = []() -> Task<> {
    Signals signals({SIGUSR1});
    std::atomic<bool> is_waiting = false;
    const std::jthread sender([&] {
      is_waiting.wait(false);
      ::kill(::getpid(), SIGUSR1);
    });
    Loop::current().post([&] {  // in the turn after which nothing is left to do
      is_waiting = true;
      is_waiting.notify_one();
    });
    EXPECT_EQ(co_await signals.next(), SIGUSR1);
  };
  EXPECT_EQ(end_of(wait_for_signal()), "none");
}

TEST(Stuck, a_loop_without_tasks_says_so_too) {
  Loop loop(make_sim_backend(std::make_shared<SimNetwork>(1)));
  EXPECT_THROW(loop.run_until([] { return false; }), Error);
}

}  // namespace stuck_test
