// One table of units for each direction, so that what format_ writes, parse_ reads back.
#include "coax/base/units.hpp"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <limits>

namespace coax {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// The largest first: a size or duration is written with the first unit that divides it.
constexpr std::array<Unit, 4> size_units{{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}};
constexpr std::array<Unit, 4> millisecond_units{{{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

std::optional<std::uint64_t> parse(std::string_view text, const std::array<Unit, 4>& units) noexcept {
  std::uint64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [after, failure] = std::from_chars(text.data(), end, count);
  if (failure != std::errc{}) return std::nullopt;
  for (const Unit& unit : units) {
    if (std::string_view(after, end) != unit.name) continue;
    if (count > std::numeric_limits<std::uint64_t>::max() / unit.factor) return std::nullopt;
    return count * unit.factor;
  }
  return std::nullopt;
}

std::string format(std::uint64_t count, const std::array<Unit, 4>& units, std::string_view unit_of_zero) {
  if (count == 0) return "0" + std::string(unit_of_zero);
  for (const Unit& unit : units) {
    if (count % unit.factor == 0) return std::to_string(count / unit.factor) + std::string(unit.name);
  }
  return {};
}

}  // namespace

std::optional<std::size_t> parse_size(std::string_view text) noexcept { return parse(text, size_units); }

std::optional<Duration> parse_duration(std::string_view text) noexcept {
  using std::chrono::milliseconds;
  constexpr auto longest = std::chrono::duration_cast<milliseconds>(Duration::max()).count();
  const auto count = parse(text, millisecond_units);
  if (!count || *count > static_cast<std::uint64_t>(longest)) return std::nullopt;
  return milliseconds(*count);
}

std::string format_size(std::size_t bytes) { return format(bytes, size_units, "B"); }

std::string format_duration(Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (count == 0 && duration > Duration::zero()) {
    return fmt::format("{}us", std::chrono::ceil<std::chrono::microseconds>(duration).count());
  }
  if (count < 0) return "-" + format(static_cast<std::uint64_t>(-count), millisecond_units, "s");
  return format(static_cast<std::uint64_t>(count), millisecond_units, "s");
}

std::string format_time(std::chrono::system_clock::time_point time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec,
                     (milliseconds - std::chrono::floor<std::chrono::seconds>(milliseconds)).count());
}

}  // namespace coax
