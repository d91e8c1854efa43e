// Errors in tasks, and of tasks that are awaited twice, or never.
#include "coax/task/task.hpp"

#include "coax/base/misuse.hpp"

namespace coax {

void PromiseBase::unhandled_exception() noexcept { error = std::current_exception(); }

void PromiseBase::rethrow() const { std::rethrow_exception(error); }

namespace detail {

void throw_not_startable(bool is_empty) {
  throw Error(ErrorKind::invalid, "await", "a task",
              is_empty ? "it is empty: moved from, or never made" : "it was awaited before; a task runs once");
}

void report_unawaited() noexcept {
  if (!reports_misuse() || std::uncaught_exceptions() != 0) return;  // while unwinding it cannot be awaited
  report_misuse("a Task is destroyed that was never awaited: it did nothing; co_await it, or spawn it in a TaskGroup");
}

}  // namespace detail

}  // namespace coax
