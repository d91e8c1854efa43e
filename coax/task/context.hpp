// Context: one line of awaits, from a root task down to the operation that it waits for at this moment. Cancelling a
// context asks that operation to end; from then on every await of the context throws Cancelled, until its scope has
// ended. Scopes (race, timeout, TaskGroup, shield) make new contexts inside a waiting one and pass the request on to
// them.
#pragma once

#include <coroutine>

#include "coax/base/compiler.hpp"

namespace coax {

// What a context waits for. `cancel` asks it to end soon; it must end all the same.
struct Waiting {
  using Cancel = void (*)(Waiting&) noexcept;
  explicit Waiting(Cancel on_cancel) noexcept : cancel(on_cancel) {}
  Cancel cancel;
};

class Context {
 public:
  // Called when the root task of the context has ended; returns who runs next.
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
