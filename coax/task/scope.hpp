// Scopes: concurrent tasks, and tasks with a time limit. A scope ends when all tasks in it have ended (structured
// concurrency, as in Trio).
//
//   co_await race(a, b)          the first to end cancels the others; its result, when all have ended
//   co_await all(a, b)           all results; the first error cancels the others and is thrown
//   co_await timeout(5s, a)      a's result, or Error(timed_out)
//   co_await shield(a)           a, even when the awaiting task is cancelled: for cleaning up
//   co_await sleep(1s)
//   TaskGroup                    any number of tasks, see below
//
// Cancelling the awaiting task cancels the tasks inside and waits for their end. a and b may be tasks or operations
// (stream.recv()).
#pragma once

#include <array>
#include <concepts>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <variant>

#include "coax/loop/loop.hpp"
#include "coax/task/task.hpp"

namespace coax {

namespace detail {

template <class Awaitable>
struct AwaitResult {
  static decltype(auto) probe(Awaitable& awaitable) {
    if constexpr (requires { std::move(awaitable).operator co_await(); }) {
      return std::move(awaitable).operator co_await().await_resume();
    } else {
      return awaitable.await_resume();
    }
  }
  using type = std::decay_t<decltype(probe(std::declval<Awaitable&>()))>;
};
template <class Awaitable>
using await_result_t = typename AwaitResult<Awaitable>::type;

template <class T>
Task<T> as_task(Task<T> task) {
  task.require_startable();
  return task;
}
template <class Operation>
Task<await_result_t<Operation>> as_task(Operation operation) {
  co_return co_await operation;
}
template <class Awaitable>
using task_of = Task<await_result_t<Awaitable>>;

template <class T>
using no_void = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

// The context of one task of a scope, with a pointer to the scope.
template <class Scope>
struct ChildContext : Context {
  ChildContext() noexcept
      : Context([](Context& self) noexcept { return static_cast<ChildContext&>(self).scope->child_ended(self); }) {}
  Scope* scope = nullptr;
};

// Concurrent tasks. The first to end, or the first to fail, decides: the others are then cancelled.
template <bool first_wins, class... T>
class Together : public Waiting {
 public:
  explicit Together(Task<T>... tasks)
      : Waiting([](Waiting& self) noexcept { static_cast<Together&>(self).cancel_all(); }),
        tasks_(std::move(tasks)...) {}
  // Before it is awaited, as an argument of another scope.
  Together(Together&& other) noexcept : Waiting(other.cancel), tasks_(std::move(other.tasks_)) {}
  Together& operator=(Together&&) = delete;

  static bool await_ready() noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> parent) {
    context_ = parent.promise().context;
    refused_ = context_->cancelled();
    if (refused_) {
      std::apply([](auto&... task) { (task.abandon(), ...); }, tasks_);
      return false;
    }
    parent_ = parent;
    context_->wait_for(this);  // before the start, in which a task may cancel the awaiting one
    start_all(std::index_sequence_for<T...>{});
    if (--running_ != 0) return true;
    context_->wait_for(nullptr);
    return false;
  }

  std::coroutine_handle<> child_ended(Context& child) noexcept {
    const auto index = static_cast<std::size_t>(static_cast<ChildContext<Together>*>(&child) - contexts_.data());
    if (decided_ == undecided && (first_wins || failed(index))) {
      decided_ = index;
      cancel_all();
    }
    if (--running_ != 0) return std::noop_coroutine();
    context_->wait_for(nullptr);
    return parent_;
  }

 protected:
  static constexpr std::size_t undecided = SIZE_MAX;

  void check_refused() const {
    if (refused_) throw Cancelled();
  }
  std::tuple<Task<T>...> tasks_;
  std::size_t decided_ = undecided;

 private:
  template <std::size_t... I>
  void start_all(std::index_sequence<I...>) {
    (
        [&] {
          ++running_;
          contexts_[I].scope = this;
          if (decided_ != undecided) contexts_[I].cancel();  // it ends at its first wait
          std::get<I>(tasks_).start(contexts_[I]);
        }(),
        ...);
  }
  void cancel_all() noexcept {
    for (auto& context : contexts_) context.cancel();
  }
  bool failed(std::size_t index) noexcept {
    bool result = false;
    std::size_t at = 0;
    std::apply([&](auto&... task) { ((result = result || (at++ == index && task.error() != nullptr)), ...); }, tasks_);
    return result;
  }

  std::array<ChildContext<Together>, sizeof...(T)> contexts_;
  Context* context_ = nullptr;
  std::coroutine_handle<> parent_;
  std::size_t running_ = 1;  // 1 for the start itself: a task may end before the last has begun
  bool refused_ = false;
};

template <class... T>
class [[nodiscard("it does nothing until it is awaited")]] Race : public Together<true, T...> {
 public:
  using Together<true, T...>::Together;
  // All void: the index of the first to end. Otherwise a variant with its result, monostate for a void one.
  using Result = std::conditional_t<(std::is_void_v<T> && ...), std::size_t, std::variant<no_void<T>...>>;
  Result await_resume() {
    this->check_refused();
    return pick<0>();
  }

 private:
  template <std::size_t I>
  Result pick() {
    if constexpr (I < sizeof...(T)) {
      if (this->decided_ != I) return pick<I + 1>();
      auto& task = std::get<I>(this->tasks_);
      if constexpr ((std::is_void_v<T> && ...)) {
        task.take();
        return I;
      } else if constexpr (std::is_void_v<std::tuple_element_t<I, std::tuple<T...>>>) {
        task.take();
        return Result(std::in_place_index<I>);
      } else {
        return Result(std::in_place_index<I>, task.take());
      }
    } else {
      throw Cancelled();  // no task at all
    }
  }
};

template <class... T>
class [[nodiscard("it does nothing until it is awaited")]] All : public Together<false, T...> {
 public:
  using Together<false, T...>::Together;
  auto await_resume() {
    this->check_refused();
    rethrow(std::index_sequence_for<T...>{});
    if constexpr (!(std::is_void_v<T> && ...)) {
      return std::apply([](auto&... task) { return std::tuple(value(task)...); }, this->tasks_);
    }
  }

 private:
  template <std::size_t... I>
  void rethrow(std::index_sequence<I...>) {
    ((this->decided_ == I ? std::rethrow_exception(std::get<I>(this->tasks_).error()) : void()), ...);
  }
  template <class U>
  static no_void<U> value(Task<U>& task) {
    if constexpr (std::is_void_v<U>) {
      return {};
    } else {
      return task.take();
    }
  }
};

// One task in a context of its own, with an optional time limit.
template <class T>
class [[nodiscard("it does nothing until it is awaited")]] TimedScope : public Waiting {
 public:
  TimedScope(Task<T> task, std::optional<Duration> limit, bool shielded)
      : Waiting([](Waiting& self) noexcept {
          auto& scope = static_cast<TimedScope&>(self);
          if (!scope.shielded_) scope.child_.cancel();
        }),
        task_(std::move(task)),
        limit_(limit),
        shielded_(shielded) {}
  // Before it is awaited, as an argument of another scope.
  TimedScope(TimedScope&& other) noexcept : TimedScope(std::move(other.task_), other.limit_, other.shielded_) {}
  TimedScope& operator=(TimedScope&&) = delete;

  static bool await_ready() noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> parent) {
    context_ = parent.promise().context;
    refused_ = context_->cancelled() && !shielded_;
    if (refused_) {
      task_.abandon();
      return false;
    }
    parent_ = parent;
    child_.scope = this;
    if (limit_) {
      Loop& loop = Loop::current();
      timer_.scope = this;
      loop.timers().start(timer_, later(loop.backend().now(), *limit_));
    }
    context_->wait_for(this);  // before the start, in which the task may cancel the awaiting one
    task_.start(child_);
    if (--running_ != 0) return true;
    context_->wait_for(nullptr);
    return false;
  }
  T await_resume() {
    if (refused_) throw Cancelled();
    if (timed_out_ && task_.error()) rethrow_as_timeout();
    return task_.take();
  }

  std::coroutine_handle<> child_ended(Context&) noexcept {
    timer_.unlink();
    if (--running_ != 0) return std::noop_coroutine();
    context_->wait_for(nullptr);
    return parent_;
  }

 private:
  struct Limit : Timer {
    Limit() noexcept
        : Timer([](Timer& self) noexcept {
            TimedScope& scope = *static_cast<Limit&>(self).scope;
            scope.timed_out_ = !scope.child_.cancelled();
            scope.child_.cancel();
          }) {}
    TimedScope* scope = nullptr;
  };
  void rethrow_as_timeout() const {
    try {
      std::rethrow_exception(task_.error());
    } catch (const Cancelled&) {
      throw Error(ErrorKind::timed_out, "wait", "", "the time limit of " + format_duration(*limit_) + " has passed");
    }
  }

  Task<T> task_;
  ChildContext<TimedScope> child_;
  Limit timer_;
  std::optional<Duration> limit_;
  Context* context_ = nullptr;
  std::coroutine_handle<> parent_;
  int running_ = 2;  // the task and its start
  bool shielded_;
  bool timed_out_ = false;
  bool refused_ = false;
};

}  // namespace detail

// Waits for the first task to end, cancels the others, and waits for their end. Their results and errors are dropped.
// Returns: the index of the first when all are void, otherwise a variant of the results.
// Throws: the error of the first to end.
template <class... Awaitable>
auto race(Awaitable... awaitable) {
  return detail::Race<detail::await_result_t<Awaitable>...>(detail::as_task(std::move(awaitable))...);
}

// Waits for all tasks. The first error cancels the others.
// Returns: nothing when all are void, otherwise a tuple (monostate for a void one).
// Throws: the first error, when the others have ended.
template <class... Awaitable>
auto all(Awaitable... awaitable) {
  return detail::All<detail::await_result_t<Awaitable>...>(detail::as_task(std::move(awaitable))...);
}

// Limits the time of a task. A task that completes in the moment of the limit returns its result.
// Throws: Error(timed_out) when the limit was reached and the task ended because of it.
template <class Awaitable>
auto timeout(Duration limit, Awaitable awaitable) {
  return detail::TimedScope<detail::await_result_t<Awaitable>>(detail::as_task(std::move(awaitable)), limit, false);
}

// Protects the task from cancellation: the awaiting task cannot be cancelled until it has ended, even before it begins.
template <class Awaitable>
auto shield(Awaitable awaitable) {
  return detail::TimedScope<detail::await_result_t<Awaitable>>(detail::as_task(std::move(awaitable)), std::nullopt,
                                                               true);
}
// Both: shielded from cancellation, with a time limit.
template <class Awaitable>
auto shield(Duration limit, Awaitable awaitable) {
  return detail::TimedScope<detail::await_result_t<Awaitable>>(detail::as_task(std::move(awaitable)), limit, true);
}

template <class T>
class Future;

namespace detail {
template <class F>
std::invoke_result_t<F&> call_and_keep(F callable) {
  co_return co_await callable();
}
}  // namespace detail

// Any number of tasks that end together. A child's error cancels the others and is thrown by join().
// Lifetime: joined before it is destroyed; otherwise the program is aborted with a message. task_group() ensures it.
// Thread: the loop's.
class TaskGroup {
 public:
  TaskGroup() noexcept = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup();

  // Runs the task at once, up to its first wait. In a cancelled group it is cancelled at that wait.
  // Throws: Error(invalid) when the task is empty or was awaited before.
  void spawn(Task<> task);
  // The same with a result, delivered by the future; defined in future.hpp. An error is thrown by the future and by
  // join().
  template <class T>
    requires(!std::is_void_v<T>)
  Future<T> spawn(Task<T> task);
  // Calls the function and keeps it alive until its task has ended, so that a lambda may capture:
  // spawn([name] -> Task<> {...}).
  template <class F>
    requires std::invocable<F&>
  auto spawn(F callable) {
    return spawn(detail::call_and_keep(std::move(callable)));
  }
  void cancel() noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  class Join;
  // Waits until no child is left.
  // Throws: the first error of a child; Error(invalid) when another task waits already.
  // Cancelled: the children are cancelled, and their end is awaited.
  Join join() noexcept;

  // For owners that keep more state beside the task. The owner constructs the child, and ends it by leave() when its
  // `ended` is called. It must live until then.
  class Child : public ListHook, public Context {
   public:
    using Context::Context;
    Task<> task;
  };
  void spawn(Child& child);
  void leave(Child& child) noexcept;
  template <class Visit>
  void for_each(Visit visit) {
    children_.for_each(visit);
  }

 private:
  struct Spawned;
  void ended(Spawned& child) noexcept;

  List<Child> children_;
  std::size_t size_ = 0;
  std::exception_ptr error_;
  bool cancelled_ = false;
  Join* joiner_ = nullptr;
};

class [[nodiscard("it does nothing until it is awaited")]] TaskGroup::Join : public Waiting, public Completion {
 public:
  explicit Join(TaskGroup& group) noexcept;
  static bool await_ready() noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> parent) {
    context_ = parent.promise().context;
    if (context_->cancelled()) group_.cancel();
    if (group_.size_ == 0) return false;
    is_second_ = group_.joiner_ != nullptr;
    if (is_second_) return false;
    parent_ = parent;
    group_.joiner_ = this;
    context_->wait_for(this);
    return true;
  }
  void await_resume() const;

 private:
  TaskGroup& group_;
  Context* context_ = nullptr;
  std::coroutine_handle<> parent_;
  bool is_second_ = false;
};

inline TaskGroup::Join TaskGroup::join() noexcept { return Join(*this); }

// Runs body(group) as the first child of a new group. Returns when all children have ended.
Task<> task_group(std::function<Task<>(TaskGroup&)> body);

class [[nodiscard("it does nothing until it is awaited")]] Sleep : public Operation<Sleep>, private Timer {
 public:
  explicit Sleep(TimePoint until) noexcept;
  bool start() noexcept;
  void finish() const;

 private:
  struct Woken : Completion {
    using Completion::Completion;
    Sleep* sleep = nullptr;
  };
  TimePoint until_;
  Woken woken_;  // by a cancellation
};
Sleep sleep_until(TimePoint when) noexcept;
Sleep sleep(Duration duration);  // throws Error(invalid) on a thread without a loop

// Yields to the other tasks of the loop when this task has used its budget for the turn; usually it returns at once.
// For loops that may run many times without waiting: call it once per message or piece of work.
class [[nodiscard("it does nothing until it is awaited")]] Checkpoint : public Operation<Checkpoint>,
                                                                        private Completion {
 public:
  explicit Checkpoint(unsigned units) noexcept;
  bool start() noexcept;
  void finish() const;

 private:
  unsigned units_;
  bool cancelled_ = false;
};
// `units`: how much work was done, of the 256 units that a task may do in a turn; about a microsecond each.
// Cancelled: nothing is lost.
[[nodiscard]] Checkpoint checkpoint(unsigned units = 1) noexcept;
inline constexpr std::size_t bytes_of_unit = 512;
void charge_many_bytes(std::size_t count) noexcept;
// Charges the size of a decoded message to the budget of the next checkpoint.
inline void charge_bytes(std::size_t count) noexcept {
  if (count >= bytes_of_unit) charge_many_bytes(count);
}

// A flag that tasks of one loop can wait for, as asyncio.Event. It stays set until clear().
class Event {
 public:
  class Wait;
  Event() noexcept = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();  // aborts the program with a message when a task still waits
  void set() noexcept;
  void clear() noexcept { set_ = false; }
  [[nodiscard]] bool is_set() const noexcept { return set_; }
  Wait wait() noexcept;

 private:
  List<Wait> waits_;
  bool set_ = false;
};

class [[nodiscard("it does nothing until it is awaited")]] Event::Wait : public Operation<Event::Wait>,
                                                                         public Completion {
 public:
  explicit Wait(Event& event) noexcept;
  bool start() noexcept;
  void finish() const;

 private:
  friend class Event;
  Event& event_;
  bool over_ = false;  // set or cancelled: it is queued in the loop, and the event may be destroyed
  bool cancelled_ = false;
};

inline Event::Wait Event::wait() noexcept { return Wait(*this); }

// Returns the context of the task that awaits this, to cancel it from outside. It lives as long as its root task.
struct [[nodiscard("it does nothing until it is awaited")]] ThisContext {
  Context* context = nullptr;
  static bool await_ready() noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> task) noexcept {
    context = task.promise().context;
    return false;
  }
  [[nodiscard]] Context& await_resume() const noexcept { return *context; }
};
inline ThisContext this_context() noexcept { return {}; }

// Runs a task on another loop of this process and waits for its end here.
// Cancelled: the task is cancelled there, and its end is awaited.
Task<> run_on(Loop& loop, Task<> task);

}  // namespace coax
