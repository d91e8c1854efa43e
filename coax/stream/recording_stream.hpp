// RecordingStream: a layer that passes all received and sent bytes to a function.
#pragma once

#include <cstdint>
#include <functional>

#include "coax/base/list.hpp"
#include "coax/stream/layer.hpp"

namespace coax {

class RecordingStream final : public Layer {
 public:
  enum class Direction : std::uint8_t { received, sent };
  // Called with the bytes in their order in each direction; empty: the end of that direction, once. Bytes count as sent
  // when send() has accepted them. It must not throw; of this stream it may call pause() only.
  // Lifetime: the bytes are valid during the call.
  using Sink = std::move_only_function<void(Direction, BytesView) noexcept>;

  RecordingStream(Below below, Sink sink) noexcept;
  ~RecordingStream() override;

  // Back-pressure of a sink that keeps the bytes, to write them later. From pause() to resume() no operation begins:
  // recv() and send() wait, and queue() returns false. Those in progress end, and are recorded: at most one recv(), and
  // one send() for each task that sends.
  void pause() noexcept { paused_ = true; }
  void resume() noexcept;

  bool queue(BytesView bytes) noexcept override;
  void close() noexcept override;
  void abort() noexcept override;
  void end_input() noexcept override;
  void reopen_input() noexcept override;
  bool start(RecvOp& op) noexcept override;
  void complete(RecvOp& op) noexcept override;
  void cancel(RecvOp& op) noexcept override;
  bool start(SendOp& op) noexcept override;
  void complete(SendOp& op) noexcept override;
  void cancel(SendOp& op) noexcept override;

 private:
  struct Advance : Completion {
    explicit Advance(RecordingStream& stream) noexcept;
    RecordingStream& of;
  };

  [[nodiscard]] bool delays_recv() const noexcept { return paused_ && !closed_ && !input_ended_; }
  [[nodiscard]] bool delays_send() const noexcept { return (paused_ || !delayed_sends_.empty()) && !closed_; }
  void advance_later() noexcept;
  void advance() noexcept;
  Completion* start_delayed_recv() noexcept;
  Completion* start_delayed_send() noexcept;
  bool start_now(RecvOp& op) noexcept;
  bool start_now(SendOp& op) noexcept;
  void record(const RecvOp& op) noexcept;
  void record(const SendOp& op) noexcept;

  Sink sink_;
  bool recv_ended_ = false;
  bool send_ended_ = false;
  bool paused_ = false;
  bool closed_ = false;
  bool input_ended_ = false;
  bool recv_is_cancelled_ = false;
  RecvOp* delayed_recv_ = nullptr;   // until resume()
  List<SendOp> delayed_sends_;       // in the order of the calls
  Completion* completed_ = nullptr;  // of those that were delayed, while its done() is called
  Advance advance_{*this};
};

}  // namespace coax
