// The buffers that recv() lends. A connection holds one only between a recv() that brought bytes and its next call, so
// that idle connections hold none; the most recently returned buffer, still in the cache, is lent first. When a read
// fills a whole buffer, the next ones are larger, up to 512 KiB: bulk wants few system calls, chat wants little memory.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "coax/base/units.hpp"

namespace coax {

class LentBuffer {
 public:
  explicit LentBuffer(std::size_t size) : size_(size), bytes_(new char[size]) {}
  [[nodiscard]] char* data() noexcept { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

// One loop's buffers; belongs to its thread.
class Buffers {
 public:
  LentBuffer* take() {
    ++lent_;
    if (free_.empty()) return new LentBuffer(size_);
    LentBuffer* buffer = free_.back().release();
    free_.pop_back();
    return buffer;
  }
  // For a back-end whose kernel holds buffers until bytes come: reserved ones do not count as lent until lend().
  LentBuffer* reserve() {
    LentBuffer* const buffer = take();
    --lent_;
    return buffer;
  }
  LentBuffer* lend(LentBuffer* reserved) noexcept {
    ++lent_;
    return reserved;
  }
  void give_back(LentBuffer* buffer) noexcept {
    --lent_;
    std::unique_ptr<LentBuffer> owned(buffer);
    if (owned->size() == size_ && free_.size() < free_max) free_.push_back(std::move(owned));
  }
  // A read filled `buffer`: the next buffers are larger.
  void filled(const LentBuffer& buffer) noexcept {
    if (buffer.size() != size_ || size_ >= size_max) return;
    size_ *= 2;
    free_.clear();
  }
  // How many are lent at this moment.
  [[nodiscard]] std::size_t lent() const noexcept { return lent_; }

 private:
  static constexpr std::size_t size_min = 64_KiB;
  static constexpr std::size_t size_max = 512_KiB;
  static constexpr std::size_t free_max = 64;

  std::size_t size_ = size_min;
  std::size_t lent_ = 0;
  std::vector<std::unique_ptr<LentBuffer>> free_;
};

}  // namespace coax
