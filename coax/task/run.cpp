// The root of all tasks: the main loop, the worker loops with their threads, and signals.
#include "coax/task/run.hpp"

#include <atomic>
#include <exception>
#include <list>
#include <optional>
#include <thread>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/signals_private.hpp"

namespace coax {

namespace {

struct RootContext : Context {
  RootContext() noexcept
      : Context([](Context& self) noexcept -> std::coroutine_handle<> {
          static_cast<RootContext&>(self).has_ended = true;
          return std::noop_coroutine();
        }) {}
  bool has_ended = false;
};

// The other loops of this run: each runs on its thread until the run has ended.
class Workers {
 public:
  Workers(Loop& main, unsigned count) {
    std::vector<Loop*> loops{&main};
    for (unsigned index = 0; index < count; ++index) loops.push_back(start_one());
    // Before a task can post to them, so that no thread sees an incomplete set.
    for (Loop* loop : loops) loop->set_together(loops);
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() {
    for (Worker& worker : workers_) {
      worker.loop.load()->post([&over = worker.over] { over = true; });
    }
    workers_.clear();
  }

 private:
  struct Worker {
    std::atomic<Loop*> loop = nullptr;
    bool over = false;
    std::jthread thread;
  };

  Loop* start_one() {
    Worker& worker = workers_.emplace_back();
    worker.thread = std::jthread([&worker, backend = make_backend()]() mutable {
      Loop loop(std::move(backend));
      worker.loop = &loop;
      worker.loop.notify_one();
      loop.run_until([&worker] { return worker.over; });
    });
    worker.loop.wait(nullptr);
    return worker.loop;
  }

  std::list<Worker> workers_;
};

// Deadlock: no task can ever resume. All are cancelled, so that they end in order. A task that is shielded from
// cancellation can neither end nor be destroyed while the loop refers to it, and is leaked.
[[noreturn]] void end_stuck(Loop& loop, RootContext& root, Task<> task, std::exception_ptr stuck) {
  root.cancel();
  try {
    loop.run_until([&] { return root.has_ended; });
  } catch (const Error&) {
    static_cast<void>(new Task<>(std::move(task)));  // leaked
  }
  std::rethrow_exception(stuck);
}

// A second loop on the thread of a running one would block the first for as long as it runs.
void require_no_running_loop() {
  if (!Loop::is_running_here()) return;
  throw Error(ErrorKind::invalid, "run", "a task", "a loop runs on this thread already; co_await the task or spawn it");
}

void turn_until_ended(Loop& loop, Task<> task, const RunOptions& options, bool with_signals) {
  RootContext root;
  const bool is_simulated = loop.backend().is_simulated();
  const unsigned threads =
      is_simulated ? 1 : std::max(1U, options.threads.value_or(std::thread::hardware_concurrency()));
  std::optional<StopSignals> signals;
  if (with_signals) signals.emplace(loop);
  const Workers workers(loop, threads - 1);
  loop.post([&] { task.start(root); });
  const auto has_ended = [&] {
    if (signals && StopSignals::seen()) root.cancel();
    return root.has_ended;
  };
  std::exception_ptr stuck;
  try {
    loop.run_until(has_ended);
  } catch (const Error&) {
    stuck = std::current_exception();
  }
  if (stuck) end_stuck(loop, root, std::move(task), stuck);
  try {
    task.take();
  } catch (const Cancelled&) {
    if (root.cancelled() || !with_signals) throw;
    throw Error(ErrorKind::invalid, "run", "a task", "it ended with Cancelled, but was not cancelled");
  }
}

}  // namespace

void run_or_throw(Task<> task, RunOptions options) {
  require_no_running_loop();
  task.require_startable();
  try {
    Loop loop;
    turn_until_ended(loop, std::move(task), options, true);
  } catch (const Cancelled&) {  // by a signal
  }
}

int run(Task<> task, RunOptions options) {
  require_no_running_loop();
  try {
    run_or_throw(std::move(task), options);
  } catch (const std::exception& error) {
    print_error(error.what());
    return 1;
  } catch (...) {
    print_error("a task ended with something that is not a std::exception");
    return 1;
  }
  return 0;
}

void run_to_end(Task<> task, RunOptions options) {
  task.require_startable();
  Loop loop;
  turn_until_ended(loop, std::move(task), options, false);
}

void run_to_end(std::unique_ptr<Backend> backend, Task<> task) {
  task.require_startable();
  Loop loop(std::move(backend));
  turn_until_ended(loop, std::move(task), {}, false);
}

void run_to_end(Loop& loop, Task<> task) {
  task.require_startable();
  turn_until_ended(loop, std::move(task), {}, false);
}

}  // namespace coax
