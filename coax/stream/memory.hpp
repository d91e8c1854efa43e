// MemoryStream: two connected streams in memory, for tests and for programs that talk to themselves. It keeps the same
// promises as a TCP stream (tests/contract), so that what is tested on it holds on the wire.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "coax/loop/loop.hpp"
#include "coax/stream/stream.hpp"

namespace coax {

class MemoryStream;

// Each end sends up to `capacity` bytes, at least 1, before it waits for the other to receive. Both belong to the
// current loop.
std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> memory_stream_pair(
    std::size_t capacity = 64_KiB);

class MemoryStream final : public Stream {
 public:
  struct Pipe;
  // The directions to the peer and from it; use memory_stream_pair().
  MemoryStream(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out);
  ~MemoryStream() override;

  bool queue(Bytes bytes) noexcept override;
  void close() noexcept override;
  void end_input() noexcept override;
  void reopen_input() noexcept override { input_ended_ = false; }
  [[nodiscard]] std::string peer_name() const override { return "memory"; }
  [[nodiscard]] TimePoint last_active() const noexcept override { return last_active_; }
  [[nodiscard]] Duration stuck() const noexcept override;

  // For tests: closes like a connection that breaks: the peer gets Error(disconnected), and what it had not received
  // yet is lost.
  void reset() noexcept;
  // For tests: a recv() gives no more than this, as it may happen on a network. At least 1.
  void set_recv_bytes_max(std::size_t count) noexcept { recv_bytes_max_ = count; }

 protected:
  bool start(RecvOp& op) noexcept override;
  void settle(RecvOp& op) noexcept override;
  void cancel(RecvOp& op) noexcept override;
  bool start(SendOp& op) noexcept override;
  void cancel(SendOp& op) noexcept override;

 private:
  [[nodiscard]] bool can_settle() const noexcept;
  void finish_waiting_recv() noexcept;
  void take_bytes(RecvOp& op) noexcept;
  void give_back_lent() noexcept;
  void push() noexcept;
  void settle_send(SendOp& op, int error) noexcept;
  void fail_sends(int error) noexcept;

  Loop& loop_;
  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  RecvOp* receiving_ = nullptr;  // waits for bytes
  List<SendOp> sends_;           // wait for room, in the order of the calls
  SendOp* starting_ = nullptr;   // the one whose start() runs: it is told by the return value, not by done()
  LentBuffer* lent_ = nullptr;
  std::size_t recv_bytes_max_ = SIZE_MAX;
  TimePoint last_active_;
  std::optional<TimePoint> stuck_since_;
  int send_error_ = 0;
  bool input_ended_ = false;
  bool closed_ = false;
};

}  // namespace coax
