// offload: blocking calls on a pool of threads beside the loops, which are started on demand; as asyncio.to_thread().
//
//   co_await offload(read_all)                     its result, or its exception
//   co_await offload(look_up, abandon_on_cancel)   the same; a cancelled task does not wait for its end
//   co_await offload(list, as_bulk_work)           the same, behind other long calls
//   co_await offload(hash, as_cpu_work)            the same, behind other calls that compute
//
// At most 8 calls run at once; the others wait in the order of arrival, for as long as a task awaits them. Calls that
// may be abandoned have a pool of 8 threads of their own, so that a name server that does not answer delays no file;
// bulk work has one of 2, and what computes one of half the processors. On a simulated network, where time would not
// wait for a thread, the loop itself calls the function.
#pragma once

#include <cstdint>
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

// One call. Owned by the task that awaits it, or by its thread once it is abandoned.
class Work : public ListHook {
 public:
  enum class Pool : std::uint8_t { kept, abandonable, bulk, cpu };
  explicit Work(Pool pool) noexcept : pool_(pool) {}
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  virtual ~Work() = default;

  // Completes `then` on the current loop when the call has returned.
  // Throws: Error when no thread can be started.
  void begin(Completion& then);
  // The result of a withdrawal. `too_late`: it runs, or has ended, and `then` will be completed.
  enum class LetGo { withdrawn, abandoned, too_late };
  LetGo let_go() noexcept;

 protected:
  virtual void run() noexcept = 0;

 private:
  friend class Threads;
  enum class State { queued, running, ended, abandoned };

  Pool pool_;
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

  FunctionWork(F function, Pool pool) : Work(pool), function_(std::move(function)) {}
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
  Offload(F function, Work::Pool pool)
      : Operation<Offload>([](Waiting& self) noexcept { static_cast<Offload&>(self).cancel(); }),
        Completion([](Completion& self) noexcept { static_cast<Offload&>(self).resume(); }),
        work_(std::make_unique<FunctionWork<F>>(std::move(function), pool)) {}

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

// Calls the function, with a std::stop_token if it has that parameter. The function must not use the loop.
// Returns: the function's result.
// Throws: what the function throws; Error when no thread can be started.
// Cancelled: before the call, the function is never called. During the call, a stop is requested, its end is awaited,
// and its result is returned all the same; so the function may refer to what the task owns.
template <class F>
detail::Offload<F> offload(F function) {
  return {std::move(function), detail::Work::Pool::kept};
}

inline constexpr struct AbandonOnCancel {
} abandon_on_cancel;

// As above, but a cancelled task does not wait for the end of the function.
// Cancelled: during the call, a stop is requested and Cancelled is thrown at once. The function runs to its end on its
// thread, where it is destroyed; its result is dropped.
// Lifetime: the function owns all that it uses. The end of the process does not wait for it.
template <class F>
detail::Offload<F> offload(F function, AbandonOnCancel) {
  return {std::move(function), detail::Work::Pool::abandonable};
}

inline constexpr struct AsBulkWork {
} as_bulk_work;

// As the first, for calls that take long and of which a client may cause many, such as the listing of a large folder:
// at most 2 run at once, and they delay no others.
template <class F>
detail::Offload<F> offload(F function, AsBulkWork) {
  return {std::move(function), detail::Work::Pool::bulk};
}

inline constexpr struct AsCpuWork {
} as_cpu_work;

// As the first, for calls that keep a processor busy for long, such as the hash of a password: at most half as many as
// there are processors run at once, from 1 to 8, and they delay no others.
template <class F>
detail::Offload<F> offload(F function, AsCpuWork) {
  return {std::move(function), detail::Work::Pool::cpu};
}

}  // namespace coax
