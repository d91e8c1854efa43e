// The log: one line per event on standard error. A facade, so that no header of ours brings a logging library along.
// Text that came from a peer goes through printable() (base/text.hpp) before it comes here.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string_view>

#include "coax/base/compiler.hpp"

namespace coax::log {

enum class Level : std::uint8_t { debug, info, warning, error, off };

// Any thread. Default: info.
void set_level(Level level) noexcept;
[[nodiscard]] bool enabled(Level level) noexcept;
void write(Level level, std::string_view line) noexcept;

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warning)) write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace coax::log
