// RecordingStream: a layer that passes all received and sent bytes to a function.
#pragma once

#include <cstdint>
#include <functional>

#include "coax/stream/layer.hpp"

namespace coax {

class RecordingStream final : public Layer {
 public:
  enum class Direction : std::uint8_t { received, sent };
  // Called with the bytes in their order in each direction; empty: the end of that direction, once. Bytes count as sent
  // when send() has accepted them. It must not throw, and not call the stream.
  // Lifetime: the bytes are valid during the call.
  using Sink = std::move_only_function<void(Direction, BytesView) noexcept>;

  RecordingStream(Below below, Sink sink) noexcept : Layer(std::move(below)), sink_(std::move(sink)) {}

  bool queue(BytesView bytes) noexcept override;
  bool start(RecvOp& op) noexcept override;
  void complete(RecvOp& op) noexcept override;
  bool start(SendOp& op) noexcept override;
  void complete(SendOp& op) noexcept override;

 private:
  void record(const RecvOp& op) noexcept;
  void record(const SendOp& op) noexcept;

  Sink sink_;
  bool recv_ended_ = false;
  bool send_ended_ = false;
};

}  // namespace coax
