// Cancels a context some turns from now, in every state of its wait: before it (0 turns: at once), at its start, or
// when it has ended and was not reported yet.
#pragma once

#include "coax/loop/loop.hpp"
#include "coax/task/context.hpp"

namespace coax::test {

// Must not outlive the context; its destructor stops it.
class Ambush : private Completion {
 public:
  explicit Ambush(Context& victim) noexcept
      : Completion([](Completion& self) noexcept { static_cast<Ambush&>(self).come(); }), victim_(victim) {}

  void in(std::size_t turns) noexcept {
    turns_ = turns;
    come();
  }

 private:
  void come() noexcept {
    if (turns_ == 0) return victim_.cancel();
    --turns_;
    Loop::current().finish_later(*this);
  }
  Context& victim_;
  std::size_t turns_ = 0;
};

}  // namespace coax::test
