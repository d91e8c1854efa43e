// Counts the allocated bytes, for the promise that an idle decoder holds no memory.
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/codec/pieces.hpp"

#if __has_feature(thread_sanitizer)  // it has operators of its own, and counts

extern "C" std::size_t __sanitizer_get_current_allocated_bytes();

std::size_t coax::test::allocated_bytes() { return __sanitizer_get_current_allocated_bytes(); }

#else

namespace {
std::atomic<std::size_t> allocated = 0;
}

void* operator new(std::size_t size) {
  void* block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  allocated += malloc_usable_size(block);
  return block;
}

void operator delete(void* block) noexcept {
  allocated -= malloc_usable_size(block);
  std::free(block);
}

void operator delete(void* block, std::size_t) noexcept { operator delete(block); }

std::size_t coax::test::allocated_bytes() { return allocated; }

#endif
