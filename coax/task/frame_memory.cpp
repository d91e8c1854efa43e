// Free lists of coroutine frames, in size classes of 16 bytes up to 4 KiB. Larger frames come from the heap. Under a
// sanitizer all come from the heap, so that a use after free is reported.
#include "coax/task/frame_memory.hpp"

#include <array>
#include <new>

namespace coax::frame_memory {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool pooled = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool pooled = false;
#else
constexpr bool pooled = true;
#endif
#else
constexpr bool pooled = true;
#endif

constexpr std::size_t step = 16;
constexpr std::size_t classes = 256;
constexpr std::size_t heap_overhead = 8;  // malloc(3), too, has steps of 16 bytes, 8 of which are its header
constexpr std::size_t kept_max = 256;     // per size class and thread

thread_local bool pool_is_gone = false;  // frames may be allocated and freed while the thread ends

class Pool {
 public:
  ~Pool() {
    for (std::size_t index = 0; index < classes; ++index) {
      while (void* frame = take(index)) ::operator delete(frame);
    }
    pool_is_gone = true;
  }
  void* take(std::size_t index) noexcept {
    Free* head = heads_[index];
    if (head == nullptr) return nullptr;
    heads_[index] = head->next;
    --counts_[index];
    return head;
  }
  bool keep(std::size_t index, void* frame) noexcept {
    if (counts_[index] == kept_max) return false;
    heads_[index] = ::new (frame) Free{heads_[index]};
    ++counts_[index];
    return true;
  }

 private:
  struct Free {
    Free* next;
  };
  std::array<Free*, classes> heads_{};
  std::array<std::size_t, classes> counts_{};
};

thread_local Pool pool;

constexpr std::size_t class_of(std::size_t size) { return (size + heap_overhead - 1) / step; }
constexpr std::size_t size_of(std::size_t index) { return (index + 1) * step - heap_overhead; }

}  // namespace

void* allocate(std::size_t size) {
  const std::size_t index = class_of(size);
  if (!pooled || index >= classes || pool_is_gone) return ::operator new(size);
  if (void* frame = pool.take(index)) return frame;
  return ::operator new(size_of(index));
}

void release(void* frame, std::size_t size) noexcept {
  const std::size_t index = class_of(size);
  if (!pooled || index >= classes || pool_is_gone || !pool.keep(index, frame)) ::operator delete(frame);
}

}  // namespace coax::frame_memory
