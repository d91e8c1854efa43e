// Outbox: the bytes that are queued for one of many peers. Pushing never waits; bytes for several peers are shared.
//
// A peer that keeps up is never disconnected, however much is pushed at once. Above `bytes_max` the outbox is behind:
// publishers that await Topic::publish(), and callers of ready(), wait until half of it has been sent. A peer that
// accepts less than a quarter of `bytes_max` within half of `stalled_max` is slow: publishers do not wait for it any
// more. A peer that is behind is disconnected when it accepts nothing for `stalled_max`, and when 16 MiB (or 4 times
// `bytes_max`, if that is more) are queued for it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/base/list.hpp"
#include "coax/base/units.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/task.hpp"

namespace coax {

// Immutable bytes with a reference count, encoded once and sent to many. Thread: one loop's; the count is not atomic.
class Shared {
 public:
  Shared() noexcept = default;
  explicit Shared(std::string bytes) : block_(new Block{std::move(bytes), 1}) {}
  Shared(const Shared& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) ++block_->owners;
  }
  Shared(Shared&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Shared& operator=(Shared other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Shared() {
    if (block_ != nullptr && --block_->owners == 0) delete block_;
  }
  explicit operator bool() const noexcept { return block_ != nullptr; }
  [[nodiscard]] BytesView bytes() const noexcept { return block_ != nullptr ? BytesView(block_->bytes) : BytesView(); }

 private:
  struct Block {
    std::string bytes;
    std::size_t owners;
  };
  Block* block_ = nullptr;
};

struct OutboxOptions {
  std::size_t bytes_max = 256_KiB;                  // above this the outbox is behind, and publishers wait
  std::size_t form = 0;                             // the encoding of a Topic's messages for this peer
  Duration stalled_max = std::chrono::seconds(20);  // how long a peer that is behind may accept nothing
};

// One task drains it, and must end before the outbox is destroyed; otherwise the program is aborted with a message.
// Thread: its loop's.
class Outbox {
 public:
  // Called once, when publishers need not wait for this outbox any more. Must not destroy the outbox.
  struct UnblockedHook : ListHook {
    using Run = void (*)(UnblockedHook&) noexcept;
    explicit UnblockedHook(Run on_unblocked) noexcept : run(on_unblocked) {}
    Run run;
  };
  class Ready;

  explicit Outbox(OutboxOptions options = {}) noexcept;
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox();

  // After an overflow, and after finish(), pushing has no effect. `offset`: the first byte in the block.
  void push(const Shared& block, std::size_t offset = 0);
  void push(std::string bytes) { push(Shared(std::move(bytes))); }
  // Ends the outbox: drain() returns when everything in it has been sent.
  void finish() noexcept;
  // Drops queued bytes and ends the outbox: drain() returns after the bytes that are being sent.
  void abandon() noexcept;

  // Waits until the outbox is not behind: await it before reading more from a peer whose answers are pushed here.
  // Cancelled: nothing has changed.
  [[nodiscard]] Ready ready() noexcept;
  [[nodiscard]] bool behind() const noexcept { return lag_monitor_ != nullptr; }
  // Behind, and its peer is not slow: publishers should wait.
  [[nodiscard]] bool blocks_publishers() const noexcept;
  // Runs `hook` once this outbox, which must delay publishers, stops doing so. Unlinking it withdraws it.
  void on_unblocked(UnblockedHook& hook) noexcept;

  // See drain().
  Task<> drain_to(Stream& stream);

  [[nodiscard]] std::size_t form() const noexcept { return form_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }  // pushed and not yet sent
  [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }

 private:
  friend class Subscription;
  class Wait;
  class LagMonitor;
  struct Piece {
    Shared block;
    BytesView bytes;
  };
  [[nodiscard]] std::size_t cost() const noexcept;
  [[nodiscard]] std::size_t memory_max() const noexcept;
  Task<> send_some(Stream& stream);
  std::vector<Piece> take_some();
  void sent(std::size_t count) noexcept;
  void wake() noexcept;
  void drop() noexcept;
  void add_subscription() noexcept { ++subscriptions_; }
  void end_subscription() noexcept;  // its topic has closed
  void remove_subscription(bool has_ended) noexcept;
  void finish_if_ended() noexcept;
  static void run_all(List<UnblockedHook>& hooks) noexcept;
  void stop_lagging() noexcept;
  void overflow() noexcept;
  [[noreturn]] void throw_overflow(const Stream& stream) const;

  // Kept small: a server has one for each connected client.
  std::size_t bytes_max_;
  Piece first_;              // usually one block: everything that was published in a turn
  std::vector<Piece> more_;  // pieces after it
  std::size_t bytes_ = 0;
  std::unique_ptr<LagMonitor> lag_monitor_;  // only while it is behind
  Wait* wait_ = nullptr;
  Context* drainer_ = nullptr;  // both only while drain() runs
  Stream* stream_ = nullptr;
  const SendOp* sending_ = nullptr;  // while a call of send() runs
  Milliseconds stalled_max_;
  std::uint16_t form_;
  bool finished_ : 1 = false;
  bool overflowed_ : 1 = false;
  bool stalled_ : 1 = false;               // the reason of the overflow
  std::uint32_t subscriptions_ = 0;        // that refer to it
  std::uint32_t ended_subscriptions_ = 0;  // those of them whose topic has closed
};

class [[nodiscard("it does nothing until it is awaited")]] Outbox::Ready : public Operation<Ready>,
                                                                           private UnblockedHook {
 public:
  explicit Ready(Outbox& outbox) noexcept;
  bool start() noexcept;
  void finish() const;

 private:
  struct Woken : Completion {
    using Completion::Completion;
    Ready* ready = nullptr;
    bool cancelled = false;
  };
  void wake() noexcept;
  Outbox& outbox_;
  Woken woken_;
};

inline Outbox::Ready Outbox::ready() noexcept { return Ready(*this); }

// Sends pushed bytes, in order, until finish().
// Throws: Error(invalid) when another task drains it; Error(overloaded) when the outbox has overflowed, before it began
// to drain or while it waits for the peer.
// Cancelled: unsent bytes stay queued.
inline Task<> drain(Outbox& outbox, Stream& stream) { return outbox.drain_to(stream); }

}  // namespace coax
