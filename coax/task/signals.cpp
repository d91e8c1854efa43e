// A signal handler may only set lock-free atomics and wake loops (signal-safety(7)). So it counts by number, and wakes
// every loop that listens. Each turn of such a loop compares the counts with those that it has reported.
#include "coax/task/signals.hpp"

#include <signal.h>

#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <string>
#include <thread>

#include "coax/base/error.hpp"
#include "coax/task/signals_private.hpp"

namespace coax {

// A loop that every signal wakes. Never freed, so that a handler can walk the list at any time, but reused.
struct Ear {
  std::atomic<Loop*> loop = nullptr;
  Ear* next = nullptr;
};

namespace {

struct Number {
  std::atomic<unsigned> count = 0;  // how often it was caught; wraps around
  std::atomic<unsigned> named = 0;  // Signals that name it
  std::atomic<unsigned> stops = 0;  // calls of run() that it stops
  unsigned users = 0;               // of both kinds; under the mutex, as is `before`
  struct sigaction before{};
};

constinit std::array<Number, _NSIG> numbers;
constinit std::atomic<Ear*> ears = nullptr;
constinit std::atomic<unsigned> handlers = 0;  // that run at this moment
constinit std::atomic<bool> stop_seen = false;
constinit std::atomic<bool> stop_demanded = false;  // by SIGINT or SIGTERM: the next of these ends the process
constinit std::mutex mutex;

extern "C" void on_signal(int number) {
  const int saved = errno;
  ++handlers;
  Number& caught = numbers[static_cast<std::size_t>(number)];
  if (caught.named == 0 && caught.stops != 0) {
    stop_seen = true;
    // SIGHUP never counts as the second: service managers send it right after SIGTERM, and a shell again after
    // the kernel.
    if (number != SIGHUP && stop_demanded.exchange(true)) {  // as the default action does
      signal(number, SIG_DFL);
      raise(number);
    }
  } else {
    ++caught.count;
  }
  for (Ear* ear = ears; ear != nullptr; ear = ear->next) {
    if (Loop* loop = ear->loop) loop->wake();
  }
  --handlers;
  errno = saved;
}

Ear* listen_on(Loop& loop) {
  for (Ear* ear = ears; ear != nullptr; ear = ear->next) {
    Loop* unused = nullptr;
    if (ear->loop.compare_exchange_strong(unused, &loop)) return ear;
  }
  Ear* const ear = new Ear;  // never freed
  ear->loop = &loop;
  ear->next = ears;
  while (!ears.compare_exchange_weak(ear->next, ear)) {
  }
  return ear;
}

// After its return, no handler uses the loop.
void stop_listening(Ear& ear) noexcept {
  ear.loop = nullptr;
  while (handlers != 0) std::this_thread::yield();
}

// 0 or errno.
int use(int number) noexcept {
  if (number <= 0 || number >= _NSIG) return EINVAL;
  const std::scoped_lock lock(mutex);
  Number& used = numbers[static_cast<std::size_t>(number)];
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // blocking calls elsewhere in the program are restarted
  sigemptyset(&action.sa_mask);
  if (used.users == 0 && sigaction(number, &action, &used.before) != 0) return errno;
  ++used.users;
  return 0;
}

void stop_using(int number) noexcept {
  const std::scoped_lock lock(mutex);
  Number& used = numbers[static_cast<std::size_t>(number)];
  if (--used.users == 0) sigaction(number, &used.before, nullptr);
}

}  // namespace

// --- Signals ---

Signals::Signals(std::initializer_list<int> chosen) : looking_(*this) {
  known_.reserve(chosen.size());
  ear_ = listen_on(Loop::current());
  for (const int number : chosen) {
    if (const int reason = use(number); reason != 0) {
      leave();
      throw Error(reason, "catch signal", std::to_string(number));
    }
    Number& of_number = numbers[static_cast<std::size_t>(number)];
    known_.push_back({number, of_number.count});
    ++of_number.named;
  }
  Loop::current().watch(looking_);
}

Signals::~Signals() {
  assert(waiting_ == nullptr && "a task still waits for these signals");
  leave();
}

void Signals::leave() noexcept {
  for (const Known& known : known_) {
    --numbers[static_cast<std::size_t>(known.number)].named;
    stop_using(known.number);
  }
  stop_listening(*ear_);
}

bool Signals::has_one() const noexcept {
  for (const Known& known : known_) {
    if (numbers[static_cast<std::size_t>(known.number)].count != known.count) return true;
  }
  return false;
}

// 0: no signal is pending.
int Signals::take() noexcept {
  for (Known& known : known_) {
    const unsigned count = numbers[static_cast<std::size_t>(known.number)].count;
    if (std::exchange(known.count, count) != count) return known.number;
  }
  return 0;
}

void Signals::look() noexcept {
  if (waiting_ != nullptr && !waiting_->linked() && has_one()) Loop::current().finish_later(*waiting_);
}

Signals::Next::Next(Signals& signals) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& next = static_cast<Next&>(self);
        next.cancelled_ = true;
        if (!next.linked()) Loop::current().finish_later(next);
      }),
      Completion([](Completion& self) noexcept {
        auto& next = static_cast<Next&>(self);
        next.signals_.waiting_ = nullptr;
        if (!next.cancelled_) next.number_ = next.signals_.take();
        next.resume();
      }),
      signals_(signals) {}

bool Signals::Next::start() noexcept {
  assert(signals_.waiting_ == nullptr && "one task at a time waits for signals");
  number_ = signals_.take();
  if (number_ != 0) return true;
  signals_.waiting_ = this;
  return false;
}

int Signals::Next::finish() const {
  if (cancelled_) throw Cancelled();
  return number_;
}

// --- StopSignals ---

namespace {

// nohup(1) ignores SIGHUP, and a program may handle it itself.
bool is_left_to_default(int number) noexcept {
  struct sigaction now{};
  return sigaction(number, nullptr, &now) == 0 && (now.sa_handler == SIG_DFL || now.sa_handler == on_signal);
}

// A shell without job control ignores SIGINT for background processes (POSIX, Shell Command Language, 2.11).
bool is_ignored(int number) noexcept {
  struct sigaction now{};
  return sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

StopSignals::StopSignals(Loop& loop) : numbers_{SIGINT, SIGTERM}, ear_(listen_on(loop)) {
  if (is_ignored(SIGINT)) numbers_[0] = 0;
  if (is_left_to_default(SIGHUP)) numbers_[2] = SIGHUP;
  for (const int number : numbers_) {
    if (number == 0) continue;
    if (numbers[static_cast<std::size_t>(number)].stops++ == 0 && number == SIGTERM) {
      stop_seen = false;
      stop_demanded = false;
    }
    use(number);
  }
}

StopSignals::~StopSignals() {
  for (const int number : numbers_) {
    if (number == 0) continue;
    stop_using(number);
    --numbers[static_cast<std::size_t>(number)].stops;
  }
  stop_listening(*ear_);
}

bool StopSignals::seen() noexcept { return stop_seen; }

}  // namespace coax
