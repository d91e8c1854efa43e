// FreeList: objects kept for reuse, so that the steady state allocates nothing. The object released last, which is
// still in the cache, is acquired first.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "coax/base/compiler.hpp"

namespace coax {

// Keeps at most `max` objects. Thread: one.
template <class T, std::size_t max>
class FreeList {
 public:
  // Null when there is none: the caller makes one.
  [[nodiscard]] std::unique_ptr<T> acquire() noexcept { return size_ == 0 ? nullptr : std::move(objects_[--size_]); }
  // Destroys the object when the list is full.
  void release(std::unique_ptr<T> object) noexcept {
    if (size_ != max) objects_[size_++] = std::move(object);
  }
  void clear() noexcept {
    while (size_ != 0) objects_[--size_].reset();
  }
  [[nodiscard]] bool full() const noexcept { return size_ == max; }

 private:
  std::array<std::unique_ptr<T>, max> objects_;
  std::size_t size_ = 0;
};

}  // namespace coax
