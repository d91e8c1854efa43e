// The part of a datagram transport that exists only while something is unsent: the queue, the tasks that wait for room
// in it, and the handling of send errors. Returned to a pool of the thread as soon as it is empty.
#pragma once

#include <memory>
#include <optional>

#include "coax/datagram/transport.hpp"
#include "coax/loop/datagrams.hpp"

namespace coax {

class DatagramSender {
 public:
  using Send = DatagramSendOp;
  using Reports = DatagramTransport::SendReports;

  // From the pool, or a new one. can_wait: the kernel reports when a full socket has room again.
  static std::unique_ptr<DatagramSender> acquire(Reports reports, Loop& loop, Descriptor descriptor, bool can_wait);
  // Returns an idle one to the pool.
  static void release(std::unique_ptr<DatagramSender> sender) noexcept;
  [[nodiscard]] bool is_idle() const noexcept { return !in_flight_ && batch_.empty() && waits_.empty(); }

  // True: it is complete, that is queued, or failed with its error.
  bool start(Send& op) noexcept;
  void cancel(Send& op) noexcept;
  // Sends as much as possible without waiting.
  void push() noexcept;
  // On close: waiting sends fail with EBADF. Call Backend::close() before.
  void abandon() noexcept;

 private:
  struct SendNow : Op {
    using Op::Op;
    DatagramSender* sender = nullptr;
  };
  struct EndOfTurn : Flush {
    using Flush::Flush;
    DatagramSender* sender = nullptr;
  };

  DatagramSender(Reports reports, Loop& loop) noexcept;
  bool add(const Send& op) noexcept;
  void admit() noexcept;
  void note(std::int32_t result) noexcept;
  void note_error(int reason) noexcept;
  void complete(Send& op, int error) noexcept;

  Reports reports_;
  Loop* loop_;
  SendNow op_;
  EndOfTurn end_of_turn_;
  List<Send> waits_;          // in the order of the calls
  Send* starting_ = nullptr;  // its start() runs, and reports by its return value, not by done()
  bool in_flight_ = false;
  bool tried_again_ = false;
  // while the datagrams of a refused joined message are sent one by one
  std::optional<std::size_t> suspected_join_max_;
  SendBatch batch_;
};

}  // namespace coax
