// TaskGroup and Event.
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

#include "coax/task/scope.hpp"
#include "tests/support/run.hpp"

namespace group_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

Task<> nothing() { co_return; }
Task<> wait_for(Event& event) { co_await event.wait(); }
Task<> wait_for_ever() {
  Event never;
  co_await never.wait();
}
Task<> fail_after(int turns, std::string text) {
  for (int turn = 0; turn < turns; ++turn) co_await next_turn();
  throw std::runtime_error(text);
}
Task<> count_after(int turns, int& count) {
  for (int turn = 0; turn < turns; ++turn) co_await next_turn();
  ++count;
}
Task<> observe(Task<> task, std::string& end) { end = co_await outcome(std::move(task)); }

Task<std::string> error_of_join(TaskGroup& group) {
  try {
    co_await group.join();
  } catch (const Cancelled&) {
    co_return "cancelled";
  } catch (const std::exception& error) {
    co_return error.what();
  }
  co_return "none";
}

}  // namespace

// --- TaskGroup ---

TEST(TaskGroup, joins_all_its_children) {
  run([]() -> Task<> {
    TaskGroup group;
    int count = 0;
    for (int child = 0; child < 100; ++child) group.spawn(count_after(child % 7, count));
    EXPECT_EQ(group.size() + count, 100U);
    co_await group.join();
    EXPECT_EQ(count, 100);
    EXPECT_EQ(group.size(), 0U);
    co_await group.join();
  });
}

TEST(TaskGroup, without_children_is_joined_at_once) {
  run([]() -> Task<> {
    TaskGroup group;
    co_await group.join();
    group.spawn(nothing());
    EXPECT_EQ(group.size(), 0U);
    co_await group.join();
  });
}

namespace {
Task<> spawn_a_tree(TaskGroup& group, int depth, int& count) {
  co_await next_turn();
  ++count;
  if (depth == 0) co_return;
  group.spawn(spawn_a_tree(group, depth - 1, count));
  co_await next_turn();
  group.spawn(spawn_a_tree(group, depth - 1, count));
}
}  // namespace

TEST(TaskGroup, takes_children_from_its_children) {
  run([]() -> Task<> {
    int count = 0;
    co_await task_group([&count](TaskGroup& group) { return spawn_a_tree(group, 7, count); });
    EXPECT_EQ(count, 255);
  });
}

TEST(TaskGroup, may_be_spawned_into_between_the_last_end_and_the_join) {
  run([]() -> Task<> {
    TaskGroup group;
    int count = 0;
    Event late;
    const auto spawn_late = [](TaskGroup& into, Event& event, int& counter) -> Task<> {
      co_await event.wait();
      into.spawn(count_after(3, counter));
    };
    // The joiner is notified that the group is empty, and before it runs a child was spawned.
    TaskGroup other;
    other.spawn(spawn_late(group, late, count));
    const auto set = [](Event& event) -> Task<> {
      co_await next_turn();
      event.set();
    };
    group.spawn(set(late));
    co_await group.join();
    EXPECT_EQ(group.size(), 0U);
    co_await other.join();
    co_await group.join();
    EXPECT_EQ(count, 1);
  });
}

TEST(TaskGroup, an_error_cancels_the_others_and_is_thrown_by_join) {
  run([]() -> Task<> {
    TaskGroup group;
    std::string end;
    group.spawn(observe(wait_for_ever(), end));
    group.spawn(fail_after(2, "first"));
    group.spawn(fail_after(5, "never"));
    EXPECT_EQ(co_await error_of_join(group), "first");
    EXPECT_EQ(end, "cancelled");
    EXPECT_EQ(co_await error_of_join(group), "none") << "an error is thrown once";
  });
}

TEST(TaskGroup, an_error_of_a_child_that_never_waits_is_thrown_by_join_too) {
  run([]() -> Task<> {
    TaskGroup group;
    std::string end;
    group.spawn(observe(wait_for_ever(), end));
    group.spawn(fail_after(0, "at once"));
    EXPECT_EQ(co_await error_of_join(group), "at once");
    EXPECT_EQ(end, "cancelled");
  });
}

TEST(TaskGroup, cancelled_cancels_a_new_child_at_its_first_wait) {
  run([]() -> Task<> {
    TaskGroup group;
    group.cancel();
    std::string end;
    int count = 0;
    group.spawn(observe(wait_for_ever(), end));
    group.spawn(count_after(0, count));
    EXPECT_EQ(end, "cancelled");
    EXPECT_EQ(count, 1);
    EXPECT_EQ(co_await error_of_join(group), "none");
  });
}

TEST(TaskGroup, cancelled_join_cancels_and_awaits_its_children) {
  run([]() -> Task<> {
    const auto inner = [](std::string& ends, std::string& join_end) -> Task<> {
      const auto end_slowly = [](std::string& trace) -> Task<> {
        trace += co_await outcome(wait_for_ever());
        co_await shield(sleep(2ms));
        trace += " ended ";
      };
      TaskGroup group;
      group.spawn(end_slowly(ends));
      group.spawn(end_slowly(ends));
      join_end = co_await error_of_join(group);
    };
    TaskGroup outer;
    std::string ends;
    std::string join_end;
    outer.spawn(inner(ends, join_end));
    co_await next_turn();
    outer.cancel();
    co_await outer.join();
    EXPECT_EQ(ends, "cancelledcancelled ended  ended ");
    EXPECT_EQ(join_end, "cancelled");
  });
}

TEST(TaskGroup, is_joined_in_a_context_that_is_cancelled_already) {
  run([]() -> Task<> {
    const auto inner = [](std::string& child_end, std::string& join_end) -> Task<> {
      TaskGroup group;
      group.spawn(observe(wait_for_ever(), child_end));
      join_end = co_await error_of_join(group);
    };
    TaskGroup outer;
    outer.cancel();
    std::string child_end;
    std::string join_end;
    outer.spawn(inner(child_end, join_end));
    co_await outer.join();
    EXPECT_EQ(child_end, "cancelled");
    EXPECT_EQ(join_end, "cancelled");
  });
}

TEST(TaskGroup, as_a_function_joins_whatever_its_body_throws) {
  run([]() -> Task<> {
    std::string end;
    std::string told;
    try {
      co_await task_group([&end](TaskGroup& group) -> Task<> {
        group.spawn(observe(wait_for_ever(), end));
        co_await fail_after(2, "the body");
      });
    } catch (const std::runtime_error& error) {
      told = error.what();
    }
    EXPECT_EQ(told, "the body");
    EXPECT_EQ(end, "cancelled");
  });
}

// --- Event ---

TEST(Event, wakes_all_waiting_tasks_and_lets_later_ones_pass) {
  run([]() -> Task<> {
    Event event;
    TaskGroup group;
    for (int waiting = 0; waiting < 5; ++waiting) group.spawn(wait_for(event));
    EXPECT_FALSE(event.is_set());
    event.set();
    EXPECT_TRUE(event.is_set());
    EXPECT_EQ(group.size(), 5U) << "set() resumes no task";
    co_await group.join();
    co_await event.wait();
  });
}

TEST(Event, can_be_cleared_for_the_next_time) {
  run([]() -> Task<> {
    Event event;
    TaskGroup early;
    TaskGroup late;
    early.spawn(wait_for(event));
    event.set();
    event.clear();
    late.spawn(wait_for(event));
    co_await early.join();
    EXPECT_EQ(late.size(), 1U);
    event.set();
    co_await late.join();
  });
}

TEST(Event, a_wait_that_is_cancelled_leaves) {
  run([]() -> Task<> {
    Event event;
    TaskGroup group;
    std::string end;
    group.spawn(observe(wait_for(event), end));
    group.cancel();
    co_await group.join();
    EXPECT_EQ(end, "cancelled");
    event.set();
  });
}

TEST(Event, a_wait_that_is_over_is_not_cancelled_any_more) {
  run([]() -> Task<> {
    auto event = std::make_unique<Event>();
    TaskGroup group;
    std::string first;
    std::string second;
    group.spawn(observe(wait_for(*event), first));
    event->set();
    event->clear();
    group.spawn(observe(wait_for(*event), second));
    event->set();
    event.reset();  // the woken task does not need it any more
    group.cancel();
    co_await group.join();
    EXPECT_EQ(first, "done");
    EXPECT_EQ(second, "done");
  });
}

}  // namespace group_test
