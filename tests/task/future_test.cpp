// Promise, Future, and tasks with results and callables in a group.
#include "coax/task/future.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <thread>

#include "tests/support/run.hpp"

namespace future_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

Task<int> give(int value) {
  co_await next_turn();
  co_return value;
}
Task<int> refuse() {
  co_await next_turn();
  throw Error(ErrorKind::refused, "give", "", "no");
}

}  // namespace

TEST(Future, value_that_was_set_before_does_not_wait) {
  run([]() -> Task<> {
    Promise<int> promise;
    Future<int> future = promise.future();
    EXPECT_FALSE(future.is_ready());
    promise.set(42);
    EXPECT_TRUE(future.is_ready());
    EXPECT_EQ(co_await future, 42);
  });
}

TEST(Future, may_be_asked_for_after_its_promise_was_set) {
  run([]() -> Task<> {
    Promise<int> promise;
    promise.set(42);
    EXPECT_EQ(co_await promise.future(), 42);
  });
}

TEST(Future, of_a_cancelled_task_throws_to_its_awaiter) {
  run([]() -> Task<> {
    TaskGroup group;
    const Future<int> never = group.spawn([]() -> Task<int> {
      co_await sleep(1h);
      co_return 1;
    });
    group.cancel();
    co_await group.join();
    std::string text;
    try {
      co_await never;
    } catch (const Error& error) {
      text = error.what();
    }
    EXPECT_EQ(text, "await a future: its task was cancelled before it had a result");
  });
}

TEST(Future, waits_for_a_value_that_is_only_moved) {
  run([]() -> Task<> {
    Promise<std::unique_ptr<int>> promise;
    Future<std::unique_ptr<int>> future = promise.future();
    TaskGroup group;
    group.spawn([&]() -> Task<> {
      co_await next_turn();
      promise.set(std::make_unique<int>(7));
    });
    const std::unique_ptr<int> value = co_await future;
    EXPECT_EQ(*value, 7);
    co_await group.join();
  });
}

TEST(Future, broken_promise_is_an_error_that_says_so) {
  run([]() -> Task<> {
    Future<> future;
    {
      const Promise<> promise;
      future = promise.future();
    }
    EXPECT_EQ(co_await text_of_error(std::move(future)), "await a future: its promise was destroyed without a value");
  });
}

TEST(Future, awaited_twice_or_empty_is_an_error) {
  run([]() -> Task<> {
    Promise<int> promise;
    Future<int> future = promise.future();
    promise.set(1);
    EXPECT_EQ(co_await future, 1);
    EXPECT_EQ(co_await outcome(std::move(future)), "invalid");
    EXPECT_EQ(co_await outcome([](Future<int> empty) -> Task<> { co_await empty; }({})), "invalid");
  });
}

TEST(Future, cancelled_wait_leaves_the_value) {
  run([]() -> Task<> {
    Promise<int> promise;
    Future<int> future = promise.future();
    const auto wait = [](Future<int>& of) -> Task<> { co_await of; };
    co_await race(wait(future), next_turn());
    promise.set(5);
    EXPECT_EQ(co_await future, 5);
  });
}

TEST(Future, wait_has_a_time_limit) {
  run([]() -> Task<> {
    const Promise<int> promise;
    EXPECT_EQ(co_await outcome(timeout(1ms, promise.future())), "timed_out");
  });
}

TEST(Future, is_set_from_another_thread) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    Promise<std::string> promise;
    Future<std::string> future = promise.future();
    const std::jthread other([promise = std::move(promise)]() mutable { promise.set("from afar"); });
    EXPECT_EQ(co_await future, "from afar");
  });
}

TEST(Future, destroyed_wait_for_it_does_not_harm_the_promise) {
  run([]() -> Task<> {
    Promise<int> promise;
    static_cast<void>(promise.future());
    promise.set(1);
    co_return;
  });
}

TEST(Group, task_with_a_result_returns_it_by_a_future) {
  run([]() -> Task<> {
    TaskGroup group;
    Future<int> first = group.spawn(give(1));
    Future<int> second = group.spawn(give(2));
    EXPECT_EQ(co_await second, 2);
    EXPECT_EQ(co_await first, 1);
    co_await group.join();
  });
}

TEST(Group, error_of_a_task_is_thrown_by_future_and_join) {
  run([]() -> Task<> {
    TaskGroup group;
    Future<int> result = group.spawn(refuse());
    EXPECT_EQ(co_await outcome(std::move(result)), "refused");
    EXPECT_EQ(co_await outcome(group.join()), "refused");
  });
}

TEST(Group, callable_lives_as_long_as_its_task) {
  run([]() -> Task<> {
    TaskGroup group;
    const auto alive = std::make_shared<std::string>("alive");
    std::string seen;
    group.spawn([owned = alive, &seen]() -> Task<> {
      co_await next_turn();
      seen = *owned;
    });
    Future<int> value = group.spawn([owned = std::make_unique<int>(9)]() -> Task<int> {
      co_await next_turn();
      co_return *owned;
    });
    EXPECT_EQ(alive.use_count(), 2);
    EXPECT_EQ(co_await value, 9);
    co_await group.join();
    EXPECT_EQ(seen, "alive");
    EXPECT_EQ(alive.use_count(), 1);
  });
}

}  // namespace future_test
