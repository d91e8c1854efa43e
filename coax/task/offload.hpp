// offload: blocking work beside the loops, on threads that the process starts when they are needed.
//
//   co_await offload(read_all)                     its result, or what it throws
//   co_await offload(look_up, abandon_on_cancel)   the same for work that must not hold up who is cancelled
//
// At most 8 pieces of work run at once; the others wait in the order in which they came, for as long as somebody awaits
// them. What may be abandoned has 8 threads of its own, so that a name server that does not answer holds up no file.
// On a simulated network, where time would not wait for a thread, the loop itself calls the function.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <variant>

#include "coax/loop/loop.hpp"
#include "coax/task/task.hpp"

namespace coax {

namespace detail {

// One piece of work. It belongs to whoever awaits it, and to its thread when it was abandoned.
class Work : public ListHook {
 public:
  explicit Work(bool may_be_abandoned) noexcept : may_be_abandoned_(may_be_abandoned) {}
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  virtual ~Work() = default;

  // When it has been done, `then` is completed on the current loop. Throws Error when no thread can be started.
  void begin(Completion& then);
  // What became of it: `too_late` leaves it running, or it has ended; `then` will be completed.
  enum class LetGo { withdrawn, abandoned, too_late };
  LetGo let_go() noexcept;

 protected:
  virtual void run() noexcept = 0;

 private:
  friend class Threads;
  enum class State { queued, running, ended, abandoned };

  bool may_be_abandoned_;
  State state_ = State::queued;
  Loop* home_ = nullptr;
  Completion* then_ = nullptr;
};

template <class F>
class FunctionWork final : public Work {
  static constexpr bool is_stoppable = std::is_invocable_v<F&, std::stop_token>;
  static auto call(F& function, std::stop_token token) {
    if constexpr (is_stoppable) {
      return function(std::move(token));
    } else {
      return function();
    }
  }

 public:
  using Result = decltype(call(std::declval<F&>(), {}));

  FunctionWork(F function, bool may_be_abandoned) : Work(may_be_abandoned), function_(std::move(function)) {}
  void request_stop() noexcept { stop_.request_stop(); }
  Result take() {
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<Result>) return std::move(*result_);
  }

 private:
  void run() noexcept override {
    try {
      if constexpr (std::is_void_v<Result>) {
        call(function_, stop_.get_token());
      } else {
        result_.emplace(call(function_, stop_.get_token()));
      }
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  F function_;
  std::stop_source stop_ = is_stoppable ? std::stop_source() : std::stop_source(std::nostopstate);
  std::optional<std::conditional_t<std::is_void_v<Result>, std::monostate, Result>> result_;
  std::exception_ptr error_;
};

template <class F>
class [[nodiscard("it does nothing until it is awaited")]] Offload : public Operation<Offload<F>>, public Completion {
 public:
  Offload(F function, bool may_be_abandoned)
      : Operation<Offload>([](Waiting& self) noexcept { static_cast<Offload&>(self).cancel(); }),
        Completion([](Completion& self) noexcept { static_cast<Offload&>(self).resume(); }),
        work_(std::make_unique<FunctionWork<F>>(std::move(function), may_be_abandoned)) {}

  bool start() {
    work_->begin(*this);
    return false;
  }
  FunctionWork<F>::Result finish() {
    if (cancelled_) throw Cancelled();
    return work_->take();
  }

 private:
  void cancel() noexcept {
    work_->request_stop();
    const Work::LetGo end = work_->let_go();
    if (end == Work::LetGo::too_late) return;
    if (end == Work::LetGo::abandoned) static_cast<void>(work_.release());
    cancelled_ = true;
    Loop::current().finish_later(*this);
  }

  std::unique_ptr<FunctionWork<F>> work_;
  bool cancelled_ = false;
};

}  // namespace detail

// Calls the function, with a std::stop_token if it takes one, and gives what it returns or throws. It must not use the
// loop. Cancelled before it has begun: it is never called. Cancelled while it runs: it is asked to stop, its end is
// waited for, and its result is given all the same; so it may refer to what the task owns. Throws Error when no thread
// can be started.
template <class F>
detail::Offload<F> offload(F function) {
  return {std::move(function), false};
}

inline constexpr struct AbandonOnCancel {
} abandon_on_cancel;

// Cancelled while it runs: it is asked to stop, and Cancelled is thrown at once. The function runs on to its end, its
// result is dropped, and it is destroyed on its thread: so it must own all that it touches. The end of the process does
// not wait for it.
template <class F>
detail::Offload<F> offload(F function, AbandonOnCancel) {
  return {std::move(function), true};
}

}  // namespace coax
