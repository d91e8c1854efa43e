// Loops driven by another event loop, here poll(2): what wakes it, what does not, and how tasks start and end.
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <string>
#include <thread>

#include "coax/server/serve.hpp"
#include "coax/sim/sim.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/loop_tasks.hpp"
#include "coax/task/offload.hpp"
#include "coax/task/run.hpp"
#include "coax/task/signals.hpp"
#include "tests/support/poll_loop.hpp"
#include "tests/support/run.hpp"
#include "tests/support/sockets.hpp"

namespace embedded_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

class EmbeddedLoop : public OnKernel {};

Task<> set_after(Duration duration, bool& flag) {
  co_await sleep(duration);
  flag = true;
}

Task<> echo_one(SocketListener& listener) {
  const auto accepted = co_await listener.accept();
  const auto stream = SocketStream::adopt(accepted.native);
  while (const auto bytes = co_await stream->recv()) co_await stream->send(bytes);
}

Task<> exchange(Endpoint server, int rounds, std::string& got) {
  const auto stream = co_await connect(server);
  for (int round = 0; round < rounds; ++round) {
    co_await stream->send("ping\n");
    got += co_await stream->recv_exactly(5);
  }
}

// Yields only when its budget of the turn is used.
Task<> work(unsigned rounds, unsigned& done) {
  for (; done < rounds; ++done) co_await checkpoint(64);
}

Task<> fail(std::string text) {
  co_await checkpoint();
  throw Error(ErrorKind::invalid, "test", "", text);
}

template <class Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

// --- what wakes the outer loop ---

TEST_F(EmbeddedLoop, idle_has_no_timeout_and_is_not_readable) {
  Loop loop;
  PollLoop outer({&loop});
  outer.settle();
  EXPECT_EQ(loop.poll_timeout(), std::nullopt);
  EXPECT_FALSE(outer.is_readable());
}

TEST_F(EmbeddedLoop, idle_connections_and_far_timers_do_not_wake_it) {
  Loop loop;
  PollLoop outer({&loop});
  const auto entered = loop.enter();
  SocketListener listener("127.0.0.1:0");
  LoopTasks tasks(loop);
  std::string got;
  bool slept = false;
  tasks.start(echo_one(listener));
  tasks.start([&]() -> Task<> {
    const auto stream = co_await connect(listener.local());
    co_await stream->send("ping\n");
    got = co_await stream->recv_exactly(5);
    co_await stream->recv();  // no bytes arrive
  });
  tasks.start(set_after(1h, slept));
  outer.run_until([&] { return got == "ping\n"; });
  outer.settle();
  const std::size_t before = outer.wakeups();
  outer.step(100ms);
  EXPECT_EQ(outer.wakeups(), before);
  EXPECT_EQ(tasks.size(), 3U);
}

TEST_F(EmbeddedLoop, post_from_another_thread_makes_it_readable) {
  Loop loop;
  PollLoop outer({&loop});
  outer.settle();
  std::thread::id ran_on;
  std::thread([&] { loop.post([&] { ran_on = std::this_thread::get_id(); }); }).join();
  EXPECT_TRUE(outer.is_readable());
  outer.run_until([&] { return ran_on != std::thread::id(); });
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(EmbeddedLoop, posts_of_threads_wake_a_waiting_outer_loop) {
  Loop loop;
  PollLoop outer({&loop});
  constexpr int posts = 2'000;
  int ran = 0;
  std::vector<std::jthread> posters;
  for (int thread = 0; thread < 2; ++thread) {
    posters.emplace_back([&] {
      for (int count = 0; count < posts; ++count) loop.post([&] { ++ran; });
    });
  }
  outer.run_until([&] { return ran == 2 * posts; });
}

TEST_F(EmbeddedLoop, wake_makes_it_readable_once) {
  Loop loop;
  PollLoop outer({&loop});
  outer.settle();
  loop.wake();
  EXPECT_TRUE(outer.is_readable());
  loop.run_once();
  EXPECT_FALSE(outer.is_ready());
}

TEST_F(EmbeddedLoop, timer_sets_the_timeout_and_fires_in_run_once) {
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  bool fired = false;
  const TimePoint before = Clock::now();
  tasks.start(set_after(30ms, fired));
  loop.run_once();
  const auto timeout = loop.poll_timeout();
  ASSERT_TRUE(timeout);
  EXPECT_LE(*timeout, 31ms);
  outer.run_until([&] { return fired; });
  EXPECT_GE(Clock::now() - before, 30ms);
  EXPECT_LE(outer.wakeups(), 8U);
}

TEST_F(EmbeddedLoop, result_of_an_offloaded_call_makes_it_readable) {
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  int result = 0;
  tasks.start([&]() -> Task<> { result = co_await offload([] { return 42; }); });
  outer.run_until([&] { return result == 42; });
}

TEST_F(EmbeddedLoop, signal_that_a_task_waits_for_makes_it_readable) {
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  int number = 0;
  tasks.start([&]() -> Task<> {
    Signals signals({SIGUSR1});
    number = co_await signals.next();
  });
  outer.settle();
  std::raise(SIGUSR1);
  EXPECT_TRUE(outer.is_readable());
  outer.run_until([&] { return number == SIGUSR1; });
}

// --- work that is ready at once ---

TEST_F(EmbeddedLoop, used_up_share_of_a_turn_makes_the_timeout_zero) {
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  unsigned done = 0;
  tasks.start(work(1'000, done));
  loop.run_once();
  ASSERT_LT(done, 1'000U);
  EXPECT_EQ(loop.poll_timeout(), Duration::zero());
  outer.run_until([&] { return done == 1'000; });
  outer.settle();
}

// Bytes that are in the socket already cause no edge.
TEST_F(EmbeddedLoop, unread_bytes_after_a_used_up_share_are_received) {
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  NativePair pair = native_tcp_pair();
  const std::string text(1'000, 'x');
  ASSERT_EQ(::send(pair.far.get(), text.data(), text.size(), 0), 1'000);
  std::size_t count = 0;
  tasks.start([&]() -> Task<> {
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    std::array<char, 1> byte{};
    while (count < text.size()) count += co_await stream->recv(std::span(byte));
  });
  outer.run_until([&] { return count == text.size(); });
}

TEST_F(EmbeddedLoop, more_events_than_fit_in_a_turn_are_all_dispatched) {
  constexpr std::size_t pairs = 1'100;  // epoll handles 64 events in a turn, io_uring 1024 completions
  if (raise_descriptor_limit() < 2 * pairs + 100) GTEST_SKIP() << "needs 2300 descriptors";
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  std::vector<NativePair> natives;
  std::size_t received = 0;
  for (std::size_t index = 0; index < pairs; ++index) {
    natives.push_back(native_unix_pair());
    tasks.start([&received, native = set_nonblocking(std::move(natives.back().near))]() -> Task<> {
      const auto stream = SocketStream::adopt(native);
      if (co_await stream->recv()) ++received;
    });
  }
  outer.settle();
  for (const NativePair& pair : natives) ASSERT_EQ(::send(pair.far.get(), "x", 1, 0), 1);
  outer.run_until([&] {
    if (received != pairs) EXPECT_TRUE(outer.is_ready());
    return received == pairs || HasFailure();
  });
}

// --- tasks ---

TEST_F(EmbeddedLoop, tasks_exchange_bytes_over_tcp) {
  Loop loop;
  PollLoop outer({&loop});
  const auto entered = loop.enter();
  SocketListener listener("127.0.0.1:0");
  LoopTasks tasks(loop);
  std::string got;
  tasks.start(echo_one(listener));
  tasks.start(exchange(listener.local(), 100, got));
  outer.run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(got.size(), 500U);
}

TEST_F(EmbeddedLoop, start_runs_nothing_before_the_next_turn) {
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  outer.settle();
  bool ran = false;
  tasks.start([&]() -> Task<> {
    ran = true;
    co_return;
  });
  EXPECT_FALSE(ran);
  EXPECT_TRUE(outer.is_readable());
  loop.run_once();
  EXPECT_TRUE(ran);
}

TEST_F(EmbeddedLoop, cancel_outside_a_turn_ends_the_tasks) {
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  NativePair pair = native_tcp_pair();
  std::string ends;
  bool emptied = false;
  tasks.start([&]() -> Task<> { ends += co_await outcome(sleep(1h)); });
  tasks.start([&]() -> Task<> {
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    std::array<char, 8> into{};
    ends += co_await outcome(stream->recv(std::span(into)));
  });
  outer.settle();
  tasks.cancel();
  tasks.when_empty([&] { emptied = true; });
  EXPECT_TRUE(outer.is_readable());
  outer.run_until([&] { return emptied; });
  EXPECT_EQ(ends, "cancelledcancelled");
  EXPECT_EQ(tasks.size(), 0U);
  outer.settle();
  EXPECT_FALSE(outer.is_ready());
}

TEST_F(EmbeddedLoop, tasks_start_again_after_cancel) {
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  bool first = false;
  bool second = false;
  tasks.start(set_after(0ms, first));
  tasks.cancel();
  tasks.start(set_after(0ms, second));
  outer.run_until([&] { return tasks.size() == 0; });
  EXPECT_FALSE(first);
  EXPECT_TRUE(second);
}

TEST(LoopTasks, destructor_cancels_and_waits_for_the_end) {
  std::string end;
  Loop loop;
  {
    LoopTasks tasks(loop);
    bool started = false;
    tasks.start([&]() -> Task<> {
      started = true;
      end = co_await outcome(sleep(1h));
      co_await shield(sleep(5ms));
      end += ", cleaned up";
    });
    loop.run_until([&] { return started; });
  }
  EXPECT_EQ(end, "cancelled, cleaned up");
}

TEST(LoopTasks, task_started_by_a_task_while_closing_is_cancelled) {
  std::string end;
  Loop loop;
  {
    LoopTasks tasks(loop);
    tasks.start([&]() -> Task<> {
      static_cast<void>(co_await outcome(sleep(1h)));
      tasks.start([&]() -> Task<> { end = co_await outcome(sleep(1h)); });
    });
  }
  EXPECT_EQ(end, "cancelled");
}

TEST(LoopTasks, error_reaches_the_handler_and_leaves_other_tasks_alone) {
  Loop loop;
  std::string told;
  bool slept = false;
  LoopTasks tasks(loop,
                  [&](const std::exception_ptr& error) { told = error_of([&] { std::rethrow_exception(error); }); });
  tasks.start(fail("broken"));
  tasks.start(set_after(5ms, slept));
  tasks.drain();
  EXPECT_EQ(told, "test: broken");
  EXPECT_TRUE(slept);
}

TEST(LoopTasks, when_empty_runs_once_and_may_destroy_them) {
  Loop loop;
  int calls = 0;
  auto tasks = std::make_unique<LoopTasks>(loop);
  tasks->when_empty([&] { ++calls; });
  loop.run_until([&] { return calls == 1; });
  bool slept = false;
  tasks->start(set_after(1ms, slept));
  tasks->when_empty([&] { tasks.reset(); });
  loop.run_until([&] { return tasks == nullptr; });
  EXPECT_TRUE(slept);
  EXPECT_EQ(calls, 1);
}

TEST(LoopTasks, drain_in_a_turn_throws_invalid) {
  Loop loop;
  std::string error;
  LoopTasks tasks(loop);
  tasks.start([&]() -> Task<> {
    error = error_of([&] { tasks.drain(); });
    co_return;
  });
  tasks.drain();
  EXPECT_EQ(error, "run a loop: its turn is under way; co_await or post() instead");
}

TEST(LoopTasks, start_of_an_empty_task_throws_invalid) {
  Loop loop;
  LoopTasks tasks(loop);
  EXPECT_THROW(tasks.start(Task<>()), Error);
  EXPECT_EQ(tasks.size(), 0U);
}

// --- several loops, and which one is current ---

TEST_F(EmbeddedLoop, two_loops_on_one_thread_exchange_bytes) {
  Loop first;
  Loop second;
  LoopTasks of_first(first);
  LoopTasks of_second(second);
  std::optional<SocketListener> listener;
  {
    const auto entered = first.enter();
    listener.emplace("127.0.0.1:0");
  }
  std::string got;
  of_first.start([&]() -> Task<> {
    co_await echo_one(*listener);
    listener.reset();
  });
  of_second.start(exchange(listener->local(), 50, got));
  PollLoop outer({&first, &second});
  outer.run_until([&] { return of_first.size() + of_second.size() == 0; });
  EXPECT_EQ(got.size(), 250U);
}

TEST_F(EmbeddedLoop, loops_of_two_threads_run_tasks_for_each_other) {
  std::atomic<Loop*> away = nullptr;
  std::atomic<bool> over = false;
  const std::jthread thread([&] {
    Loop loop;
    PollLoop outer({&loop});
    away = &loop;
    away.notify_one();
    outer.run_until([&] { return over.load(); });
  });
  away.wait(nullptr);
  Loop home;
  LoopTasks tasks(home);
  PollLoop outer({&home});
  std::thread::id ran_on;
  tasks.start([&]() -> Task<> {
    const auto body = [](std::thread::id& id) -> Task<> {
      id = std::this_thread::get_id();
      co_return;
    };
    co_await run_on(*away.load(), body(ran_on));
  });
  outer.run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(ran_on, thread.get_id());
  away.load()->post([&] { over = true; });
}

TEST_F(EmbeddedLoop, one_loop_after_another_on_one_thread) {
  for (int count = 0; count < 20; ++count) {
    Loop loop;
    LoopTasks tasks(loop);
    PollLoop outer({&loop});
    bool done = false;
    tasks.start(set_after(0ms, done));
    outer.run_until([&] { return done; });
  }
  EXPECT_NE(error_of([] { static_cast<void>(Loop::current()); }), "none");
}

TEST_F(EmbeddedLoop, run_beside_a_loop_that_is_not_in_a_turn) {
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  bool done = false;
  tasks.start(set_after(0ms, done));
  outer.settle();
  run_or_throw([]() -> Task<> { co_await sleep(1ms); }());
  EXPECT_TRUE(loop.is_current());
  outer.run_until([&] { return done; });
}

TEST(CurrentLoop, turn_before_entered_before_made_last) {
  Loop first;
  auto second = std::make_unique<Loop>();
  EXPECT_TRUE(second->is_current());
  {
    const auto entered = first.enter();
    EXPECT_TRUE(first.is_current());
    bool in_turn = false;
    second->post([&] { in_turn = second->is_current(); });
    second->run_until([&] { return in_turn; });
    EXPECT_TRUE(first.is_current());
  }
  EXPECT_TRUE(second->is_current());
  second.reset();
  EXPECT_TRUE(first.is_current());
}

TEST(CurrentLoop, loops_that_end_in_the_order_of_their_making) {
  auto first = std::make_unique<Loop>();
  auto second = std::make_unique<Loop>();
  first.reset();
  EXPECT_TRUE(second->is_current());
  second.reset();
  EXPECT_NE(error_of([] { static_cast<void>(Loop::current()); }), "none");
}

TEST(CurrentLoop, loop_that_another_thread_destroys_is_not_current) {
  auto loop = std::make_unique<Loop>();
  std::thread([&] { loop.reset(); }).join();
  EXPECT_NE(error_of([] { static_cast<void>(Loop::current()); }), "none");
}

TEST_F(EmbeddedLoop, end_of_enter_makes_it_readable) {
  Loop loop;
  LoopTasks tasks(loop);
  PollLoop outer({&loop});
  Event event;
  std::string end;
  tasks.start([&]() -> Task<> { end = co_await outcome(event.wait()); });
  outer.settle();
  {
    const auto entered = loop.enter();
    event.set();
  }
  EXPECT_TRUE(outer.is_readable());
  outer.run_until([&] { return end == "done"; });
}

// io_uring: closing waits for requests in flight, and fetches completions that the ring then shows no more.
TEST_F(EmbeddedLoop, post_before_a_close_outside_a_turn_stays_visible) {
  Loop loop;
  PollLoop outer({&loop});
  const NativePair pair = native_tcp_pair();
  const auto descriptor = loop.backend().adopt(::fcntl(pair.near.get(), F_DUPFD_CLOEXEC, 0));
  ASSERT_TRUE(descriptor);
  std::array<char, 8> into{};
  bool ended = false;
  struct Receive : Op {
    using Op::Op;
    bool* ended = nullptr;
  } receive(Op::Kind::recv_into, [](Completion& self) noexcept { *static_cast<Receive&>(self).ended = true; });
  receive.ended = &ended;
  receive.descriptor = *descriptor;
  receive.into() = {.data = into.data(), .size = into.size()};
  {
    const auto entered = loop.enter();
    ::fcntl(pair.near.get(), F_SETFL, 0);
    ASSERT_FALSE(loop.submit(receive));
  }
  outer.settle();
  bool posted = false;
  {
    const auto entered = loop.enter();
    std::thread([&] { loop.post([&] { posted = true; }); }).join();
    loop.backend().close(*descriptor);
  }
  EXPECT_TRUE(outer.is_readable());
  loop.run_once();
  EXPECT_TRUE(posted);
  EXPECT_TRUE(ended);
}

// --- misuse ---

TEST_F(EmbeddedLoop, run_once_in_its_own_turn_throws_invalid) {
  Loop loop;
  std::string error;
  loop.post([&] { error = error_of([&] { loop.run_once(); }); });
  loop.run_once();
  EXPECT_EQ(error, "run a loop: its turn is under way; co_await or post() instead");
}

TEST_F(EmbeddedLoop, run_once_throws_what_a_posted_function_throws) {
  Loop loop;
  loop.post([] { throw Error(ErrorKind::invalid, "test", "", "posted"); });
  EXPECT_EQ(error_of([&] { loop.run_once(); }), "test: posted");
  loop.run_once();
}

TEST_F(EmbeddedLoop, run_once_on_another_thread_aborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Loop loop;
        loop.run_once();
        std::thread([&] { loop.run_once(); }).join();
      },
      "on another thread than that of its loop");
}

TEST(SimulatedLoop, embedding_throws_invalid) {
  Loop loop(make_sim_backend(std::make_shared<SimNetwork>(1)));
  const std::string refusal =
      "embed a loop of the simulated network: it has no descriptor, and its time passes only in its own wait; use "
      "run() "
      "or run_until()";
  EXPECT_EQ(error_of([&] { loop.poll_descriptor(); }), refusal);
  EXPECT_EQ(error_of([&] { static_cast<void>(loop.poll_timeout()); }), refusal);
  EXPECT_EQ(error_of([&] { loop.run_once(); }), refusal);
}

}  // namespace embedded_test
