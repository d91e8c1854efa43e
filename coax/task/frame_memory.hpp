// Memory of coroutine frames: free lists by size, one set per thread, so that awaiting a task in the steady state
// allocates nothing. A frame may be freed on another thread than the one that allocated it.
#pragma once

#include <cstddef>

#include "coax/base/compiler.hpp"

namespace coax::frame_memory {

void* allocate(std::size_t size);
void release(void* frame, std::size_t size) noexcept;

}  // namespace coax::frame_memory
