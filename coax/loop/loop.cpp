// The turn of the loop.
#include "coax/loop/loop.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/misuse.hpp"
#include "coax/base/text.hpp"

namespace coax {

namespace {
thread_local Loop* current_loop = nullptr;  // its turn is in progress, or it was entered
thread_local unsigned running_loops = 0;
thread_local bool has_ended = false;  // the thread: its list of loops is destroyed, while globals are still to come
struct MadeLoops : std::vector<std::shared_ptr<detail::LoopLife>> {
  ~MadeLoops() { has_ended = true; }
};
thread_local MadeLoops made_loops;

Loop* loop_of(detail::LoopLife& life) {
  const std::scoped_lock lock(life.mutex);
  return life.loop;
}

// Null: there is none.
Loop* find_current() {
  if (current_loop != nullptr) [[likely]]
    return current_loop;
  while (!has_ended && !made_loops.empty()) {
    if (Loop* const loop = loop_of(*made_loops.back())) return loop;
    made_loops.pop_back();
  }
  return nullptr;
}

constexpr Duration behind_min = std::chrono::milliseconds(20);      // a timer this late: the loop did not run
constexpr Duration behind_per_turn = std::chrono::milliseconds(4);  // this much lateness allows one turn for events
constexpr unsigned catch_up_turns_max = 256;
}  // namespace

namespace {

std::string_view backend_name() {
  const char* const given = std::getenv("COAX_BACKEND");  // NOLINT(concurrency-mt-unsafe): never set by us
  const std::string_view name = given != nullptr ? given : "";
  if (name.empty() || name == "epoll" || name == "uring" || name == "auto" || name == "sim") return name;
  throw Error(ErrorKind::invalid, "COAX_BACKEND", "", fmt::format("\"{}\" is none of epoll, uring, auto, sim", name));
}

}  // namespace

void check_loop_environment() {
  backend_name();
  static_cast<void>(Spin());
}

std::unique_ptr<Backend> make_backend() {
  log::check_environment();
  const std::string_view name = backend_name();
  if (name.empty() || name == "epoll") return make_epoll_backend();
  if (name == "uring") return make_uring_backend();
  if (name == "auto") return why_no_uring().empty() ? make_uring_backend() : make_epoll_backend();
  return make_sim_backend();
}

// --- COAX_DEBUG=1 ---

void Backend::complete_timed(Op& op) noexcept {
  constexpr std::array<std::string_view, 7> kinds{"recv", "recv", "send", "accept", "connect", "recv_from", "send_to"};
  std::string peer;
  try {
    const Address far = this->peer(op.descriptor);
    if (far.family() != Family::none) peer = far.to_string();
  } catch (const std::exception&) {  // then only the operation names it
  }
  complete_timed(op, kinds[static_cast<std::size_t>(op.kind)], peer);
}

void Backend::complete_timed(Completion& completion, std::string_view what, const std::string& peer) noexcept {
  constexpr Duration limit = std::chrono::milliseconds(100);
  const TimePoint before = Clock::now();
  completion.done(completion);
  const Duration taken = Clock::now() - before;
  if (taken < limit) return;
  try {
    report_misuse(fmt::format("a task blocked its loop for {} ms{}{}{}{}; see offload()",
                              std::chrono::duration_cast<std::chrono::milliseconds>(taken).count(),
                              what.empty() ? "" : ", after ", what, peer.empty() ? "" : " of ", printable(peer)));
  } catch (const std::exception&) {  // no memory for the text
  }
}

// --- Spin ---

Spin::Spin() {
  const char* const given = std::getenv("COAX_SPIN");  // NOLINT(concurrency-mt-unsafe): never set by us
  const std::string_view value = given != nullptr && *given != '\0' ? given : "on";
  if (value != "on" && value != "off") {
    throw Error(ErrorKind::invalid, "COAX_SPIN", "", fmt::format("\"{}\" is neither on nor off", value));
  }
  allowed_ = value == "on" && sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

bool Spin::is_worth_it() noexcept {
  if (!allowed_ || !brief_) return false;
  if (to_skip_ == 0) return true;
  --to_skip_;
  return false;
}

void Spin::failed() noexcept {
  penalty_ = std::min(penalty_ * 2 + 1, 1023U);
  to_skip_ = penalty_;
}

// --- Loop ---

Loop::Loop(std::unique_ptr<Backend> backend)
    : life_(std::make_shared<detail::LoopLife>()),
      backend_(std::move(backend)),
      timers_(backend_->now()),
      together_{this},
      timers_advanced_at_(backend_->now()) {
  life_->loop = this;
  std::erase_if(made_loops, [](const auto& life) { return loop_of(*life) == nullptr; });
  made_loops.push_back(life_);
}

Loop::~Loop() {
  const std::scoped_lock lock(life_->mutex);
  life_->loop = nullptr;
}

Loop& Loop::current() {
  Loop* const current = find_current();
  if (current == nullptr) [[unlikely]] {
    throw Error(ErrorKind::invalid, "use", "the loop of this thread",
                "there is none; start the task with run(), or post() to a loop that runs");
  }
  return *current;
}

bool Loop::is_current() const noexcept { return find_current() == this; }

void Loop::require_current(const Loop& loop, const char* what) noexcept {
  if (find_current() == &loop) [[likely]]
    return;
  abort_misuse(std::string(what) +
               " is destroyed after its loop has ended, or on another thread: what belongs to a loop must be destroyed "
               "by a task of that loop, before run() returns");
}

LoopLink::LoopLink(Loop& loop) noexcept : life_(loop.life_) {}

bool LoopLink::post(std::move_only_function<void()> function) const {
  const std::scoped_lock lock(life_->mutex);
  if (life_->loop == nullptr) return false;
  life_->loop->post(std::move(function));
  return true;
}

bool LoopLink::is_current() const noexcept {
  const Loop* const current = find_current();
  return current != nullptr && current->life_ == life_;
}

bool Loop::is_running_here() noexcept { return running_loops != 0; }

void Loop::abort_on_wrong_thread() noexcept {
  abort_misuse("an operation is started on another thread than that of its loop; use Loop::post() or run_on()");
}

// While the loop runs on this thread: it is the current one, and no other thread may use it.
class Loop::Running {
 public:
  explicit Running(Loop& loop) : loop_(loop), before_(current_loop) {
    if (loop.is_running_)
      throw Error(ErrorKind::invalid, "run", "a loop", "its turn is under way; co_await or post() instead");
    loop.require_own_thread();
    loop.is_running_ = true;
    current_loop = &loop;
    ++running_loops;
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    --running_loops;
    current_loop = before_;
    loop_.is_running_ = false;
  }

 private:
  Loop& loop_;
  Loop* before_;
};

void Loop::run_until(const std::function<bool()>& done) {
  const Running running(*this);
  const pthread_t runner = runner_.exchange(pthread_self(), std::memory_order_relaxed);
  const struct Restore {
    std::atomic<pthread_t>& runner;
    pthread_t before;
    ~Restore() { runner.store(before, std::memory_order_relaxed); }
  } restore{.runner = runner_, .before = runner};
  while (!done()) turn(true);
}

// --- embedding ---

void Loop::require_embeddable() const {
  require_own_thread();
  if (!backend_->is_simulated()) return;
  throw Error(ErrorKind::invalid, "embed", "a loop of the simulated network",
              "it has no descriptor, and its time passes only in its own wait; use run() or run_until()");
}

int Loop::poll_descriptor() {
  require_embeddable();
  runner_.store(pthread_self(), std::memory_order_relaxed);
  const auto descriptor = backend_->poll_descriptor();
  if (!descriptor) throw Error(descriptor.error(), "embed", "a loop", "raise the limit on open files (ulimit -n)");
  backend_->prepare_wait();
  return *descriptor;
}

std::optional<Duration> Loop::poll_timeout() {
  require_embeddable();
  backend_->prepare_wait();
  if (has_work() || turns_behind_ != 0) return Duration::zero();
  const auto timer = timers_.next();
  if (!timer) return std::nullopt;
  return std::max(*timer - backend_->now(), Duration::zero());
}

void Loop::run_once() {
  require_embeddable();
  const Running running(*this);
  runner_.store(pthread_self(), std::memory_order_relaxed);
  turn(false);
  backend_->prepare_wait();
}

Loop::Entered::Entered(Loop& loop) noexcept : loop_(loop), before_(std::exchange(current_loop, &loop)) {
  loop.require_own_thread();
  if (!loop.is_running_) loop.backend_->note_turn();
}

Loop::Entered::~Entered() {
  current_loop = before_;
  if (loop_.is_running_) return;
  loop_.wake();
  loop_.backend_->prepare_wait();
}

// --- the turn ---

// Waits for work: sleeping, or polling for a moment and then sleeping. True: there were events.
bool Loop::wait() {
  if (!backend_->is_simulated() && spin_.is_worth_it()) {
    if (spin()) {
      spin_.succeeded();
      return true;
    }
    spin_.failed();
  }
  if (!timers_.next() && watches_.empty() && !backend_->may_go_on()) {
    throw Error(ErrorKind::invalid, "wait on", backend_->name(),
                "deadlock: every task waits, and there is no timer, no operation in progress, and no posted function");
  }
  const TimePoint before = backend_->now();
  const bool had_events = backend_->poll(timers_.next());
  spin_.slept(now() - before);
  return had_events;
}

bool Loop::spin() {
  const TimePoint until = backend_->now() + Spin::max;
  if (const auto timer = timers_.next(); timer && *timer < until) return false;
  do {
    if (backend_->poll(now())) return true;
  } while (now() < until);
  return false;
}

// After a pause of the whole process (SIGSTOP, suspend, a task that blocked the thread), time limits have expired whose
// input arrived in time and is still in the kernel. That input is received first, in as many turns as it needs; then
// the timers fire. An event of the wait itself proves nothing: a pause ends the wait early (EINTR).
bool Loop::must_catch_up(bool is_quiet) noexcept {
  if (now() - timers_advanced_at_ <= behind_min) return false;
  const auto due = timers_.next();
  const Duration late = due ? now() - *due : Duration::zero();
  const bool may_go_on = turns_behind_ < std::min<Duration::rep>(late / behind_per_turn, catch_up_turns_max);
  const bool goes_on = late > behind_min && (turns_behind_ == 0 || (!is_quiet && may_go_on));
  turns_behind_ = goes_on ? turns_behind_ + 1 : 0;
  return goes_on;
}

void Loop::turn(bool may_wait) {
  List<Completion> continued;
  continued.splice_back(next_turn_);
  const bool has_more = !continued.empty() || has_work();
  const bool had_events = may_wait && !has_more && turns_behind_ == 0 ? wait() : backend_->poll(now());
  if (!must_catch_up(!has_more && !had_events)) {
    timers_.advance(now());
    timers_advanced_at_ = now();
  }
  run_posted();
  watches_.for_each([](Watch& watch) { watch.look(watch); });
  run_deferred();
  run_list(continued);
  run_finished();
  run_flushes();
}

bool Loop::has_work() noexcept {
  return !deferred_.empty() || !next_turn_.empty() || !flushes_.empty() || !backend_->finished().empty() ||
         has_posted_.load(std::memory_order_acquire);
}

void Loop::post(std::move_only_function<void()> function) {
  const std::scoped_lock lock(posted_mutex_);
  posted_.push_back(std::move(function));
  has_posted_.store(true, std::memory_order_release);
  // In its own turn a loop looks for posted functions before it waits.
  const bool is_in_turn = current_loop == this && is_running_;
  // Under the lock: once it is released, the function may run and end the loop.
  if (posted_.size() == 1 && !is_in_turn) backend_->wake();
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
  run_list(finished);
}

void Loop::run_list(List<Completion>& ready) noexcept {
  while (!ready.empty()) backend_->complete(ready.pop_front());
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
  require_own_thread();
  if (backend_->consume_budget()) return backend_->submit(op);
  submit_later(op);
  return false;
}

void Loop::submit_later(Op& op) noexcept {
  op.state = Op::State::deferred;
  deferred_.push_back(op);
}

void Loop::cancel(Op& op) noexcept {
  if (op.state != Op::State::deferred) return backend_->cancel(op);
  op.unlink();
  op.state = Op::State::finished;
  op.result = -ECANCELED;
  finish_later(op);
}

}  // namespace coax
