// Dates of HTTP fields (RFC 9110, section 5.6.7). Pure: no clock.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "coax/base/compiler.hpp"

namespace coax::http {

// IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT", for a year of four digits.
std::string format_date(std::chrono::sys_seconds time);
// Writes the same 29 characters to `to`, without an allocation. Returns: their end.
char* write_date(char* to, std::chrono::sys_seconds time) noexcept;

// IMF-fixdate, and the two obsolete forms that recipients must accept: "Sunday, 06-Nov-94 08:49:37 GMT" and
// "Sun Nov  6 08:49:37 1994". A year of two digits that is more than 50 years after `now` is in the past.
// Returns: nothing when it is malformed, no date, or its day of the week is another one.
std::optional<std::chrono::sys_seconds> parse_date(std::string_view text, std::chrono::sys_seconds now);

}  // namespace coax::http
