// SendQueue: the sends of a stream that are not complete, in the order of their calls. For implementations of Stream
// that send piece by piece.
#pragma once

#include <utility>

#include "coax/base/list.hpp"
#include "coax/loop/loop.hpp"
#include "coax/stream/stream.hpp"

namespace coax {

class SendQueue {
 public:
  [[nodiscard]] bool empty() const noexcept { return sends_.empty(); }
  [[nodiscard]] SendOp& front() noexcept { return sends_.front(); }
  template <typename Visit>
  void for_each(Visit visit) {
    sends_.for_each(visit);
  }

  // For Stream::start(): appends the send, and calls `pump`, which sends what can be sent, and completes it.
  // Returns: true when this send is complete, with its result, and then op.done() is not called.
  template <typename Pump>
  bool start(SendOp& op, Pump pump) {
    sends_.push_back(op);
    starting_ = &op;
    pump();
    return std::exchange(starting_, nullptr) == nullptr;
  }
  // Appends it for later: op.done() follows.
  void append(SendOp& op) noexcept { sends_.push_back(op); }

  // Removes it, with its result: 0 or an errno. The loop calls op.done() later, unless its start() still runs.
  void complete(SendOp& op, int error, Loop& loop) noexcept {
    op.unlink();
    op.error = error;
    op.state = SendOp::State::complete;
    if (&op == starting_) {
      starting_ = nullptr;
    } else {
      loop.finish_later(op);
    }
  }
  void complete_all(int error, Loop& loop) noexcept {
    while (!sends_.empty()) complete(sends_.front(), error, loop);
  }

 private:
  List<SendOp> sends_;
  SendOp* starting_ = nullptr;  // its start() runs, and reports by its return value, not by done()
};

}  // namespace coax
