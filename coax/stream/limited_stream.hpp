// LimitedStream: a layer with a limit on the bytes per second in each direction.
#pragma once

#include <optional>

#include "coax/loop/timers.hpp"
#include "coax/stream/layer.hpp"
#include "coax/stream/send_queue.hpp"

namespace coax {

// "No limit" is std::nullopt; a limit is at least 1.
struct StreamRates {
  std::optional<std::size_t> recv_bytes_per_second = {};
  std::optional<std::size_t> send_bytes_per_second = {};
};

// Sends and receives in pieces of a twentieth of a second, at most 64 KiB. The buffer of the stream below fills
// meanwhile, which slows down the peer. A recv() that waits for the rate may keep one buffer of it lent.
class LimitedStream final : public Layer {
 public:
  // Throws: Error(invalid) for a rate of 0.
  LimitedStream(Below below, const StreamRates& rates);
  ~LimitedStream() override;

  bool queue(BytesView bytes) noexcept override;
  void close() noexcept override;
  void abort() noexcept override;
  void end_input() noexcept override;
  void reopen_input() noexcept override;
  void return_lent() noexcept override {
    if (unread_.empty()) below().return_lent();
  }
  bool start(RecvOp& op) noexcept override;
  void complete(RecvOp& op) noexcept override;
  void cancel(RecvOp& op) noexcept override;
  bool start(SendOp& op) noexcept override;
  void complete(SendOp& op) noexcept override;
  void cancel(SendOp& op) noexcept override;

 private:
  // One direction: its rate, and when it is free again.
  struct Rate {
    std::size_t bytes_per_second = 0;  // 0: unlimited
    TimePoint free_at;
    void charge(std::size_t bytes, TimePoint now) noexcept;
    [[nodiscard]] bool is_free(TimePoint now) const noexcept { return bytes_per_second == 0 || free_at <= now; }
  };
  template <void (LimitedStream::*function)() noexcept>
  struct OwnTimer : Timer {
    explicit OwnTimer(LimitedStream& stream) noexcept
        : Timer([](Timer& self) noexcept { (static_cast<OwnTimer&>(self).of.*function)(); }), of(stream) {}
    LimitedStream& of;
  };
  struct PieceOp : SendOp {
    using SendOp::SendOp;
    LimitedStream* of = nullptr;
  };

  [[nodiscard]] bool start_now(RecvOp& op) noexcept;
  [[nodiscard]] std::size_t recv_bytes_max() const noexcept;
  void limit_received(RecvOp& op) noexcept;
  void take_unread(RecvOp& op) noexcept;
  [[nodiscard]] bool start_delayed() noexcept;  // true: complete_ is the completed operation
  void recv_delay_is_over() noexcept;
  void interrupt_recv() noexcept;  // no more bytes: the input has ended, or the stream is closed
  void pump() noexcept;
  bool start_piece(SendOp& op) noexcept;
  void piece_is_complete() noexcept;
  void complete_cancelled(SendOp& op) noexcept;
  void fail_sends(int error) noexcept;
  void interrupt() noexcept;

  Rate recv_;
  Rate send_;
  std::span<char> unread_;  // received, lent by the stream below, and not yet returned
  bool input_ended_ = false;
  RecvOp* delayed_ = nullptr;   // waits for the rate
  RecvOp* complete_ = nullptr;  // completed before the loop calls it
  OwnTimer<&LimitedStream::recv_delay_is_over> recv_timer_{*this};
  OwnTimer<&LimitedStream::pump> send_timer_{*this};
  SendQueue sends_;
  PieceOp piece_;               // of the first of them
  bool piece_is_sent_ = false;  // by the stream below, at this moment
  int send_error_ = 0;
};

}  // namespace coax
