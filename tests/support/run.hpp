// The body of a test as a task: on loops of its own, and ended when it takes far too long.
#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <string>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"
#include "tests/support/sim.hpp"

namespace coax::test {

// Far above what any test takes, sanitizers on a busy machine included.
inline constexpr Duration time_limit = std::chrono::seconds(60);

template <class Body>
Task<> limited(Body& body) {
  co_await timeout(time_limit, body());
}

// Runs body(), which returns a Task<>.
template <class Body>
void run(Body body, RunOptions options = {}) {
  if (options.threads.value_or(2) > 1) COAX_NEEDS_KERNEL();
  run_to_end(limited(body), options);
}

// What becomes of it: "done", "cancelled", or the kind of the Error that it throws.
template <class Awaitable>
Task<std::string> outcome(Awaitable awaitable) {
  try {
    co_await std::move(awaitable);
  } catch (const Cancelled&) {
    co_return "cancelled";
  } catch (const Error& error) {
    co_return std::string(to_string(error.kind()));
  }
  co_return "done";
}

// What the Error that it throws says, or "none".
template <class Awaitable>
Task<std::string> text_of_error(Awaitable awaitable) {
  try {
    co_await std::move(awaitable);
  } catch (const Error& error) {
    co_return error.what();
  }
  co_return "none";
}

// For a loop without tasks: turns it until condition() is true.
template <class Condition>
void turn_until(Loop& loop, Condition condition) {
  struct Limit : Timer {
    Limit() : Timer([](Timer& self) noexcept { static_cast<Limit&>(self).passed = true; }) {}
    bool passed = false;
  } limit;
  loop.timers().start(limit, loop.now() + time_limit);
  loop.run_until([&] { return limit.passed || condition(); });
  EXPECT_FALSE(limit.passed);
}

// Lets everybody else have a turn of the loop.
class NextTurn : public Leaf<NextTurn>, public Completion {
 public:
  NextTurn() noexcept
      : Leaf([](Waiting&) noexcept {}),
        Completion([](Completion& self) noexcept { static_cast<NextTurn&>(self).resume(); }) {}
  bool start() noexcept {
    Loop::current().finish_later(*this);
    return false;
  }
  static void finish() noexcept {}
};
inline NextTurn next_turn() noexcept { return {}; }

// Turns until condition() is true.
template <class Condition>
Task<> until(Condition condition) {
  while (!condition()) co_await next_turn();
}

}  // namespace coax::test
