// The loop's turn.
#include "coax/loop/loop.hpp"

namespace coax {

namespace {
thread_local Loop* current_loop = nullptr;
}

Loop::Loop(std::unique_ptr<Backend> backend)
    : backend_(std::move(backend)), timers_(backend_->now()), together_{this}, outer_(current_loop) {
  current_loop = this;
}

Loop::~Loop() {
  if (current_loop == this) current_loop = outer_;
}

Loop& Loop::current() noexcept { return *current_loop; }

void Loop::run_until(const std::function<bool()>& done) {
  Loop* const before = std::exchange(current_loop, this);
  while (!done()) turn();
  current_loop = before;
}

void Loop::turn() {
  backend_->poll(has_work() ? std::optional(now()) : timers_.next());
  timers_.advance(now());
  run_posted();
  run_deferred();
  run_finished();
  run_flushes();
}

bool Loop::has_work() noexcept {
  return !deferred_.empty() || !flushes_.empty() || !backend_->finished().empty() ||
         has_posted_.load(std::memory_order_acquire);
}

void Loop::post(std::move_only_function<void()> function) {
  const std::scoped_lock lock(posted_mutex_);
  posted_.push_back(std::move(function));
  has_posted_.store(true, std::memory_order_release);
  // Under the lock: once it is released, the function may run and end the loop.
  if (posted_.size() == 1) backend_->wake();
}

void Loop::run_posted() {
  if (!has_posted_.load(std::memory_order_acquire)) return;
  std::vector<std::move_only_function<void()>> functions;
  {
    const std::scoped_lock lock(posted_mutex_);
    functions.swap(posted_);
    has_posted_.store(false, std::memory_order_release);
  }
  for (auto& function : functions) function();
}

void Loop::run_finished() noexcept {
  List<Completion> finished;
  finished.splice_back(backend_->finished());
  while (!finished.empty()) backend_->complete(finished.pop_front());
}

void Loop::run_deferred() noexcept {
  List<Completion> deferred;
  deferred.splice_back(deferred_);
  while (!deferred.empty()) {
    auto& op = static_cast<Op&>(deferred.pop_front());
    if (backend_->submit(op)) backend_->complete(op);
  }
}

void Loop::run_flushes() noexcept {
  while (!flushes_.empty()) {
    Flush& flush = flushes_.pop_front();
    flush.run(flush);
  }
}

bool Loop::submit(Op& op) noexcept {
  if (backend_->spend()) return backend_->submit(op);
  op.state = Op::State::deferred;
  deferred_.push_back(op);
  return false;
}

void Loop::cancel(Op& op) noexcept {
  if (op.state != Op::State::deferred) return backend_->cancel(op);
  op.unlink();
  op.state = Op::State::finished;
  op.result = -ECANCELED;
  finish_later(op);
}

}  // namespace coax
