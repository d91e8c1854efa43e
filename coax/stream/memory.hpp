// MemoryStream: two connected streams in memory, for tests and for connections inside one program; as net.Pipe in Go,
// with a buffer. It obeys the same contract as a TCP stream (tests/contract), so that tests on it hold for sockets.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "coax/loop/loop.hpp"
#include "coax/stream/send_queue.hpp"
#include "coax/stream/stream.hpp"

namespace coax {

class MemoryStream;

// Each end can send `capacity` bytes, at least 1, before it waits for the other to receive. Both belong to the current
// loop.
std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> memory_stream_pair(
    std::size_t capacity = 64_KiB);

class MemoryStream final : public BufferedStream {
 public:
  struct Pipe;
  // The pipes from the peer and to it; use memory_stream_pair().
  MemoryStream(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out);
  ~MemoryStream() override;

  bool queue(BytesView bytes) noexcept override;
  void close() noexcept override;
  void abort() noexcept override;
  void end_input() noexcept override;
  [[nodiscard]] std::string peer_name() const override { return "memory"; }
  [[nodiscard]] Duration send_stalled() const noexcept override;

  // For tests: limits the bytes of one recv(), as a network may do. At least 1.
  void set_recv_bytes_max(std::size_t count) noexcept { recv_bytes_max_ = count; }

  bool start(RecvOp& op) noexcept override;
  void complete(RecvOp& op) noexcept override;
  void cancel(RecvOp& op) noexcept override;
  bool start(SendOp& op) noexcept override;
  void cancel(SendOp& op) noexcept override;

 private:
  [[nodiscard]] bool can_complete() const noexcept;
  void wake_receiver() noexcept;
  void take_bytes(RecvOp& op) noexcept;
  void push() noexcept;
  void fail_sends(int error) noexcept;

  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  SendQueue sends_;  // wait for room, in the order of the calls
  std::size_t recv_bytes_max_ = SIZE_MAX;
  std::optional<TimePoint> stalled_since_;
  int send_error_ = 0;
  bool closed_ = false;
};

}  // namespace coax
