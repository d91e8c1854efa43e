// Promise and Future: one value from one task to another, once.
//
//   Promise<int> promise;
//   Future<int> answer = promise.future();
//   promise.set(42);               // from any thread
//   int value = co_await answer;
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "coax/task/scope.hpp"

namespace coax {

namespace detail {

// Belongs to the loop on which the promise was made.
template <class T>
struct FutureState {
  LoopLink home{Loop::current()};
  Event settled;
  std::optional<no_void<T>> value;
  std::exception_ptr error;
  bool taken = false;

  T take() {
    if (std::exchange(taken, true)) {
      throw Error(ErrorKind::invalid, "await", "a future", "it was awaited before; a future is awaited once");
    }
    if (error) std::rethrow_exception(std::exchange(error, nullptr));  // its last owner is the one that catches it
    if constexpr (!std::is_void_v<T>) return std::move(*value);
  }
};

}  // namespace detail

// The receiving end: awaited once, on the loop of its promise.
// Throws: the error that the promise was failed with; Error(disconnected) when the promise was destroyed without a
// value; Error(invalid) when the future is empty or was awaited before.
// Cancelled: the value is kept.
template <class T = void>
class [[nodiscard]] Future {
 public:
  Future() noexcept = default;
  explicit Future(std::shared_ptr<detail::FutureState<T>> state) noexcept : state_(std::move(state)) {}
  Future(Future&&) noexcept = default;
  Future& operator=(Future&&) noexcept = default;

  // Whether an await would return at once.
  [[nodiscard]] bool is_ready() const noexcept { return state_ && state_->settled.is_set(); }

  class [[nodiscard("it does nothing until it is awaited")]] Wait : public Event::Wait {
   public:
    explicit Wait(std::shared_ptr<detail::FutureState<T>> state) noexcept
        : Event::Wait(state->settled), state_(std::move(state)) {}
    T await_resume() {
      Event::Wait::await_resume();
      return state_->take();
    }

   private:
    std::shared_ptr<detail::FutureState<T>> state_;
  };
  Wait operator co_await() const {
    if (!state_) throw Error(ErrorKind::invalid, "await", "a future", "it is empty: moved from, or never made");
    return Wait(state_);
  }

 private:
  std::shared_ptr<detail::FutureState<T>> state_;
};

// The sending end. Destroyed without a value, it fails its future with Error(disconnected). A second value or error is
// ignored, and so is one after the end of the loop.
// Thread: constructed on a loop's thread; set, failed and destroyed on any.
template <class T = void>
class Promise {
 public:
  Promise() : state_(std::make_shared<detail::FutureState<T>>()) {}
  Promise(Promise&& other) noexcept : state_(std::move(other.state_)), settled_(other.settled_) {}
  Promise& operator=(Promise&& other) noexcept {
    if (this != &other) {
      abandon();
      state_ = std::move(other.state_);
      settled_ = other.settled_;
    }
    return *this;
  }
  ~Promise() { abandon(); }

  [[nodiscard]] Future<T> future() const noexcept { return Future<T>(state_); }

  void set()
    requires std::is_void_v<T>
  {
    settle([](detail::FutureState<T>&) {});
  }
  template <class U>
    requires(!std::is_void_v<T> && std::convertible_to<U &&, T>)
  void set(U&& value) {
    settle([value = T(std::forward<U>(value))](detail::FutureState<T>& state) mutable {
      state.value.emplace(std::move(value));
    });
  }
  // Throws: Error(invalid) for a null pointer, which std::current_exception() returns outside of a catch block.
  void fail(std::exception_ptr error) {
    if (!error) throw Error(ErrorKind::invalid, "fail", "a promise", "the exception pointer is null");
    settle([error = std::move(error)](detail::FutureState<T>& state) mutable { state.error = std::move(error); });
  }

 private:
  template <class Action>
  void settle(Action action) {
    if (!state_ || std::exchange(settled_, true)) return;
    const std::shared_ptr<detail::FutureState<T>> state = state_;
    const LoopLink& home = state->home;
    auto apply = [state, action = std::move(action)]() mutable {
      action(*state);
      state->settled.set();
    };
    if (home.is_current()) {
      apply();
    } else {
      home.post(std::move(apply));
    }
  }
  void abandon() noexcept {
    if (!state_ || settled_) return;
    fail(std::make_exception_ptr(
        Error(ErrorKind::disconnected, "await", "a future", "its promise was destroyed without a value")));
  }

  std::shared_ptr<detail::FutureState<T>> state_;
  bool settled_ = false;
};

namespace detail {

template <class T>
Task<> fulfil(Task<T> task, Promise<T> promise) {
  try {
    promise.set(co_await task);
  } catch (const Cancelled&) {  // the task that awaits the result is not necessarily cancelled
    promise.fail(std::make_exception_ptr(
        Error(ErrorKind::disconnected, "await", "a future", "its task was cancelled before it had a result")));
    throw;
  } catch (...) {
    promise.fail(std::current_exception());
    throw;
  }
}

}  // namespace detail

template <class T>
  requires(!std::is_void_v<T>)
Future<T> TaskGroup::spawn(Task<T> task) {
  task.require_startable();
  Promise<T> promise;
  Future<T> future = promise.future();
  spawn(detail::fulfil(std::move(task), std::move(promise)));
  return future;
}

}  // namespace coax
