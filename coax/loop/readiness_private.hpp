// The common part of the readiness back-ends, epoll and the simulated network: an operation is tried at once, waits in
// its slot when it would block, and is tried again when the descriptor may be ready.
#pragma once

#include <cerrno>

#include "coax/loop/backend.hpp"
#include "coax/loop/slots.hpp"

namespace coax {

// A Slot is that of Slots, with `Op* reader` and `Op* writer`. Derived defines
//   bool perform(Slot&, Op&)     tries the operation; true: completed
//   void withdraw(Slot&)         a waiting operation was cancelled and is not in the slot any more
template <class Derived, class Slot>
class ReadinessBackend : public Backend {
 public:
  bool submit(Op& op) noexcept final {
    Slot* const slot = slots_.find(op.descriptor);
    if (slot == nullptr) return finish_now(op, -EBADF);
    Op*& waiting = op.receives() ? slot->reader : slot->writer;
    if (waiting != nullptr) return finish_now(op, -EBUSY);
    if (derived().perform(*slot, op)) return true;
    op.state = Op::State::submitted;
    waiting = &op;
    return false;
  }
  void cancel(Op& op) noexcept final {
    if (op.state != Op::State::submitted) return;  // completed: its result is queued
    if (Slot* const slot = slots_.find(op.descriptor)) {
      if (slot->reader == &op) slot->reader = nullptr;
      if (slot->writer == &op) slot->writer = nullptr;
      derived().withdraw(*slot);
    }
    finish_undone(op, ECANCELED);
  }

 protected:
  static bool finish_now(Op& op, std::int32_t result) noexcept {
    op.result = result;
    op.state = Op::State::finished;
    return true;
  }
  // Tries both waiting operations again. The slot is that of the descriptor, or null.
  void retry(Descriptor descriptor, Slot* slot) noexcept {
    if (slot == nullptr) return;
    if (!retry(*slot, &Slot::reader)) slot = slots_.find(descriptor);  // the resumed task may have closed it
    if (slot != nullptr) retry(*slot, &Slot::writer);
  }
  // For close().
  void finish_waiting(const Slot& slot) noexcept {
    for (Op* op : {slot.reader, slot.writer}) {
      if (op != nullptr) finish_undone(*op, EBADF);
    }
  }

  Slots<Slot> slots_;

 private:
  friend Derived;
  ReadinessBackend() noexcept = default;
  Derived& derived() noexcept { return static_cast<Derived&>(*this); }
  // False: the operation has completed, and the slot may be released.
  bool retry(Slot& slot, Op* Slot::* waiting) noexcept {
    Op* const op = slot.*waiting;
    if (op == nullptr || !derived().perform(slot, *op)) return true;
    slot.*waiting = nullptr;
    complete(*op);
    return false;
  }
};

}  // namespace coax
