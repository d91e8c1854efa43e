// A task starts when it is awaited, returns its value or throws its error once, and costs its awaiter no stack.
#include "coax/task/task.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

#include "tests/support/run.hpp"

namespace task_test {

using namespace coax;
using namespace coax::test;

namespace {

Task<int> give(int value) { co_return value; }

Task<int> add_up(int count) {
  int sum = 0;
  for (int term = 1; term <= count; ++term) sum += co_await give(term);
  co_return sum;
}

Task<> fail() {
  throw std::runtime_error("as planned");
  co_return;
}

Task<std::unique_ptr<int>> give_owned(int value) { co_return std::make_unique<int>(value); }

// Has neither a default constructor nor a copy.
class Token {
 public:
  explicit Token(int number) : number_(number) {}
  Token(Token&&) = default;
  Token& operator=(Token&&) = delete;
  ~Token() = default;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};
Task<Token> give_token() { co_return Token(7); }

// Counts its living objects.
struct Counted {
  explicit Counted(int& counter) : count(counter) { ++count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --count; }
  int& count;
};
Task<> hold(int& count, Event& release) {
  const Counted here(count);
  co_await release.wait();
}
Task<> hold_and_fail(int& count) {
  const Counted here(count);
  throw std::runtime_error("as planned");
  co_return;
}

Task<int> nested(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await nested(depth - 1);
}

Task<> append_after(std::string& trace, char name, int turns) {
  for (int turn = 0; turn < turns; ++turn) co_await next_turn();
  trace += name;
}

}  // namespace

TEST(Task, gives_its_value) {
  run([]() -> Task<> { EXPECT_EQ(co_await give(42), 42); });
}

TEST(Task, gives_what_can_only_be_moved) {
  run([]() -> Task<> {
    const auto owned = co_await give_owned(5);
    EXPECT_EQ(*owned, 5);
    const Token token = co_await give_token();
    EXPECT_EQ(token.number(), 7);
  });
}

TEST(Task, throws_its_error_where_it_is_awaited) {
  run([]() -> Task<> {
    std::string told;
    try {
      co_await fail();
    } catch (const std::runtime_error& error) {
      told = error.what();
    }
    EXPECT_EQ(told, "as planned");
  });
  EXPECT_THROW(run(fail), std::runtime_error);
}

TEST(Task, does_nothing_until_it_is_awaited) {
  run([]() -> Task<> {
    std::string trace;
    Task<> later = append_after(trace, 'x', 0);
    EXPECT_FALSE(later.done());
    EXPECT_EQ(trace, "");
    co_await later;
    EXPECT_TRUE(later.done());
    EXPECT_EQ(trace, "x");
    {
      const Task<> never = append_after(trace, 'y', 0);
    }
    EXPECT_EQ(trace, "x");
  });
}

TEST(Task, moves) {
  run([]() -> Task<> {
    Task<int> first = give(1);
    Task<int> second = std::move(first);
    EXPECT_EQ(co_await second, 1);
    second = give(2);
    second = give(3);
    Task<int>& same = second;
    second = std::move(same);
    EXPECT_EQ(co_await second, 3);
    Task<int> empty;
    EXPECT_FALSE(empty.done());
    empty = std::move(second);
    EXPECT_TRUE(empty.done());
  });
}

TEST(Task, frees_what_it_holds_when_it_ends) {
  run([]() -> Task<> {
    int alive = 0;
    Event release;
    TaskGroup group;
    group.spawn(hold(alive, release));
    EXPECT_EQ(alive, 1);
    release.set();
    co_await group.join();
    EXPECT_EQ(alive, 0);
    try {
      co_await hold_and_fail(alive);
    } catch (const std::runtime_error&) {
      EXPECT_EQ(alive, 0);
    }
  });
}

// Each await transfers control (symmetric transfer); as calls, this would need hundreds of megabytes of stack.
TEST(Task, awaiting_many_that_never_wait_needs_no_stack) {
  run([]() -> Task<> { EXPECT_EQ(co_await add_up(60'000), 1'800'030'000); });
  run([]() -> Task<> {
    for (int times = 0; times < 1'000'000; ++times) co_await give(times);
  });
}

TEST(Task, nests_as_deep_as_the_heap_allows) {
  run([]() -> Task<> { EXPECT_EQ(co_await nested(100'000), 100'000); });
}

TEST(Task, a_frame_may_be_of_any_size) {
  run([]() -> Task<> {
    const auto large = []() -> Task<std::size_t> {
      std::array<char, 100'000> bytes{};
      co_await next_turn();
      co_return bytes.size();
    };
    EXPECT_EQ(co_await large(), 100'000U);
  });
}

}  // namespace task_test
