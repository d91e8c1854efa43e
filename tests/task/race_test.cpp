// race() and all(): no task inside outlives them, whichever ends first and however.
#include <gtest/gtest.h>

#include <stdexcept>

#include "coax/task/scope.hpp"
#include "tests/support/run.hpp"

namespace race_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

Task<int> give(int value) { co_return value; }
Task<std::string> give_text(std::string text, int turns) {
  for (int turn = 0; turn < turns; ++turn) co_await next_turn();
  co_return text;
}
Task<> nothing() { co_return; }
Task<> wait_for_ever() {
  Event never;
  co_await never.wait();
}
Task<int> fail_after(int turns, std::string text) {
  for (int turn = 0; turn < turns; ++turn) co_await next_turn();
  throw std::runtime_error(text);
}
// Records when it has really ended, some turns after it was cancelled.
Task<> end_slowly(std::string& trace, char name) {
  try {
    co_await wait_for_ever();
  } catch (const Cancelled&) {
    trace += '(';
  }
  co_await shield(give_text("", 3));
  trace += name;
}
Task<int> give_in_spite_of_cancel(int value) {
  try {
    co_await wait_for_ever();
  } catch (const Cancelled&) {
    co_return value;
  }
  co_return -1;
}
Task<> fail_when_cancelled() {
  try {
    co_await wait_for_ever();
  } catch (const Cancelled&) {
    throw std::runtime_error("on the way out");
  }
}

template <class Awaitable>
Task<std::string> error_of(Awaitable awaitable) {
  try {
    co_await std::move(awaitable);
  } catch (const Cancelled&) {
    co_return "cancelled";
  } catch (const std::exception& error) {
    co_return error.what();
  }
  co_return "none";
}

// Races that are cancelled by a task inside them, before they have waited.
Task<> cancel(Context& context) {
  context.cancel();
  co_return;
}
Task<> cancel_and_wait(Context& context) {
  context.cancel();
  co_await wait_for_ever();
}

}  // namespace

// --- race ---

TEST(Race, returns_the_index_of_the_first) {
  run([]() -> Task<> {
    EXPECT_EQ(co_await race(wait_for_ever(), nothing(), wait_for_ever()), 1U);
    EXPECT_EQ(co_await race(sleep(1h), sleep(1ms)), 1U);
  });
}

TEST(Race, gives_the_result_of_the_first) {
  run([]() -> Task<> {
    const std::variant<std::string, int> first = co_await race(give_text("slow", 3), give(7));
    EXPECT_EQ(std::get<1>(first), 7);
    const std::variant<std::string, std::monostate> second = co_await race(give_text("quick", 1), wait_for_ever());
    EXPECT_EQ(std::get<0>(second), "quick");
    const std::variant<int, std::monostate> third = co_await race(give_in_spite_of_cancel(1), nothing());
    EXPECT_EQ(third.index(), 1U);
  });
}

TEST(Race, waits_until_the_others_have_ended) {
  run([]() -> Task<> {
    std::string trace;
    co_await race(end_slowly(trace, 'a'), nothing(), end_slowly(trace, 'b'));
    EXPECT_EQ(trace, "((ba") << "b was cancelled before it began";
  });
}

TEST(Race, throws_the_error_of_the_first) {
  run([]() -> Task<> {
    EXPECT_EQ(co_await error_of(race(wait_for_ever(), fail_after(0, "at once"))), "at once");
    EXPECT_EQ(co_await error_of(race(fail_after(2, "later"), wait_for_ever())), "later");
  });
}

TEST(Race, drops_the_errors_of_the_others) {
  run([]() -> Task<> {
    EXPECT_EQ(co_await error_of(race(fail_when_cancelled(), nothing())), "none");
    EXPECT_EQ(co_await error_of(race(fail_when_cancelled(), fail_after(1, "the first"))), "the first");
  });
}

TEST(Race, of_tasks_that_never_wait_is_won_by_the_first) {
  run([]() -> Task<> {
    const auto first = co_await race(give(1), give(2), give(3));
    EXPECT_EQ(std::get<0>(first), 1);
    EXPECT_EQ(co_await race(nothing(), nothing()), 0U);
  });
}

TEST(Race, nests) {
  run([]() -> Task<> {
    std::string trace;
    co_await race(race(end_slowly(trace, 'a'), race(end_slowly(trace, 'b'), end_slowly(trace, 'c'))), sleep(1ms));
    EXPECT_EQ(trace, "(((abc");
  });
}

TEST(Race, passes_a_cancellation_on_and_waits_for_all) {
  run([]() -> Task<> {
    std::string trace;
    std::string end;
    const auto inner = [](std::string& inside, std::string& outcome) -> Task<> {
      outcome = co_await error_of(race(end_slowly(inside, 'a'), end_slowly(inside, 'b')));
    };
    TaskGroup group;
    group.spawn(inner(trace, end));
    co_await next_turn();
    group.cancel();
    EXPECT_EQ(trace, "");
    co_await group.join();
    EXPECT_EQ(trace, "((ab");
    EXPECT_EQ(end, "none");  // both caught it and returned; the next wait throws
  });
}

TEST(Race, in_a_cancelled_context_does_not_start) {
  run([]() -> Task<> {
    bool ran = false;
    std::string end;
    const auto mark = [](bool& flag) -> Task<> {
      flag = true;
      co_return;
    };
    const auto inner = [](Task<> task, std::string& outcome) -> Task<> {
      outcome = co_await error_of(race(std::move(task), wait_for_ever()));
    };
    TaskGroup group;
    group.cancel();
    group.spawn(inner(mark(ran), end));
    co_await group.join();
    EXPECT_FALSE(ran);
    EXPECT_EQ(end, "cancelled");
  });
}

TEST(Race, is_cancelled_by_what_starts_inside_it) {
  run([]() -> Task<> {
    std::string end;
    const auto inner = [](std::string& outcome) -> Task<> {
      Context& self = co_await this_context();
      outcome = co_await error_of(race(wait_for_ever(), cancel_and_wait(self)));
    };
    TaskGroup group;
    group.spawn(inner(end));
    co_await group.join();
    EXPECT_EQ(end, "cancelled");
  });
}

// --- all ---

TEST(All, gives_all_results) {
  run([]() -> Task<> {
    const std::tuple<std::string, int, std::monostate> results = co_await all(give_text("a", 3), give(2), nothing());
    EXPECT_EQ(std::get<0>(results), "a");
    EXPECT_EQ(std::get<1>(results), 2);
    co_await all(nothing(), sleep(1ms));
  });
}

TEST(All, runs_side_by_side) {
  run([]() -> Task<> {
    Event go;
    const auto set = [](Event& event) -> Task<> {
      event.set();
      co_return;
    };
    co_await all(go.wait(), set(go), go.wait());
  });
}

TEST(All, throws_the_first_error_when_the_others_have_ended) {
  run([]() -> Task<> {
    std::string trace;
    EXPECT_EQ(co_await error_of(all(end_slowly(trace, 'a'), fail_after(2, "first"), fail_after(9, "never"))), "first");
    EXPECT_EQ(trace, "(a");
    EXPECT_EQ(co_await error_of(all(fail_when_cancelled(), fail_after(0, "at once"))), "at once");
  });
}

TEST(All, passes_a_cancellation_on) {
  run([]() -> Task<> {
    std::string end;
    const auto inner = [](std::string& outcome) -> Task<> {
      outcome = co_await error_of(all(wait_for_ever(), sleep(1h)));
    };
    TaskGroup group;
    group.spawn(inner(end));
    co_await next_turn();
    group.cancel();
    co_await group.join();
    EXPECT_EQ(end, "cancelled");
  });
}

TEST(All, is_cancelled_by_what_starts_inside_it) {
  run([]() -> Task<> {
    std::string end;
    const auto inner = [](std::string& outcome) -> Task<> {
      Context& self = co_await this_context();
      outcome = co_await error_of(all(cancel(self), wait_for_ever()));
    };
    TaskGroup group;
    group.spawn(inner(end));
    co_await group.join();
    EXPECT_EQ(end, "cancelled");
  });
}

}  // namespace race_test
