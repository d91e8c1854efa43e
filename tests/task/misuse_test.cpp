// Misuse is reported with a message, where it would otherwise crash.
#include "coax/base/misuse.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "coax/base/log.hpp"
#include "coax/bus/outbox.hpp"
#include "coax/bus/topic.hpp"
#include "coax/stream/memory.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/future.hpp"
#include "coax/task/run.hpp"
#include "tests/support/run.hpp"

namespace misuse_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

Task<> nothing() { co_return; }
Task<int> one() { co_return 1; }
Task<> wait_for(Event& event) { co_await event.wait(); }

template <class Action>
std::string text_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "none";
}

const std::string empty_text = "await a task: it is empty: moved from, or never made";
const std::string twice_text = "await a task: it was awaited before; a task runs once";

}  // namespace

TEST(Misuse, second_join_of_a_group_throws) {
  run([]() -> Task<> {
    Event event;
    TaskGroup group;
    group.spawn(wait_for(event));
    TaskGroup joiners;
    joiners.spawn([&]() -> Task<> { co_await group.join(); });
    EXPECT_EQ(co_await text_of_error(group.join()), "join a task group: another task already joins it");
    event.set();
    co_await joiners.join();
  });
}

TEST(Misuse, second_drain_of_an_outbox_throws) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair(64_KiB);
    Outbox outbox;
    TaskGroup group;
    group.spawn(drain(outbox, *near));
    EXPECT_EQ(co_await text_of_error(drain(outbox, *near)), "drain an outbox: another task already drains it");
    outbox.push("for the first");
    outbox.finish();
    co_await group.join();
    EXPECT_EQ(co_await far->recv_exactly(13), "for the first");
  });
}

TEST(MisuseDeath, outbox_destroyed_while_it_is_drained_aborts) {
  const auto destroy = []() -> Task<> {
    auto [near, far] = memory_stream_pair(64_KiB);
    auto outbox = std::make_unique<Outbox>();
    TaskGroup group;
    group.spawn(drain(*outbox, *near));
    outbox.reset();
    co_await group.join();
  };
  EXPECT_DEATH(run(destroy), "coax: an Outbox is destroyed while drain\\(\\) sends from it");
}

TEST(Misuse, cancelled_without_a_cancellation_is_an_error) {
  const auto throws = []() -> Task<> {
    co_await nothing();
    throw Cancelled();
  };
  EXPECT_EQ(text_of([&] { run_or_throw(throws()); }), "run a task: it ended with Cancelled, but was not cancelled");
}

TEST(Misuse, empty_task_is_an_error_wherever_it_is_given) {
  run([]() -> Task<> {
    TaskGroup group;
    EXPECT_EQ(co_await text_of_error([]() -> Task<> { co_await Task<>(); }()), empty_text);
    EXPECT_EQ(text_of([&] { group.spawn(Task<>()); }), empty_text);
    EXPECT_EQ(text_of([&] { static_cast<void>(group.spawn(Task<int>())); }), empty_text);
    EXPECT_EQ(text_of([] { static_cast<void>(timeout(time_limit, Task<>())); }), empty_text);
    EXPECT_EQ(text_of([] { static_cast<void>(shield(Task<>())); }), empty_text);
    EXPECT_EQ(text_of([] { static_cast<void>(race(Task<>(), Task<>())); }), empty_text);
    EXPECT_EQ(text_of([] { static_cast<void>(all(Task<int>())); }), empty_text);
    EXPECT_EQ(co_await text_of_error(run_on(Loop::current(), Task<>())), empty_text);
    co_await group.join();
  });
  EXPECT_EQ(text_of([] { run_to_end(Task<>()); }), empty_text);
  EXPECT_EQ(text_of([] { run_or_throw(Task<>()); }), empty_text);
}

TEST(Misuse, moved_from_and_finished_tasks_are_errors) {
  run([]() -> Task<> {
    Task<int> task = one();
    Task<int> other = std::move(task);
    EXPECT_EQ(co_await text_of_error(std::move(task)), empty_text);  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(co_await other, 1);
    EXPECT_EQ(co_await text_of_error(std::move(other)), twice_text);
    TaskGroup group;
    Task<> finished = nothing();
    co_await finished;
    EXPECT_EQ(text_of([&] { group.spawn(std::move(finished)); }), twice_text);
    co_await group.join();
  });
}

TEST(Misuse, thread_without_a_loop_is_an_error_with_the_remedy) {
  std::string text;
  std::string of_sleep;
  std::string of_stream;
  std::thread([&] {
    text = text_of([] { static_cast<void>(Loop::current()); });
    of_sleep = text_of([] { static_cast<void>(sleep(std::chrono::seconds(1))); });
    of_stream = text_of([] { static_cast<void>(memory_stream_pair()); });
  }).join();
  const std::string expected =
      "use the loop of this thread: there is none; start the task with run(), or post() to a loop that runs";
  EXPECT_EQ(text, expected);
  EXPECT_EQ(of_sleep, expected);
  EXPECT_EQ(of_stream, expected);
}

TEST(Misuse, run_inside_run_is_an_error) {
  const std::string expected = "run a task: a loop runs on this thread already; co_await the task or spawn it";
  coax::test::run([&]() -> Task<> {
    EXPECT_EQ(text_of([] { coax::run(nothing()); }), expected);
    EXPECT_EQ(text_of([] { run_or_throw(nothing()); }), expected);
    co_return;
  });
}

TEST(Misuse, second_receiver_throws) {
  run([]() -> Task<> {
    const auto [near, far] = memory_stream_pair();
    TaskGroup group;
    group.spawn([&stream = *near]() -> Task<> { co_await stream.recv(); });
    EXPECT_EQ(co_await text_of_error(near->recv()), "recv from memory: another task already receives from it");
    far->close();
    co_await group.join();
  });
}

TEST(MisuseDeath, group_that_is_not_joined_aborts_with_a_message) {
  EXPECT_DEATH(run([]() -> Task<> {
                 Event never;
                 {
                   TaskGroup group;
                   group.spawn(wait_for(never));
                 }
                 co_return;
               }),
               "coax: a TaskGroup is destroyed while its tasks run");
}

TEST(Misuse, group_that_is_not_joined_reports_what_its_task_threw) {
  ::testing::internal::CaptureStderr();
  run([]() -> Task<> {
    TaskGroup group;
    group.spawn([]() -> Task<> {
      co_await next_turn();
      throw std::runtime_error("the disk is full");
    });
    for (int turn = 0; turn < 10; ++turn) co_await next_turn();
  });
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "coax: a TaskGroup is destroyed without join(), which would have thrown: the disk is full\n");
}

TEST(Misuse, promise_may_outlive_its_loop) {
  std::optional<Promise<int>> kept;
  std::optional<Promise<std::string>> set_late;
  run([&]() -> Task<> {
    kept.emplace();
    set_late.emplace();
    const Future<int> first = kept->future();
    const Future<std::string> second = set_late->future();
    co_return;
  });
  kept.reset();
  std::jthread([&] { set_late->set("late"); }).join();
}

TEST(Misuse, promise_is_not_failed_with_nothing) {
  run([]() -> Task<> {
    Promise<int> promise;
    EXPECT_EQ(text_of([&] { promise.fail(std::current_exception()); }),
              "fail a promise: the exception pointer is null");
    promise.set(1);
    EXPECT_EQ(co_await promise.future(), 1);
  });
}

TEST(Misuse, what_a_program_throws_need_not_be_an_exception) {
  const auto throw_number = []() -> Task<> {
    throw 42;
    co_return;
  };
  EXPECT_EQ(coax::run(throw_number()), 1);
  log::flush(10s);  // for the next test, which reads standard error
}

TEST(MisuseDeath, stream_and_listener_that_outlive_their_loop_abort) {
  EXPECT_DEATH(
      {
        std::unique_ptr<Stream> kept;
        run([&]() -> Task<> {
          kept = memory_stream_pair().first;
          co_return;
        });
        kept.reset();
      },
      "a stream is destroyed after its loop has ended");
  EXPECT_DEATH(
      {
        std::optional<SocketListener> kept;
        run([&]() -> Task<> {
          kept.emplace("127.0.0.1:0");
          co_return;
        });
        kept.reset();
      },
      "a listener is destroyed after its loop has ended");
}

// When globals are destroyed, the thread's own list of loops is gone already.
TEST(MisuseDeath, global_stream_that_outlives_its_loop_aborts) {
  EXPECT_EXIT(
      {
        static std::unique_ptr<Stream> kept;
        run([&]() -> Task<> {
          kept = memory_stream_pair().first;
          co_return;
        });
        std::exit(0);
      },
      testing::KilledBySignal(SIGABRT), "a stream is destroyed after its loop has ended");
}

TEST(MisuseDeath, event_destroyed_while_a_task_waits_aborts) {
  EXPECT_DEATH(run([]() -> Task<> {
                 auto event = std::make_unique<Event>();
                 TaskGroup group;
                 group.spawn(wait_for(*event));
                 event.reset();
                 co_await group.join();
               }),
               "an Event is destroyed while a task waits for it");
}

TEST(MisuseDeath, outbox_destroyed_before_its_subscription_aborts) {
  EXPECT_DEATH(run([]() -> Task<> {
                 Topic topic;
                 auto outbox = std::make_unique<Outbox>();
                 const Subscription subscription = topic.subscribe(*outbox);
                 outbox.reset();
                 co_return;
               }),
               "an Outbox is destroyed while a Subscription refers to it");
}

TEST(MisuseDeath, stream_destroyed_while_a_task_receives_aborts) {
  EXPECT_DEATH(run([]() -> Task<> {
                 auto pair = memory_stream_pair();
                 TaskGroup group;
                 group.spawn([&stream = *pair.first]() -> Task<> { co_await stream.recv(); });
                 pair.first.reset();
                 co_await group.join();
               }),
               "coax: a stream is destroyed while a task receives or sends on it");
}

TEST(MisuseDeath, stream_destroyed_while_a_task_sends_aborts) {
  EXPECT_DEATH(run([]() -> Task<> {
                 auto pair = memory_stream_pair(1);
                 TaskGroup group;
                 group.spawn([&stream = *pair.first]() -> Task<> { co_await stream.send("two"); });
                 pair.first.reset();
                 co_await group.join();
               }),
               "coax: a stream is destroyed while a task receives or sends on it");
}

TEST(MisuseDeath, operation_from_another_thread_aborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // ThreadSanitizer allows no thread after a mere fork
  EXPECT_DEATH(run([]() -> Task<> {
                 Loop& loop = Loop::current();
                 std::thread([&loop] { loop.require_own_thread(); }).join();
                 co_return;
               }),
               "coax: an operation is started on another thread than that of its loop");
}

TEST(Misuse, task_that_is_never_awaited_is_reported) {
  ASSERT_EQ(setenv("COAX_DEBUG", "1", 1), 0);
  testing::internal::CaptureStderr();
  static_cast<void>(nothing());
  EXPECT_EQ(
      testing::internal::GetCapturedStderr(),
      "coax: a Task is destroyed that was never awaited: it did nothing; co_await it, or spawn it in a TaskGroup\n");
  unsetenv("COAX_DEBUG");
}

TEST(Misuse, tasks_that_a_cancelled_scope_refuses_are_not_reported) {
  ASSERT_EQ(setenv("COAX_DEBUG", "1", 1), 0);
  testing::internal::CaptureStderr();
  run([]() -> Task<> {
    Event never;
    const auto work = [](Event& event) -> Task<> {
      try {
        co_await event.wait();
      } catch (const Cancelled&) {
      }
      EXPECT_EQ(co_await outcome(race(nothing(), nothing())), "cancelled");
      EXPECT_EQ(co_await outcome(all(nothing(), one())), "cancelled");
      EXPECT_EQ(co_await outcome(timeout(time_limit, nothing())), "cancelled");
      EXPECT_EQ(co_await outcome(run_on(Loop::current(), nothing())), "cancelled");
    };
    co_await race(work(never), next_turn());
  });
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  unsetenv("COAX_DEBUG");
}

TEST(Misuse, task_that_blocks_its_loop_is_reported) {
  COAX_NEEDS_KERNEL();
  ASSERT_EQ(setenv("COAX_DEBUG", "1", 1), 0);
  testing::internal::CaptureStderr();
  run([]() -> Task<> {
    co_await next_turn();
    const TimePoint until = Clock::now() + std::chrono::milliseconds(101);
    while (Clock::now() < until) {
    }
  });
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(text.starts_with("coax: a task blocked its loop for ")) << text;
  unsetenv("COAX_DEBUG");
}

}  // namespace misuse_test
