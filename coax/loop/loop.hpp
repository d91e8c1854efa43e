// Loop: the turn of one thread: events, timers, what other threads posted, what finished, and then one flush of all
// that was queued for sending. Everything that is started on a loop belongs to it and to its thread.
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

// Something that has bytes queued and sends them at the end of the turn.
struct Flush : ListHook {
  using Run = void (*)(Flush&) noexcept;
  explicit Flush(Run on_flush) noexcept : run(on_flush) {}
  Run run;
};

// Throws Error(invalid) when COAX_BACKEND or COAX_SPIN is none of its values, as Loop's constructor does.
void check_loop_environment();

// Something that is looked at in every turn, since what changes it can only wake the loop: a signal handler.
struct Watch : ListHook {
  using Look = void (*)(Watch&) noexcept;
  explicit Watch(Look on_look) noexcept : look(on_look) {}
  Look look;
};

// Whether to look again and again before sleeping. To go to sleep and be woken costs 30 us; when events follow each
// other more closely than that, looking is faster. It stops as soon as it does not pay, as where the peer needs this
// core. Never on a machine with one core, nor with COAX_SPIN=off.
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
  // Going to sleep and being woken is a part of it, on both sides: what takes so long may take max without.
  static constexpr Duration brief_max = 4 * max;
  bool brief_ = false;
  unsigned penalty_ = 0;  // grows with each failure in a row
  unsigned to_skip_ = 0;  // waits
};

class Loop;

namespace detail {
// Outlives its loop, for those who may come late.
struct LoopLife {
  std::mutex mutex;
  Loop* loop;  // null: it has ended
};
}  // namespace detail

// A loop that may end meanwhile. Any thread.
class LoopLink {
 public:
  explicit LoopLink(Loop& loop) noexcept;
  // Loop::post(), or false when the loop has ended: then nothing is done.
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

  // The innermost loop of this thread whose turn is under way or that enter() made current; outside of both, the loop
  // that was made last on this thread and still exists. Throws Error(invalid) when there is none.
  static Loop& current();
  [[nodiscard]] bool is_current() const noexcept;
  // For destructors of what belongs to a loop, which must not outlive it: aborts the program with a message when `loop`
  // is not the current one. It may have ended.
  static void require_current(const Loop& loop, const char* what) noexcept;
  // Whether the turn of a loop is under way on this thread.
  [[nodiscard]] static bool is_running_here() noexcept;
  // Aborts the program with a message when the loop runs on another thread than the caller's.
  void require_own_thread() const noexcept {
    const pthread_t runner = runner_.load(std::memory_order_relaxed);
    if (runner != 0 && pthread_equal(runner, pthread_self()) == 0) [[unlikely]]
      abort_on_wrong_thread();
  }
  // All loops that run together, this one too; a loop alone is the only one.
  [[nodiscard]] std::span<Loop* const> together() const noexcept { return together_; }
  void set_together(std::span<Loop* const> loops) { together_.assign(loops.begin(), loops.end()); }

  // Turns until done() is true; asked once per turn. Throws Error(invalid) when it would wait for ever, which only a
  // simulation can know: no timer is set, nothing is under way, nobody has posted, and no signal is waited for.
  void run_until(const std::function<bool()>& done);

  // Embedding: another event loop (GLib, Qt, poll(2)) waits, and this one dispatches. The outer loop calls run_once()
  // when poll_descriptor() is readable or poll_timeout() has passed, and asks poll_timeout() again after each call.
  // Code outside a turn reaches the loop through post(), LoopTasks, or within enter(). The thread that drives the loop
  // is the only one to use it. All three throw Error(invalid) on the simulated network, which cannot be embedded.

  // A descriptor of this loop, the same until its end: only to wait for POLLIN, level-triggered.
  // It is readable for I/O, signals that tasks wait for, post(), wake(), and the end of an enter().
  int poll_descriptor();
  // How long the outer loop may wait: until the next timer; nothing when there is none. Zero when work is ready that
  // the descriptor does not show: tasks that have used up their share of a turn, completions, queued bytes. To be
  // rounded up to the outer loop's unit.
  std::optional<Duration> poll_timeout();
  // One turn, which does not wait. Throws what a posted function throws, and Error(invalid) inside a turn of this loop.
  void run_once();

  // Makes a loop current, for code outside a turn: to make streams, set events, cancel. Its end makes
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

  // Any thread: runs the function on this loop's thread in a later turn, in the order of the posts of one thread.
  void post(std::move_only_function<void()> function);
  // Any thread or signal handler: end the wait of the present turn.
  void wake() noexcept { backend_->wake(); }

  // The time at which this turn began.
  [[nodiscard]] TimePoint now() const noexcept { return backend_->turn_began(); }
  Timers& timers() noexcept { return timers_; }
  Backend& backend() noexcept { return *backend_; }

  // Like the back-end's, with a fair share: a task that never has to wait is made to wait a turn now and then.
  bool submit(Op& op) noexcept;
  // When the others have had their chance: behind the events and timers of this turn, or in the next one.
  void submit_later(Op& op) noexcept;
  // Calls done() in the next turn, behind its events: for a task that has used up its share of this one.
  void run_next_turn(Completion& completion) noexcept { next_turn_.push_back(completion); }
  void cancel(Op& op) noexcept;
  // Calls done() in this turn or, when it is at its end, the next.
  void finish_later(Completion& completion) noexcept { backend_->finish_later(completion); }
  void flush_later(Flush& flush) noexcept { flushes_.push_back(flush); }
  // Until it is unlinked.
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
  unsigned turns_behind_ = 0;          // without timers, to receive first what had come in time
  bool is_running_ = false;            // run_until() or run_once() is under way
  std::atomic<pthread_t> runner_ = 0;  // the thread of run_until(), or of the outer loop

  std::mutex posted_mutex_;
  std::vector<std::move_only_function<void()>> posted_;
  std::atomic<bool> has_posted_ = false;
};

}  // namespace coax
