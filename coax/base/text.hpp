// Text from strangers: is it UTF-8, may it stand in a terminal or a log, are two names the same to a reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"

namespace coax {

// UTF-8 (RFC 3629) checked as it arrives, in any number of pieces. No overlong forms, no surrogates, nothing above
// U+10FFFF. After feed() returned false every further answer is false.
class Utf8Check {
 public:
  bool feed(BytesView bytes) noexcept;                                  // no byte so far is wrong
  [[nodiscard]] bool complete() const noexcept { return state_ == 0; }  // and no character is cut in half

 private:
  std::uint8_t state_ = 0;
};

bool is_utf8(BytesView bytes) noexcept;
// The number of code points of valid UTF-8.
std::size_t count_characters(std::string_view utf8) noexcept;
// A C0 or C1 control (tab, line end and DEL included), a line or paragraph separator (U+2028, U+2029), or one of the
// characters that reverse the reading direction of what follows (U+202A..E, U+2066..9). Takes valid UTF-8.
bool has_control(std::string_view utf8) noexcept;
// Returns the offset of the first of these, or the size of the text.
std::size_t find_control(std::string_view utf8) noexcept;
// Unicode NFKC case folding: two names that fold alike are the same name to a reader. Takes valid UTF-8.
std::string fold_case(std::string_view utf8);
// For logs and terminals: control characters and bytes that are not UTF-8 become \xNN; after characters_max of the text
// an ellipsis stands for the rest.
std::string printable(BytesView bytes, std::size_t characters_max = 200);
// Without white space (space, tab, CR, LF) at both ends.
std::string_view trim(std::string_view text) noexcept;
// ASCII only, as protocols compare their words.
bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept;

}  // namespace coax
