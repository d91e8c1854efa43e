// When a file was last modified.
#pragma once

#include <sys/stat.h>

#include <chrono>

namespace coax {

// Years before 1678 and after 2261 become these: nanoseconds have 64 bits.
std::chrono::sys_time<std::chrono::nanoseconds> modified_of(const struct stat& status) noexcept;

}  // namespace coax
