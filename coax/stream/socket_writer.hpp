// SocketWriter: the part of a socket stream that exists only while something is unsent: the queue of small sends, the
// larger ones that wait, and the operation in the back-end. Writers are pooled; idle streams hold none.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <optional>

#include "coax/stream/send_queue.hpp"
#include "coax/stream/socket_stream.hpp"

namespace coax {

class SocketWriter {
 public:
  using Reports = SocketStream::SendReports;

  // From the pool, or a new one. Sends on the descriptor, and reports the results.
  static std::unique_ptr<SocketWriter> acquire(Reports reports, Loop& loop, Descriptor descriptor);
  // Returns an idle one to the pool.
  static void release(std::unique_ptr<SocketWriter> writer) noexcept;
  [[nodiscard]] bool is_idle() const noexcept { return !in_flight_ && queue_begin_ == queue_end_ && waits_.empty(); }

  // Returns: true when the send is complete: queued, sent, or failed with op.error. Otherwise op.done() follows.
  bool start(SendOp& op) noexcept;
  void cancel(SendOp& op) noexcept;
  // Appends to the queue for the end of the turn; false: it does not fit, or a send waits.
  bool queue(std::span<const BytesView> pieces, std::size_t total) noexcept;
  // Sends as much as the kernel accepts without waiting; the rest follows when the socket is writable.
  void push() noexcept;
  // For closing: waiting sends fail with EBADF, and queued bytes are dropped. Call push() for a last try, and
  // Backend::close(), before it.
  void abandon() noexcept;
  // Whether a task waits for a send.
  [[nodiscard]] bool has_waiting() const noexcept { return !waits_.empty(); }
  // Since when the kernel has accepted no bytes, or the peer none of those that it has, although some wait to be sent.
  [[nodiscard]] std::optional<TimePoint> stalled_since() const noexcept { return stalled_since_; }
  // `count`: the bytes that the peer has acknowledged so far. A socket is writable again only when a third of its send
  // buffer is free, for which a slow peer may need minutes.
  void note_acknowledged(std::uint64_t count) noexcept {
    if (acknowledged_.value_or(count) != count) stalled_since_ = loop_->now();
    acknowledged_ = count;
  }

 private:
  static constexpr std::size_t queue_bytes_max = 8 * 1024;
  static constexpr std::size_t copied_bytes_max = 1024;  // a larger send is not copied: a system call costs less
  static constexpr std::size_t vectors_max = 64;

  struct SendNow : Op {
    using Op::Op;
    SocketWriter* writer = nullptr;
  };
  struct EndOfTurn : Flush {
    using Flush::Flush;
    SocketWriter* writer = nullptr;
  };

  SocketWriter(Reports reports, Loop& loop) noexcept;
  std::size_t gather() noexcept;
  void note_sent(std::int64_t result) noexcept;
  void consume(std::size_t count) noexcept;
  void complete_sent() noexcept;
  void drop_cancelled() noexcept;
  void fail(int reason) noexcept;

  Reports reports_;
  Loop* loop_;
  SendNow op_;
  EndOfTurn end_of_turn_;
  SendQueue waits_;
  std::optional<TimePoint> stalled_since_;
  std::optional<std::uint64_t> acknowledged_;  // when it was last looked at
  bool in_flight_ = false;
  std::size_t queue_begin_ = 0;
  std::size_t queue_end_ = 0;
  std::array<iovec, vectors_max> vectors_;
  std::array<char, queue_bytes_max> queue_;
};

}  // namespace coax
