// Context: a chain of awaits, from a root task down to the operation that it waits for at this moment; Trio calls it a
// cancel scope. Cancelling a context asks that operation to end. From then on every await in the context throws
// Cancelled, until its scope has ended. Scopes (race, timeout, TaskGroup, shield) open nested contexts and pass the
// request down.
#pragma once

#include <coroutine>

#include "coax/base/compiler.hpp"

namespace coax {

// What a context waits for. `cancel` asks it to end soon; completion is still reported by the usual path.
struct Waiting {
  using Cancel = void (*)(Waiting&) noexcept;
  explicit Waiting(Cancel on_cancel) noexcept : cancel(on_cancel) {}
  Cancel cancel;
};

class Context {
 public:
  // Called when the root task of the context has ended. Returns the coroutine that runs next.
  using Ended = std::coroutine_handle<> (*)(Context&) noexcept;
  explicit Context(Ended on_ended) noexcept : ended(on_ended) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }
  void cancel() noexcept {
    if (cancelled_) return;
    cancelled_ = true;
    if (waiting_ != nullptr) waiting_->cancel(*waiting_);
  }
  void wait_for(Waiting* waiting) noexcept { waiting_ = waiting; }

  Ended ended;

 private:
  Waiting* waiting_ = nullptr;
  bool cancelled_ = false;
};

}  // namespace coax
