// The pool of receive buffers from which recv() borrows. A connection holds one only between a recv() that returned
// bytes and its next call, so idle connections hold none. The most recently returned buffer, still in the cache, is
// reused first. When a read fills a whole buffer, the next ones are larger, up to 512 KiB: bulk transfers need few
// system calls, small messages little memory.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "coax/base/free_list.hpp"
#include "coax/base/units.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define COAX_POISONS_BUFFERS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COAX_POISONS_BUFFERS
#endif
#endif
#ifdef COAX_POISONS_BUFFERS
#include <sanitizer/asan_interface.h>
#endif

namespace coax {

class LentBuffer {
 public:
  explicit LentBuffer(std::size_t size) : size_(size), data_(::operator new(size)) {}
  LentBuffer(const LentBuffer&) = delete;
  LentBuffer& operator=(const LentBuffer&) = delete;
  // Returns its pages to the system, which the allocator alone would not do after a burst.
  ~LentBuffer() {
    constexpr std::uintptr_t page_bytes = 4096;
    unpoison();
    const auto begin = reinterpret_cast<std::uintptr_t>(data_);
    const std::uintptr_t first = (begin + page_bytes - 1) / page_bytes * page_bytes;
    const std::uintptr_t last = (begin + size_) / page_bytes * page_bytes;
    if (first < last) ::madvise(data() + (first - begin), last - first, MADV_DONTNEED);
    ::operator delete(data_);
  }
  [[nodiscard]] char* data() noexcept { return static_cast<char*>(data_); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  friend class Buffers;
  // AddressSanitizer then reports a read of a buffer that was returned.
  void poison() noexcept {
#ifdef COAX_POISONS_BUFFERS
    __asan_poison_memory_region(data(), size_);
#endif
  }
  void unpoison() noexcept {
#ifdef COAX_POISONS_BUFFERS
    __asan_unpoison_memory_region(data(), size_);
#endif
  }
  std::size_t size_;
  void* data_;
};

// The pool of one loop. Thread: the loop's.
class Buffers {
 public:
  Buffers() noexcept = default;
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;

  LentBuffer* take() {
    ++lent_;
    LentBuffer* const buffer = free_.acquire().release();
    if (buffer == nullptr) return new LentBuffer(size_);
    buffer->unpoison();
    return buffer;
  }
  // For a back-end whose kernel holds buffers until bytes arrive: reserved ones do not count as lent until lend().
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
    if (buffer->size() != size_) return;
    buffer->poison();
    free_.release(std::move(owned));
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
  FreeList<LentBuffer, free_max> free_;
};

}  // namespace coax
