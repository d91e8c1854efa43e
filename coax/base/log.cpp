// The log: levels, formats and the sink. base/error_lines.cpp has the thread that writes.
#include "coax/base/log.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/base/error_lines_private.hpp"
#include "coax/base/text.hpp"

namespace coax {

namespace {

constexpr std::size_t logged_characters_max = 1000;

}  // namespace

void print_error(std::string_view line) noexcept {
  try {
    detail::add_error_line(printable(line, 2 * logged_characters_max) + '\n');
  } catch (...) {  // out of memory: nothing is left to report it to
  }
}

}  // namespace coax

namespace coax::log {

namespace {

constexpr std::array<std::string_view, 5> level_names{"debug", "info", "warning", "error", "off"};
constexpr std::array<std::string_view, 2> format_names{"text", "json"};

template <class Value, std::size_t size>
std::optional<Value> parse(const std::array<std::string_view, size>& names, std::string_view name) noexcept {
  for (std::size_t index = 0; index < size; ++index) {
    if (names[index] == name) return static_cast<Value>(index);
  }
  return std::nullopt;
}

std::string_view variable(const char* name) noexcept {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): the program does not set it
  return value == nullptr ? "" : value;
}

template <class Value>
struct Setting {
  static constexpr int unset = -1;
  std::atomic<int> chosen = unset;

  void set(Value value) noexcept { chosen.store(static_cast<int>(value), std::memory_order_relaxed); }
  [[nodiscard]] Value get(Value otherwise) const noexcept {
    const int value = chosen.load(std::memory_order_relaxed);
    return value == unset ? otherwise : static_cast<Value>(value);
  }
};
constinit Setting<Level> chosen_level;
constinit Setting<Format> chosen_format;

Format format_now() noexcept {
  static const Format of_environment = parse_format(variable("COAX_LOG_FORMAT")).value_or(Format::text);
  return chosen_format.get(of_environment);
}

bool has_colour() noexcept {
  static const bool colour = ::isatty(STDERR_FILENO) == 1 && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  return colour;
}

std::string_view colour_of(Level level) noexcept {
  switch (level) {
    case Level::debug: return "\x1b[36m";
    case Level::info: return "\x1b[32m";
    case Level::warning: return "\x1b[33;1m";
    case Level::error:
    case Level::off: break;
  }
  return "\x1b[31;1m";
}

// Printable text: the remaining characters that JSON strings must escape.
std::string json_string(std::string_view printable_text) {
  std::string out = "\"";
  for (const char c : printable_text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string line_of(const Record& record) {
  const std::string time = format_time(record.time);
  const std::string_view name = to_string(record.level);
  if (format_now() == Format::json) {
    return fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",\"message\":{}}}\n", time, name, json_string(record.text));
  }
  if (has_colour()) return fmt::format("{} {}{}\x1b[m {}\n", time, colour_of(record.level), name, record.text);
  return fmt::format("{} {} {}\n", time, name, record.text);
}

constinit std::mutex sink_mutex;
Sink& sink() {
  static Sink* const instance = new Sink;  // never destroyed: other threads may log while the process exits
  return *instance;
}

// False: there is no sink.
bool give_to_sink(const Record& record) {
  thread_local bool busy = false;
  if (busy) return true;
  const std::scoped_lock lock(sink_mutex);
  if (!sink()) return false;
  const struct Call {
    Call() { busy = true; }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { busy = false; }
  } call;
  sink()(record);
  return true;
}

}  // namespace

std::string_view to_string(Level level) noexcept { return level_names[static_cast<std::size_t>(level)]; }
std::optional<Level> parse_level(std::string_view name) noexcept { return parse<Level>(level_names, name); }
std::optional<Format> parse_format(std::string_view name) noexcept { return parse<Format>(format_names, name); }

void set_level(Level level) noexcept { chosen_level.set(level); }

Level level() noexcept {
  static const Level of_environment = parse_level(variable("COAX_LOG")).value_or(Level::info);
  return chosen_level.get(of_environment);
}

bool enabled(Level level) noexcept { return level != Level::off && level >= log::level(); }

void set_format(Format format) noexcept { chosen_format.set(format); }

void check_environment() {
  const auto check = [](const char* name, const auto& parse_value, std::string_view expected) {
    const std::string_view value = variable(name);
    if (value.empty() || parse_value(value)) return;
    throw Error(ErrorKind::invalid, name, {}, fmt::format("\"{}\" is not one of {}", value, expected));
  };
  check("COAX_LOG", parse_level, "debug, info, warning, error, off");
  check("COAX_LOG_FORMAT", parse_format, "text, json");
}

void set_sink(Sink new_sink) {
  const std::scoped_lock lock(sink_mutex);
  sink().swap(new_sink);
}

void write(Level level, std::string_view text) noexcept {
  if (!enabled(level)) return;
  try {
    const std::string escaped = printable(text, logged_characters_max);
    const Record record{.level = level, .time = std::chrono::system_clock::now(), .text = escaped};
    if (!give_to_sink(record)) detail::add_error_line(line_of(record));
  } catch (...) {  // out of memory, or by the sink: the caller continues
  }
}

bool flush(Duration limit) noexcept { return detail::flush_error_lines(limit); }

}  // namespace coax::log

namespace coax::detail {

std::string lost_lines_line(std::size_t count) {
  return log::line_of({.level = log::Level::warning,
                       .time = std::chrono::system_clock::now(),
                       .text = fmt::format("{} lines are missing here: standard error did not take them", count)});
}

}  // namespace coax::detail
