// The words of HTTP: which characters names and values may have (RFC 9110, section 5.6.2 and 5.5), and lists of words.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "coax/base/text.hpp"

namespace coax::http1 {

// Those that a set of ASCII characters and all ASCII letters and digits make.
class WordChars {
 public:
  consteval explicit WordChars(std::string_view others) {
    for (unsigned char c = 0; c < 0x80; ++c) {
      has_[c] = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    }
    for (const char c : others) has_[static_cast<unsigned char>(c)] = true;
  }
  constexpr bool operator()(char c) const noexcept { return has_[static_cast<unsigned char>(c)]; }

 private:
  std::array<bool, 256> has_{};
};

inline constexpr WordChars is_token_char("!#$%&'*+-.^_`|~");

constexpr bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}

// In a field value: all but control characters; a tab and bytes above 0x7F may be.
constexpr bool is_field_char(char c) noexcept {
  return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != '\x7F');
}

constexpr bool is_field_value(std::string_view text) noexcept {
  bool good = true;
  for (const char c : text) good &= is_field_char(c);  // all of them: without an exit it is done in vectors
  return good;
}

// Calls f(word) for each element of a comma-separated list, without the white space around it; not for empty ones
// (RFC 9110, section 5.6.1).
template <class F>
void for_each_word(std::string_view list, F&& f) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (const std::string_view word = trim(list.substr(0, comma)); !word.empty()) f(word);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

}  // namespace coax::http1
