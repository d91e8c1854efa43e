// Misuse of the library that no exception can report: the message says what to do, then the program is aborted, since
// it would corrupt memory if it continued.
#pragma once

#include <string_view>

#include "coax/base/compiler.hpp"

namespace coax {

// Writes "coax: MESSAGE" to standard error and aborts. Any thread.
[[noreturn]] void abort_misuse(std::string_view message) noexcept;

// Whether mistakes that do no harm are reported on standard error: the library was built without NDEBUG, or the
// environment has COAX_DEBUG=1.
[[nodiscard]] bool reports_misuse() noexcept;
// Whether the environment has COAX_DEBUG=1.
[[nodiscard]] bool is_debugging() noexcept;
// Writes "coax: MESSAGE" to standard error. Any thread.
void report_misuse(std::string_view message) noexcept;

}  // namespace coax
