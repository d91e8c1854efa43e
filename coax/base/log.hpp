// The log: one line for each event, on standard error or into a sink. A facade, so that no header of ours includes a
// logging library.
//
//   2026-03-01T08:15:30.123Z info alice joined from 127.0.0.1:40022
//   {"time":"2026-03-01T08:15:30.123Z","level":"info","message":"alice joined from 127.0.0.1:40022"}
//
// Untrusted text needs no care: control characters, line ends, bidirectional controls and bytes that are not UTF-8 are
// escaped here as \xNN. A record is one line, of at most 1000 characters of the text.
//
// No call blocks: a thread, started with the first line, writes. Up to 1 MiB is queued for it; lines beyond that are
// dropped, and counted in a line of their own as soon as there is room. A normal exit waits up to a second for queued
// lines.
#pragma once

#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "coax/base/compiler.hpp"
#include "coax/base/units.hpp"

namespace coax {

// Prints one line on standard error, in order with the log and escaped like it; failures are ignored. Thread: any.
void print_error(std::string_view line) noexcept;

}  // namespace coax

namespace coax::log {

enum class Level : std::uint8_t { debug, info, warning, error, off };
enum class Format : std::uint8_t { text, json };  // json: JSON Lines, an object on each line

std::string_view to_string(Level level) noexcept;
std::optional<Level> parse_level(std::string_view name) noexcept;
std::optional<Format> parse_format(std::string_view name) noexcept;

// Records below the level are not made. Default: COAX_LOG, which is debug, info, warning, error or off; else info.
// Thread: any.
void set_level(Level level) noexcept;
[[nodiscard]] Level level() noexcept;
[[nodiscard]] bool enabled(Level level) noexcept;
// Of lines on standard error. Default: COAX_LOG_FORMAT, which is text or json; else text. Thread: any.
void set_format(Format format) noexcept;
// Throws Error(invalid) when COAX_LOG or COAX_LOG_FORMAT has another value. Loops and programs check it at their start.
void check_environment();

struct Record {
  Level level;
  std::chrono::system_clock::time_point time;
  std::string_view text;  // escaped, without a line end; valid during the call
};
// Called with each record in place of standard error, by the thread that logs, one call at a time: it must not block.
// What it logs itself, and what it throws, is dropped. An empty one: standard error again.
using Sink = std::function<void(const Record&)>;
void set_sink(Sink sink);

// Thread: any.
void write(Level level, std::string_view text) noexcept;
// Waits until all lines so far are written. Returns false when they were not within the limit.
bool flush(Duration limit) noexcept;

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
