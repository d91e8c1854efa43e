// Task<T>: a coroutine that starts when it is awaited, and ends before the task that awaits it resumes. It runs on the
// loop and in the context of its awaiter; context.hpp describes cancellation.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/task/context.hpp"
#include "coax/task/frame_memory.hpp"

namespace coax {

namespace detail {
// Throws: Error(invalid), because the task is empty (moved from) or was awaited before.
[[noreturn]] void throw_not_startable(bool is_empty);
// Reports a Task that was never awaited on standard error, where misuse is reported (base/misuse.hpp).
void report_unawaited() noexcept;
}  // namespace detail

class PromiseBase {
 public:
  Context* context = nullptr;
  std::coroutine_handle<> awaiter;  // none: the task is the root of its context
  std::exception_ptr error;

  static void* operator new(std::size_t size) { return frame_memory::allocate(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { frame_memory::release(frame, size); }

  struct Final {
    static bool await_ready() noexcept { return false; }
    template <class P>
    static std::coroutine_handle<> await_suspend(std::coroutine_handle<P> self) noexcept {
      PromiseBase& promise = self.promise();
      return promise.awaiter ? promise.awaiter : promise.context->ended(*promise.context);
    }
    static void await_resume() noexcept {}
  };
  static std::suspend_always initial_suspend() noexcept { return {}; }
  static Final final_suspend() noexcept { return {}; }
  // These two are not inlined: the temporaries that they need would be a part of each coroutine's frame.
  void unhandled_exception() noexcept;

 protected:
  [[noreturn]] void rethrow() const;
};

template <class T>
class TaskPromise;

template <class T = void>
class [[nodiscard("a Task does nothing until it is awaited")]] Task {
 public:
  using promise_type = TaskPromise<T>;
  using value_type = T;

  Task() noexcept = default;
  explicit Task(std::coroutine_handle<TaskPromise<T>> handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() { reset(); }

  [[nodiscard]] bool done() const noexcept { return handle_ && handle_.done(); }

  struct Await {
    const Task& task;  // not its handle, which would have another place in the awaiting frame
    static bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> parent) noexcept {
      TaskPromise<T>& promise = task.handle_.promise();
      promise.context = parent.promise().context;
      promise.awaiter = parent;
      return task.handle_;
    }
    T await_resume() { return task.handle_.promise().take(); }
  };
  // Awaited once, and not moved until it has ended. Throws: Error(invalid) when it is empty, or was awaited before.
  Await operator co_await() const& {
    require_startable();
    return {*this};
  }
  Await operator co_await() const&& {
    require_startable();
    return {*this};
  }

  // Throws: Error(invalid) when it is empty, or was awaited before.
  void require_startable() const {
    if (!handle_ || handle_.promise().context != nullptr) [[unlikely]]
      detail::throw_not_startable(!handle_);
  }
  // For scopes that are cancelled before they begin: destroys the task without a report of misuse.
  void abandon() noexcept {
    if (handle_) std::exchange(handle_, {}).destroy();
  }
  // For scopes: runs the task as the root of `context` up to its first wait. take() returns its result when it has
  // ended.
  void start(Context& context) {
    handle_.promise().context = &context;
    handle_.resume();
  }
  T take() { return handle_.promise().take(); }
  [[nodiscard]] const std::exception_ptr& error() const noexcept { return handle_.promise().error; }

 private:
  void reset() noexcept {
    if (!handle_) return;
    if (handle_.promise().context == nullptr) [[unlikely]]
      detail::report_unawaited();
    abandon();
  }
  std::coroutine_handle<TaskPromise<T>> handle_;
};

template <class T>
class TaskPromise : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept { return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this)); }
  template <class U = T>  // co_return {...}
    requires std::convertible_to<U&&, T>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    if (error) rethrow();
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class TaskPromise<void> : public PromiseBase {
 public:
  Task<> get_return_object() noexcept { return Task<>(std::coroutine_handle<TaskPromise>::from_promise(*this)); }
  static void return_void() noexcept {}
  void take() const {
    if (error) rethrow();
  }
};

// Base of the primitive awaitables. start() begins the operation, and returns true when it has completed at once;
// `cancel` asks it to end; resume() is called once when it has ended. Derived defines `bool start()` and `T finish()`,
// which returns the result or throws the error. In a cancelled context the operation is not started.
template <class Derived>
class Operation : public Waiting {
 public:
  explicit Operation(Cancel on_cancel) noexcept : Waiting(on_cancel) {}

  static bool await_ready() noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> task) {
    static_assert(alignof(P) <= 2 * sizeof(void*), "otherwise the promise's base is at another offset");
    if (task.promise().context->cancelled()) return false;
    task_ = &task.promise();
    if (static_cast<Derived*>(this)->start()) return false;
    task_->context->wait_for(this);
    return true;
  }
  decltype(auto) await_resume() {
    if (task_ == nullptr) throw Cancelled();
    return static_cast<Derived*>(this)->finish();
  }

 protected:
  void resume() noexcept {
    task_->context->wait_for(nullptr);
    std::coroutine_handle<PromiseBase>::from_promise(*task_).resume();
  }

 private:
  PromiseBase* task_ = nullptr;  // none: not started
};

}  // namespace coax
