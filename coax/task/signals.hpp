// Signals as something that a task waits for: SIGHUP to read the settings again, SIGUSR1 to tell the state, SIGINT or
// SIGTERM where they mean something else than the end.
#pragma once

#include <csignal>  // the numbers: SIGHUP and others
#include <initializer_list>
#include <vector>

#include "coax/loop/loop.hpp"
#include "coax/task/task.hpp"

namespace coax {

// Catches the signals for as long as it lives, so that none is lost between two waits; several of one number that were
// not told yet count as one, as the kernel has it. All Signals that name a number are told, on whatever loop, and run()
// does not act on a SIGINT, SIGTERM or SIGHUP that one of them names. When the last one ends, a signal does again what
// it did before. Belongs to the loop on which it was made; one task at a time waits.
class Signals {
 public:
  class Next;

  // Throws Error for a number that is none or cannot be caught.
  explicit Signals(std::initializer_list<int> numbers);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  // The number of the next one; of several that are there, the first in the list. Cancelled: none was taken.
  [[nodiscard]] Next next() noexcept;

 private:
  struct Known {
    int number;
    unsigned count;  // of those that were told
  };
  struct Looking : Watch {
    explicit Looking(Signals& of) noexcept
        : Watch([](Watch& self) noexcept { static_cast<Looking&>(self).signals.look(); }), signals(of) {}
    Signals& signals;
  };

  void look() noexcept;
  int take() noexcept;
  [[nodiscard]] bool has_one() const noexcept;
  void leave() noexcept;

  std::vector<Known> known_;
  Looking looking_;
  struct Ear* ear_ = nullptr;
  Next* waiting_ = nullptr;
};

class [[nodiscard("it does nothing until it is awaited")]] Signals::Next : public Operation<Next>, public Completion {
 public:
  explicit Next(Signals& signals) noexcept;
  bool start() noexcept;
  [[nodiscard]] int finish() const;

 private:
  friend class Signals;
  Signals& signals_;
  int number_ = 0;
  bool cancelled_ = false;
};

inline Signals::Next Signals::next() noexcept { return Next(*this); }

}  // namespace coax
