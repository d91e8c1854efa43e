// A child is a root context of its own. The loop runs two steps of it: its start, and its removal after its end, so
// that its end calls no foreign code from inside a coroutine.
#include "coax/task/loop_tasks.hpp"

#include <memory>
#include <utility>

#include "coax/base/log.hpp"
#include "coax/base/misuse.hpp"

namespace coax {

struct LoopTasks::Child : ListHook, Context {
  Child(LoopTasks& of, Task<> body)
      : Context([](Context& self) noexcept -> std::coroutine_handle<> {
          auto& child = static_cast<Child&>(self);
          child.has_ended = true;
          child.tasks.loop_.finish_later(child.step);
          return std::noop_coroutine();
        }),
        tasks(of),
        task(std::move(body)),
        step(*this) {}

  struct Step : Completion {
    explicit Step(Child& of) noexcept
        : Completion([](Completion& self) noexcept {
            Child& child = static_cast<Step&>(self).child;
            if (child.has_ended) return child.tasks.remove(child);
            child.task.start(child);
          }),
          child(of) {}
    Child& child;
  };

  LoopTasks& tasks;
  Task<> task;
  Step step;
  bool has_ended = false;
};

LoopTasks::Notice::Notice(LoopTasks& of) noexcept
    : Completion([](Completion& self) noexcept {
        LoopTasks& tasks = static_cast<Notice&>(self).tasks;
        if (tasks.size_ == 0 && tasks.when_empty_) std::exchange(tasks.when_empty_, nullptr)();
      }),
      tasks(of) {}

LoopTasks::LoopTasks(Loop& loop, ErrorHandler on_error) : loop_(loop), on_error_(std::move(on_error)), notice_(*this) {}

LoopTasks::~LoopTasks() {
  is_closing_ = true;
  cancel();
  try {
    if (size_ != 0) drain();
  } catch (const std::exception& error) {
    abort_misuse(std::string("LoopTasks are destroyed before their tasks have ended: ") + error.what());
  }
}

void LoopTasks::start(Task<> task) {
  task.require_startable();
  const auto entered = loop_.enter();
  Child& child = *std::make_unique<Child>(*this, std::move(task)).release();  // owned by the list: remove() deletes it
  children_.push_back(child);
  ++size_;
  if (is_closing_) child.cancel();
  loop_.finish_later(child.step);
}

void LoopTasks::cancel() noexcept {
  const auto entered = loop_.enter();
  children_.for_each([](Child& child) { child.cancel(); });
}

void LoopTasks::drain() {
  loop_.run_until([this] { return size_ == 0; });
}

void LoopTasks::when_empty(std::move_only_function<void()> function) {
  const auto entered = loop_.enter();
  when_empty_ = std::move(function);
  notify_when_empty();
}

void LoopTasks::notify_when_empty() noexcept {
  if (size_ == 0 && when_empty_ && !notice_.linked()) loop_.finish_later(notice_);
}

void LoopTasks::remove(Child& child) noexcept {
  const std::unique_ptr<Child> owned(&child);
  child.unlink();
  if (child.task.error()) report(child.task.error());
  --size_;
  notify_when_empty();
}

void LoopTasks::report(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const Cancelled&) {  // by cancel()
  } catch (const std::exception& thrown) {
    if (on_error_) return on_error_(error);
    log::error("a task ended with an error: {}", thrown.what());
  } catch (...) {
    if (on_error_) return on_error_(error);
    log::error("a task ended with something that is not a std::exception");
  }
}

}  // namespace coax
