// Signals as events that a task waits for: SIGHUP to reload the settings, SIGUSR1 to print the state, SIGINT or SIGTERM
// where they do not mean to stop.
#pragma once

#include <csignal>  // the numbers: SIGHUP and others
#include <initializer_list>
#include <vector>

#include "coax/loop/loop.hpp"
#include "coax/task/task.hpp"

namespace coax {

// Catches the signals during its lifetime, so that none is lost between two waits. Several of one number that were not
// reported yet count as one, as in the kernel. All Signals objects that name a number report it, on every loop. run()
// then does not act on a SIGINT, SIGTERM or SIGHUP that one of them names. The last one restores the previous action.
// Thread: that of the loop on which it was constructed; one task at a time waits.
class Signals {
 public:
  class Next;

  // Throws: Error for a number that does not exist or cannot be caught.
  explicit Signals(std::initializer_list<int> numbers);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  // Waits for the next signal.
  // Returns: its number; of several, the first in the list.
  // Cancelled: the signal stays pending.
  [[nodiscard]] Next next() noexcept;

 private:
  struct Known {
    int number;
    unsigned count;  // of those that were reported
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
