// Lines for standard error, which a thread writes: a loop must not wait for a pipe that is not read.
#pragma once

#include <cstddef>
#include <string>

#include "coax/base/units.hpp"

namespace coax::detail {

// Queues a line, line end included, or counts it as lost when 1 MiB waits. Never blocks. Thread: any.
void add_error_line(std::string line);
// Waits until all is written. Returns false when it was not within the limit.
bool flush_error_lines(Duration limit) noexcept;

// The line in place of lost lines.
std::string lost_lines_line(std::size_t count);

}  // namespace coax::detail
