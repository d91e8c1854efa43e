// TaskGroup, sleep(), checkpoint(), Event, and run_on().
#include "coax/task/scope.hpp"

#include <exception>
#include <string>

#include "coax/base/misuse.hpp"

namespace coax {

// --- TaskGroup ---

struct TaskGroup::Spawned : Child {
  static void* operator new(std::size_t size) { return frame_memory::allocate(size); }
  static void operator delete(void* child, std::size_t size) noexcept { frame_memory::release(child, size); }
  explicit Spawned(TaskGroup& of, Task<> body)
      : Child([](Context& self) noexcept -> std::coroutine_handle<> {
          auto& child = static_cast<Spawned&>(self);
          child.group.ended(child);
          return std::noop_coroutine();
        }),
        group(of) {
    task = std::move(body);
  }
  TaskGroup& group;
};

TaskGroup::~TaskGroup() {
  if (error_ && std::uncaught_exceptions() == 0) {
    try {
      std::rethrow_exception(error_);
    } catch (const std::exception& error) {
      report_misuse(std::string("a TaskGroup is destroyed without join(), which would have thrown: ") + error.what());
    } catch (...) {
      report_misuse("a TaskGroup is destroyed without join(), which would have thrown");
    }
  }
  if (size_ == 0) return;
  abort_misuse("a TaskGroup is destroyed while its tasks run; co_await group.join() first, or use task_group()");
}

void TaskGroup::spawn(Task<> task) {
  task.require_startable();
  spawn(*std::make_unique<Spawned>(*this, std::move(task)).release());  // owned by itself: ended() deletes it
}

void TaskGroup::spawn(Child& child) {
  if (cancelled_) child.cancel();
  children_.push_back(child);
  ++size_;
  child.task.start(child);
}

void TaskGroup::leave(Child& child) noexcept {
  child.unlink();
  --size_;
  if (size_ == 0 && joiner_ != nullptr) Loop::current().finish_later(*std::exchange(joiner_, nullptr));
}

void TaskGroup::cancel() noexcept {
  cancelled_ = true;
  children_.for_each([](Child& child) { child.cancel(); });
}

void TaskGroup::ended(Spawned& child) noexcept {
  const std::unique_ptr<Spawned> owned(&child);
  if (const std::exception_ptr& error = child.task.error(); error && !error_) {
    try {
      std::rethrow_exception(error);
    } catch (const Cancelled&) {  // by cancel()
    } catch (...) {
      error_ = error;
      child.unlink();
      cancel();
    }
  }
  leave(child);
}

TaskGroup::Join::Join(TaskGroup& group) noexcept
    : Waiting([](Waiting& self) noexcept { static_cast<Join&>(self).group_.cancel(); }),
      Completion([](Completion& self) noexcept {
        Join& join = static_cast<Join&>(self);
        if (join.group_.size_ != 0) {  // a child was spawned in between
          join.group_.joiner_ = &join;
          return;
        }
        join.context_->wait_for(nullptr);
        join.parent_.resume();
      }),
      group_(group) {}

void TaskGroup::Join::await_resume() const {
  if (is_second_) throw Error(ErrorKind::invalid, "join", "a task group", "another task already joins it");
  if (group_.error_) std::rethrow_exception(std::exchange(group_.error_, nullptr));
  if (context_->cancelled()) throw Cancelled();
}

Task<> task_group(std::function<Task<>(TaskGroup&)> body) {
  TaskGroup group;
  group.spawn(body(group));
  co_await group.join();
}

// --- Sleep ---

Sleep::Sleep(TimePoint until) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& sleep = static_cast<Sleep&>(self);
        if (!sleep.Timer::linked()) return;
        Timers::stop(sleep);
        sleep.woken_.sleep = &sleep;
        Loop::current().finish_later(sleep.woken_);
      }),
      Timer([](Timer& self) noexcept { static_cast<Sleep&>(self).resume(); }),
      until_(until),
      woken_([](Completion& self) noexcept { static_cast<Woken&>(self).sleep->resume(); }) {}

bool Sleep::start() noexcept {
  Loop::current().timers().start(*this, until_);
  return false;
}

void Sleep::finish() const {
  if (woken_.sleep != nullptr) throw Cancelled();
}

Sleep sleep_until(TimePoint when) noexcept { return Sleep(when); }
Sleep sleep(Duration duration) { return Sleep(later(Loop::current().backend().now(), duration)); }

// --- Checkpoint ---

Checkpoint::Checkpoint(unsigned units) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& checkpoint = static_cast<Checkpoint&>(self);
        if (!checkpoint.linked()) return;
        checkpoint.unlink();
        checkpoint.cancelled_ = true;
        Loop::current().finish_later(checkpoint);
      }),
      Completion([](Completion& self) noexcept { static_cast<Checkpoint&>(self).resume(); }),
      units_(units) {}

bool Checkpoint::start() noexcept {
  Loop& loop = Loop::current();
  if (loop.backend().consume_budget(units_)) return true;
  loop.run_next_turn(*this);
  return false;
}

void Checkpoint::finish() const {
  if (cancelled_) throw Cancelled();
}

Checkpoint checkpoint(unsigned units) noexcept { return Checkpoint(units); }

void charge_many_bytes(std::size_t count) noexcept {
  constexpr std::size_t units_max = 256;
  Loop::current().backend().consume_budget(static_cast<unsigned>(std::min(count / bytes_of_unit, units_max)));
}

// --- Event ---

Event::~Event() {
  if (!waits_.empty()) [[unlikely]]
    abort_misuse("an Event is destroyed while a task waits for it; end that task first: cancel and await it");
}

void Event::set() noexcept {
  set_ = true;
  while (!waits_.empty()) {
    Wait& wait = waits_.pop_front();
    wait.over_ = true;
    Loop::current().finish_later(wait);
  }
}

Event::Wait::Wait(Event& event) noexcept
    : Operation([](Waiting& self) noexcept {
        Wait& wait = static_cast<Wait&>(self);
        if (wait.over_) return;
        wait.over_ = wait.cancelled_ = true;
        wait.unlink();
        Loop::current().finish_later(wait);
      }),
      Completion([](Completion& self) noexcept { static_cast<Wait&>(self).resume(); }),
      event_(event) {}

bool Event::Wait::start() noexcept {
  if (event_.set_) return true;
  event_.waits_.push_back(*this);
  return false;
}

void Event::Wait::finish() const {
  if (cancelled_) throw Cancelled();
}

// --- run_on ---

namespace {

// Home: the loop of the awaiting task. Away: the loop that runs the awaited task. Each side uses its own members;
// messages between them are sent by post(). A request to cancel is acknowledged, so that it can never arrive after the
// awaiting task has ended.
class Away : public Waiting {
 public:
  Away(Loop& away, Task<> task)
      : Waiting([](Waiting& self) noexcept { static_cast<Away&>(self).ask_cancel(); }),
        home_(Loop::current()),
        away_(away),
        task_(std::move(task)) {}

  static bool await_ready() noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> parent) {
    context_ = parent.promise().context;
    refused_ = context_->cancelled();
    if (refused_) {
      task_.abandon();
      return false;
    }
    parent_ = parent;
    child_.scope = this;
    context_->wait_for(this);
    away_.post([this] { task_.start(child_); });
    return true;
  }
  void await_resume() {
    if (refused_) throw Cancelled();
    task_.take();
  }

  std::coroutine_handle<> child_ended(Context&) noexcept {
    home_.post([this] {
      ended_ = true;
      resume_when_settled();
    });
    return std::noop_coroutine();
  }

 private:
  void ask_cancel() noexcept {
    asked_ = true;
    away_.post([this] {
      child_.cancel();
      home_.post([this] {
        asked_ = false;
        resume_when_settled();
      });
    });
  }
  void resume_when_settled() {
    if (!ended_ || asked_) return;
    context_->wait_for(nullptr);
    parent_.resume();
  }

  Loop& home_;
  Loop& away_;
  Task<> task_;
  detail::ChildContext<Away> child_;
  Context* context_ = nullptr;
  std::coroutine_handle<> parent_;
  bool ended_ = false;
  bool asked_ = false;
  bool refused_ = false;
};

}  // namespace

Task<> run_on(Loop& loop, Task<> task) {
  task.require_startable();
  Away away(loop, std::move(task));
  co_await away;
}

}  // namespace coax
