// read_secret(): a password from the terminal, without showing it.
#pragma once

#include <string>
#include <string_view>

#include "coax/base/compiler.hpp"

namespace coax {

// A line of standard input. At a terminal the prompt stands on standard error and nothing is echoed; a signal that ends
// the process, or stops it, first gives the terminal its echo back. Throws Error(disconnected) when there is no line,
// Error(invalid) when it is longer than 1 KiB.
std::string read_secret(std::string_view prompt);

}  // namespace coax
