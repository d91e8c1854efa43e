// LoopTasks: tasks that plain code starts on a loop, such as callbacks of another event loop (docs/guide/embedding.md).
#pragma once

#include <exception>
#include <functional>

#include "coax/loop/loop.hpp"
#include "coax/task/scope.hpp"

namespace coax {

// Owns independent tasks: the error of one leaves the others alone. Inside a task, use a TaskGroup instead.
// Thread: the loop's. Lifetime: destroyed before its loop.
class LoopTasks {
 public:
  // Receives what a task threw, except Cancelled, in a turn of the loop. It must not throw.
  using ErrorHandler = std::move_only_function<void(std::exception_ptr)>;

  // Without a handler, errors go to the log.
  explicit LoopTasks(Loop& loop, ErrorHandler on_error = nullptr);
  LoopTasks(const LoopTasks&) = delete;
  LoopTasks& operator=(const LoopTasks&) = delete;
  // cancel() and drain(). Aborts the program with a message when tasks are left and a turn of the loop is under way.
  ~LoopTasks();

  // The first step of the task runs in the loop's next turn.
  // Throws: Error(invalid) when the task is empty or was awaited before.
  void start(Task<> task);
  // The same with a callable, which is kept until its task has ended: start([name] -> Task<> {...}).
  template <class F>
    requires std::invocable<F&>
  void start(F callable) {
    start(detail::call_and_keep(std::move(callable)));
  }
  // Asks the present tasks to end. They have ended when size() is 0; drain() and when_empty() wait for that.
  void cancel() noexcept;
  // Runs the loop, and blocks, until no task is left.
  // Throws: Error(invalid) in a turn of the loop.
  void drain();
  // Calls the function once, in a turn of the loop in which no task is left. It replaces the previous function.
  // Lifetime: the function may destroy this object; it must not throw.
  void when_empty(std::move_only_function<void()> function);
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct Child;
  // Calls the function of when_empty() in the next turn of the loop.
  struct Notice : Completion {
    explicit Notice(LoopTasks& of) noexcept;
    LoopTasks& tasks;
  };
  void remove(Child& child) noexcept;
  void report(const std::exception_ptr& error) noexcept;
  void notify_when_empty() noexcept;

  Loop& loop_;
  ErrorHandler on_error_;
  std::move_only_function<void()> when_empty_;
  List<Child> children_;
  std::size_t size_ = 0;
  Notice notice_;
  bool is_closing_ = false;
};

}  // namespace coax
