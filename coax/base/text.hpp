// Untrusted text: validation of UTF-8, escaping for terminals and logs, and comparison of names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"

namespace coax {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// Validates UTF-8 (RFC 3629) as it arrives, in any number of pieces. No overlong forms, no surrogates, nothing above
// U+10FFFF. After feed() returned false it always returns false.
class Utf8Check {
 public:
  bool feed(BytesView bytes) noexcept;                                  // false: an invalid byte
  [[nodiscard]] bool complete() const noexcept { return state_ == 0; }  // no incomplete character

 private:
  std::uint8_t state_ = 0;
};

bool is_utf8(BytesView bytes) noexcept;
// The number of code points of valid UTF-8.
std::size_t count_characters(std::string_view utf8) noexcept;
// A C0 or C1 control (including tab, line end and DEL), a line or paragraph separator (U+2028, U+2029), or a
// bidirectional control (U+202A..E, U+2066..9). The text must be valid UTF-8.
bool has_control(std::string_view utf8) noexcept;
// Returns: the offset of the first of these, or the size of the text.
std::size_t find_control(std::string_view utf8) noexcept;
// Unicode NFKC case folding: names that fold alike look the same to a reader. The text must be valid UTF-8.
std::string fold_case(std::string_view utf8);
// For logs and terminals: control characters and bytes that are not UTF-8 become \xNN; after characters_max characters
// the text is truncated with an ellipsis.
std::string printable(BytesView bytes, std::size_t characters_max = 200);
// Each invalid sequence becomes U+FFFD, as browsers decode UTF-8 (WHATWG Encoding, section 4.1).
std::string valid_utf8(BytesView bytes);
// The start of valid UTF-8 with at most `bytes_max` bytes, without a part of a character.
std::string_view first_characters(std::string_view utf8, std::size_t bytes_max) noexcept;
// That of C's isspace().
inline constexpr std::string_view white_space = " \t\n\r\f\v";
// Without white space (space, tab, CR, LF) at both ends.
std::string_view trim(std::string_view text) noexcept;
// ASCII only, as protocols compare their words.
bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept;

}  // namespace coax
