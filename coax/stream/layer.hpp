// Layer: a stream over a stream. It forwards every call to the stream below; a derived layer overrides what it changes.
// TLS, the rate limit of LimitedStream and the log of RecordingStream are layers.
//
// A layer that forwards the caller's own operation adjusts it in start(), when that returned true, and in complete(). A
// layer that needs several operations below for one above, as TLS does, starts operations of its own.
#pragma once

#include <concepts>
#include <memory>
#include <utility>

#include "coax/stream/stream.hpp"

namespace coax {

class Layer : public Stream {
 public:
  // The stream below: owned, or borrowed, and then it must outlive the layer. No operation may be in progress on it;
  // while the layer exists only the layer may use it.
  class Below {
   public:
    Below(Stream& borrowed) noexcept : stream_(&borrowed) {}
    template <std::derived_from<Stream> S>
    Below(std::unique_ptr<S> owned) noexcept : stream_(owned.get()), owned_(std::move(owned)) {}

   private:
    friend class Layer;
    Stream* stream_;
    std::unique_ptr<Stream> owned_;
  };

  ~Layer() override {
    if (in_progress_ != 0) [[unlikely]]
      abort_destroyed_in_use();
  }

  bool queue(BytesView bytes) noexcept override { return below_.queue(bytes); }
  void close() noexcept override { below_.close(); }
  void abort() noexcept override { below_.abort(); }
  void end_input() noexcept override { below_.end_input(); }
  void reopen_input() noexcept override { below_.reopen_input(); }
  void limit_unsent(std::size_t bytes) noexcept override { below_.limit_unsent(bytes); }
  [[nodiscard]] std::string peer_name() const override { return below_.peer_name(); }
  [[nodiscard]] Endpoint peer() const noexcept override { return below_.peer(); }
  [[nodiscard]] Endpoint local() const noexcept override { return below_.local(); }
  [[nodiscard]] std::optional<Credentials> peer_credentials() const override { return below_.peer_credentials(); }
  [[nodiscard]] bool is_encrypted() const noexcept override { return below_.is_encrypted(); }
  [[nodiscard]] TimePoint last_active() const noexcept override { return below_.last_active(); }
  [[nodiscard]] bool has_received() const noexcept override { return below_.has_received(); }
  [[nodiscard]] Duration send_stalled() const noexcept override { return below_.send_stalled(); }

  bool start(RecvOp& op) noexcept override { return count(below_.start(op)); }
  void complete(RecvOp& op) noexcept override {
    --in_progress_;
    below_.complete(op);
  }
  void cancel(RecvOp& op) noexcept override { below_.cancel(op); }
  bool start(SendOp& op) noexcept override { return count(below_.start(op)); }
  void complete(SendOp& op) noexcept override {
    --in_progress_;
    below_.complete(op);
  }
  void cancel(SendOp& op) noexcept override { below_.cancel(op); }
  [[noreturn]] void fail(int reason, const char* operation) const override { below_.fail(reason, operation); }

 protected:
  explicit Layer(Below below) noexcept
      : Stream(below.stream_->loop()), owned_(std::move(below.owned_)), below_(*below.stream_) {}
  [[nodiscard]] Stream& below() const noexcept { return below_; }

 private:
  bool count(bool is_complete) noexcept {
    if (!is_complete) ++in_progress_;
    return is_complete;
  }

  std::unique_ptr<Stream> owned_;
  Stream& below_;
  unsigned in_progress_ = 0;  // operations that the stream below has
};

}  // namespace coax
