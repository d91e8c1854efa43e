// Messages about misuse; straight to the descriptor, as the program may be about to end.
#include "coax/base/misuse.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace coax {

void report_misuse(std::string_view message) noexcept {
  try {
    const std::string line = "coax: " + std::string(message) + "\n";
    if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;
  } catch (const std::exception&) {  // no memory for the text
  }
}

void abort_misuse(std::string_view message) noexcept {
  report_misuse(message);
  std::abort();
}

bool is_debugging() noexcept {
  const char* const given = std::getenv("COAX_DEBUG");  // NOLINT(concurrency-mt-unsafe): the program does not set it
  return given != nullptr && std::string_view(given) == "1";
}

bool reports_misuse() noexcept {
#ifndef NDEBUG
  return true;
#else
  return is_debugging();
#endif
}

}  // namespace coax
