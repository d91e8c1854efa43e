// Counts allocations, for the promise that the steady state allocates nothing. Defines operator new: include it in one
// file of an executable. Under a sanitizer, which has an allocator of its own and where frames come from the heap,
// nothing is counted, and COAX_SANITIZED is defined.
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COAX_SANITIZED
#endif
#endif

#ifndef COAX_SANITIZED

#include <atomic>
#include <cstdlib>
#include <new>

namespace coax::test {
inline std::atomic<std::size_t> allocations = 0;
}

void* operator new(std::size_t size) {
  ++coax::test::allocations;
  void* block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

#endif
