// Loop: the event loop of one thread. A turn handles events, timers, posted functions and completions, and then flushes
// everything that was queued for sending. An operation that is started on a loop belongs to it and to its thread.
#pragma once

#include <pthread.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "coax/loop/backend.hpp"
#include "coax/loop/timers.hpp"

namespace coax {

// An object with queued bytes, which it sends at the end of the turn.
struct Flush : ListHook {
  using Run = void (*)(Flush&) noexcept;
  explicit Flush(Run on_flush) noexcept : run(on_flush) {}
  Run run;
};

// Throws: Error(invalid) when COAX_BACKEND or COAX_SPIN has an unknown value, as Loop's constructor does.
void check_loop_environment();

// A function that is called in every turn, since the source of its event can only wake the loop: a signal handler.
struct Watch : ListHook {
  using Look = void (*)(Watch&) noexcept;
  explicit Watch(Look on_look) noexcept : look(on_look) {}
  Look look;
};

// Whether to busy-poll before sleeping. Sleeping and waking up costs 30 us; when events follow each other more closely,
// polling is faster. It stops as soon as it does not pay, for instance when the peer needs this core. Never on a
// machine with one core, nor with COAX_SPIN=off.
class Spin {
 public:
  static constexpr Duration max = std::chrono::microseconds(50);

  Spin();  // throws Error(invalid) when COAX_SPIN is neither on nor off
  [[nodiscard]] bool is_worth_it() noexcept;
  void succeeded() noexcept { penalty_ = 0; }
  void failed() noexcept;
  void slept(Duration duration) noexcept { brief_ = duration < brief_max; }

 private:
  bool allowed_;
  // It includes sleeping and waking up, on both sides: a wait of this length may take `max` without them.
  static constexpr Duration brief_max = 4 * max;
  bool brief_ = false;
  unsigned penalty_ = 0;  // grows with each failure in a row
  unsigned to_skip_ = 0;  // waits
};

class Loop;

namespace detail {
// Outlives its loop, for late calls of other threads.
struct LoopLife {
  std::mutex mutex;
  Loop* loop;  // null: the loop has ended
};
}  // namespace detail

// A reference to a loop that may have ended. Thread: any.
class LoopLink {
 public:
  explicit LoopLink(Loop& loop) noexcept;
  // Loop::post(); false, without effect, when the loop has ended.
  bool post(std::move_only_function<void()> function) const;
  [[nodiscard]] bool is_current() const noexcept;

 private:
  std::shared_ptr<detail::LoopLife> life_;
};

class Loop {
 public:
  explicit Loop(std::unique_ptr<Backend> backend = make_backend());
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  // The innermost loop of this thread that runs a turn or that enter() made current; outside of both, the newest loop
  // of this thread.
  // Throws: Error(invalid) when there is none.
  static Loop& current();
  [[nodiscard]] bool is_current() const noexcept;
  // For destructors of objects that must not outlive their loop: aborts the program with a message when `loop` is not
  // the current one. `loop` may have ended.
  static void require_current(const Loop& loop, const char* what) noexcept;
  // Whether a loop runs a turn on this thread.
  [[nodiscard]] static bool is_running_here() noexcept;
  // Aborts the program with a message when the loop runs on another thread than the caller's.
  void require_own_thread() const noexcept {
    const pthread_t runner = runner_.load(std::memory_order_relaxed);
    if (runner != 0 && pthread_equal(runner, pthread_self()) == 0) [[unlikely]]
      abort_on_wrong_thread();
  }
  // All loops that run together, including this one; a single loop is the only one.
  [[nodiscard]] std::span<Loop* const> together() const noexcept { return together_; }
  void set_together(std::span<Loop* const> loops) { together_.assign(loops.begin(), loops.end()); }

  // Turns until done() is true; it is called once per turn.
  // Throws: Error(invalid) on a deadlock, which only a simulation can detect: there is no timer, no operation in
  // progress, no posted function, and no task waits for a signal.
  void run_until(const std::function<bool()>& done);

  // Embedding: another event loop (GLib, Qt, poll(2)) waits, and this one dispatches. The outer loop calls run_once()
  // when poll_descriptor() is readable or poll_timeout() has passed, and calls poll_timeout() again after each
  // run_once(). Code outside a turn reaches the loop through post(), LoopTasks, or within enter().
  // Thread: only the one that drives the loop.
  // Throws: Error(invalid), all three, on the simulated network, which cannot be embedded.

  // A descriptor of this loop, the same until its end: only to wait for POLLIN, level-triggered. It is readable for
  // I/O, signals that tasks wait for, post(), wake(), and the end of an enter().
  int poll_descriptor();
  // How long the outer loop may wait, to be rounded up to its unit: until the next timer; empty when there is none.
  // Zero when there is work that the descriptor does not show: tasks that have used their budget, completions, queued
  // bytes.
  std::optional<Duration> poll_timeout();
  // One turn, without waiting.
  // Throws: what a posted function throws; Error(invalid) inside a turn of this loop.
  void run_once();

  // Makes a loop current, for code outside a turn: to create streams, set events, cancel. Its end makes
  // poll_descriptor() readable, so that the outer loop notices new work and new timers. Scopes end in reverse order.
  class Entered {
   public:
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;
    ~Entered();

   private:
    friend class Loop;
    explicit Entered(Loop& loop) noexcept;
    Loop& loop_;
    Loop* before_;
  };
  [[nodiscard]] Entered enter() noexcept { return Entered(*this); }

  // Runs the function on this loop's thread in a later turn. Functions of one thread run in the order of their posts.
  // Thread: any.
  void post(std::move_only_function<void()> function);
  // Ends the wait of the present turn. Thread: any, and signal handlers.
  void wake() noexcept { backend_->wake(); }

  // The time at which this turn began.
  [[nodiscard]] TimePoint now() const noexcept { return backend_->turn_began(); }
  Timers& timers() noexcept { return timers_; }
  Backend& backend() noexcept { return *backend_; }

  // Backend::submit(), with fairness: a task whose operations never block must wait for a turn now and then.
  bool submit(Op& op) noexcept;
  // Submits after the others have had their chance: after the events and timers of this turn, or in the next one.
  void submit_later(Op& op) noexcept;
  // Calls done() in the next turn, after its events: for a task that has used its budget.
  void run_next_turn(Completion& completion) noexcept { next_turn_.push_back(completion); }
  void cancel(Op& op) noexcept;
  // Calls done() in this turn or, at its end, in the next.
  void finish_later(Completion& completion) noexcept { backend_->finish_later(completion); }
  void flush_later(Flush& flush) noexcept { flushes_.push_back(flush); }
  // Until the watch is unlinked.
  void watch(Watch& watch) noexcept { watches_.push_back(watch); }

 private:
  friend class LoopLink;
  class Running;
  [[noreturn]] static void abort_on_wrong_thread() noexcept;
  void require_embeddable() const;
  void turn(bool may_wait);
  bool wait();
  bool must_catch_up(bool is_quiet) noexcept;
  bool spin();
  void run_posted();
  void run_finished() noexcept;
  void run_deferred() noexcept;
  void run_list(List<Completion>& ready) noexcept;
  void run_flushes() noexcept;
  [[nodiscard]] bool has_work() noexcept;

  std::shared_ptr<detail::LoopLife> life_;
  std::unique_ptr<Backend> backend_;
  Timers timers_;
  Spin spin_;
  List<Completion> deferred_;
  List<Completion> next_turn_;
  List<Flush> flushes_;
  List<Watch> watches_;
  std::vector<Loop*> together_;
  TimePoint timers_advanced_at_;
  unsigned turns_behind_ = 0;          // turns without timers, to receive first what arrived in time
  bool is_running_ = false;            // run_until() or run_once() is in progress
  std::atomic<pthread_t> runner_ = 0;  // the thread of run_until(), or of the outer loop

  std::mutex posted_mutex_;
  std::vector<std::move_only_function<void()>> posted_;
  std::atomic<bool> has_posted_ = false;
};

}  // namespace coax
