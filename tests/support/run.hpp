// Helpers of our own tests beside coax/test/run.hpp: several loops, texts of errors, a loop without tasks.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"
#include "coax/test/run.hpp"
#include "tests/support/sim.hpp"

namespace coax::test {

// The same on several loops, on threads of their own.
template <class Body>
void run(Body body, RunOptions options) {
  if (options.threads.value_or(2) > 1) COAX_NEEDS_KERNEL();
  without_cancelled([&] { run_to_end(limited(body), options); });
}

// The text of the Error that it throws, or "none".
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

}  // namespace coax::test
