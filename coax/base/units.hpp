// Sizes and durations as people write them: 64_KiB in code, "1MiB" and "30s" in options and configuration.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coax/base/compiler.hpp"

namespace coax {

inline namespace literals {
consteval std::size_t operator""_KiB(unsigned long long count) { return count * 1024; }
consteval std::size_t operator""_MiB(unsigned long long count) { return count * 1024 * 1024; }
consteval std::size_t operator""_GiB(unsigned long long count) { return count * 1024 * 1024 * 1024; }
}  // namespace literals

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;
// A duration of up to 49 days in four bytes, for what a server has of each connection.
using Milliseconds = std::chrono::duration<std::uint32_t, std::milli>;
// Rounded up; the nearest that there is for what is too long, or negative.
constexpr Milliseconds milliseconds(Duration duration) noexcept {
  const auto count = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return Milliseconds(static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, UINT32_MAX)));
}

// "512B", "64KiB", "1MiB", "2GiB" -> bytes. A bare number, a unit of ten ("MB"), a sign or an overflow is nothing.
std::optional<std::size_t> parse_size(std::string_view text) noexcept;
// "250ms", "30s", "5m", "2h" -> a duration. A bare number, a sign or an overflow is nothing.
std::optional<Duration> parse_duration(std::string_view text) noexcept;
std::string format_size(std::size_t bytes);      // "64KiB", "1500B"
std::string format_duration(Duration duration);  // "30s", "1500ms"
// RFC 3339, UTC, with milliseconds: "2026-03-01T08:15:30.123Z".
std::string format_time(std::chrono::system_clock::time_point time);

}  // namespace coax
