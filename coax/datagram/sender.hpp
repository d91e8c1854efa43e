// What a transport for datagrams has while something is unsent: the queue, who waits for room in it, and what becomes
// of a datagram that the kernel does not take. Given back as soon as it has nothing left; each thread keeps some spare.
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

  // A spare one, or a new one. can_wait: the kernel says when a full socket has room again.
  static std::unique_ptr<DatagramSender> acquire(Reports reports, Loop& loop, Descriptor descriptor, bool can_wait);
  // Returns an idle one to the spare ones.
  static void release(std::unique_ptr<DatagramSender> sender) noexcept;
  [[nodiscard]] bool is_idle() const noexcept { return !in_flight_ && batch_.empty() && waits_.empty(); }

  // True: done with it (queued, or failed: its error).
  bool start(Send& op) noexcept;
  void cancel(Send& op) noexcept;
  // What can go now.
  void push() noexcept;
  // The end: who still waits gets EBADF. Call Backend::close() before.
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
  void note(std::int64_t result) noexcept;
  void note_error(int reason) noexcept;
  void complete(Send& op, int error) noexcept;

  Reports reports_;
  Loop* loop_;
  SendNow op_;
  EndOfTurn end_of_turn_;
  List<Send> waits_;          // in the order of the calls
  Send* starting_ = nullptr;  // the one whose start() runs: it is told by the return value, not by done()
  bool in_flight_ = false;
  bool tried_again_ = false;
  std::optional<std::size_t> suspected_join_max_;  // while what the kernel did not take joined is sent one by one
  SendBatch batch_;
};

}  // namespace coax
