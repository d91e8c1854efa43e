// Preconditions and ranges of a request for a representation (RFC 9110, sections 13 and 14). Pure: no descriptor, no
// clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/codec/http.hpp"

namespace coax::http {

struct Validators {
  std::string etag;  // strong, with its quotes
  std::optional<std::chrono::sys_seconds> last_modified = {};
};

enum class Precondition : std::uint8_t { proceed, not_modified, failed };

// For GET and HEAD: If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since, in the order of section 13.2.2.
Precondition check_preconditions(const Fields& fields, const Validators& validators, std::chrono::sys_seconds now);

struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  bool operator==(const ByteRange&) const = default;
};

inline constexpr std::size_t ranges_max = 16;

// "bytes=0-99,-5" (section 14.1.2). Ranges that overlap or adjoin are one.
// Returns: nothing when the field is malformed, has another unit or more than `ranges_max` ranges, or when the
// representation is empty: it is ignored then. An empty list: no range is satisfiable.
std::optional<std::vector<ByteRange>> parse_ranges(std::string_view field, std::uint64_t size);

// The ranges to send; nothing: the whole representation. It depends on Range and If-Range (section 13.1.5).
std::optional<std::vector<ByteRange>> requested_ranges(const Fields& fields, const Validators& validators,
                                                       std::uint64_t size, std::chrono::sys_seconds now);

}  // namespace coax::http
