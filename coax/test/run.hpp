// Tasks in tests: run() runs one on a loop of its own with a time limit, outcome() names how an operation ended, and
// next_turn() and until() wait for other tasks without waiting for time.
//
//   coax::test::run([]() -> coax::Task<> {
//     auto [near, far] = coax::memory_stream_pair();
//     near->close();
//     EXPECT_EQ(co_await coax::test::outcome(near->recv()), "invalid");
//   });
#pragma once

#include <string>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"

namespace coax::test {

// Of run(): far above the duration of a test, even under sanitizers on a busy machine.
inline constexpr Duration time_limit = std::chrono::seconds(60);

template <class Body>
Task<> limited(Body& body) {
  co_await timeout(time_limit, body());
}

// Calls body(). Throws: what it throws; Error(invalid) in place of Cancelled, which no test framework can print.
template <class Body>
void without_cancelled(Body body) {
  try {
    body();
  } catch (const Cancelled&) {
    throw Error(ErrorKind::invalid, "run", "a test", "it ended with Cancelled, though it had not been cancelled");
  }
}

// Runs body(), which returns a Task<>, on one loop of the back-end that COAX_BACKEND names.
// Throws: what the task throws; Error(timed_out) after time_limit; Error(invalid) when it ends with Cancelled.
template <class Body>
void run(Body body) {
  without_cancelled([&] { run_to_end(limited(body)); });
}

// Awaits it. Returns: "done", "cancelled", or the kind of the Error that it throws, such as "disconnected".
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

// Resumes in the next turn of the loop: every other task that is ready runs before.
class NextTurn : public Operation<NextTurn>, public Completion {
 public:
  NextTurn() noexcept
      : Operation([](Waiting&) noexcept {}),
        Completion([](Completion& self) noexcept { static_cast<NextTurn&>(self).resume(); }) {}
  bool start() noexcept {
    Loop::current().finish_later(*this);
    return false;
  }
  static void finish() noexcept {}
};
inline NextTurn next_turn() noexcept { return {}; }

// Returns in the first turn of the loop in which condition() is true.
template <class Condition>
Task<> until(Condition condition) {
  while (!condition()) co_await next_turn();
}

}  // namespace coax::test
