// Outbox: what waits to be sent to one peer of many, bounded. Whoever publishes never waits for a slow reader: bytes
// that went to everybody are shared, and a reader that lets its outbox overflow is disconnected, so that it costs its
// own bound and nobody else anything.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/task.hpp"

namespace coax {

// Encoded once, sent to many: immutable bytes with a count of owners. Of one loop: the count is not atomic.
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
  [[nodiscard]] Bytes bytes() const noexcept { return block_ != nullptr ? Bytes(block_->bytes) : Bytes(); }

 private:
  struct Block {
    std::string bytes;
    std::size_t owners;
  };
  Block* block_ = nullptr;
};

struct OutboxOptions {
  std::size_t bytes_max = 256_KiB;  // what was pushed and is not yet sent
  std::size_t form = 0;             // which wire form of a Topic's messages goes in here
};

// Of one loop; one task drains it.
class Outbox {
 public:
  explicit Outbox(OutboxOptions options = {}) noexcept : options_(options) {}

  // After an overflow, and after finish(), pushing does nothing.
  void push(const Shared& shared);
  void push(std::string bytes) { push(Shared(std::move(bytes))); }
  // No more comes: drain() ends when all is sent.
  void finish() noexcept;
  // The peer wants no more: what waits is dropped, and drain() ends after what it sends just now.
  void abandon() noexcept;

  [[nodiscard]] std::size_t form() const noexcept { return options_.form; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }

 private:
  friend Task<> drain(Outbox& outbox, Stream& stream);
  class Wait;
  void wake() noexcept;
  void drop() noexcept;
  void overflow() noexcept;

  OutboxOptions options_;
  Shared first_;              // what waits: as a rule one block, all that came in a turn
  std::vector<Shared> more_;  // and what came after it
  std::size_t bytes_ = 0;
  Wait* wait_ = nullptr;
  Context* drainer_ = nullptr;
  bool finished_ = false;
  bool overflowed_ = false;
};

// Sends what comes into the outbox, everything that waits in one call, until finish(). Throws Error(overloaded) as soon
// as the outbox overflows, even while it waits for the peer. Cancelled: what was not sent stays unsent.
Task<> drain(Outbox& outbox, Stream& stream);

}  // namespace coax
