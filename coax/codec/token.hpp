// The words of HTTP: which characters names and values may have (RFC 9110, section 5.6.2 and 5.5), and lists of words.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

// Eight bytes at a time: each octet that is looked for has its highest bit set in the result. The first one is always
// right; those after it may be set where they should not.
namespace octets {

constexpr std::uint64_t all(std::uint8_t octet) noexcept { return octet * std::uint64_t{0x0101010101010101}; }
constexpr std::uint64_t below(std::uint64_t eight, std::uint8_t limit) noexcept {
  return (eight - all(limit)) & ~eight & all(0x80);
}
constexpr std::uint64_t equal(std::uint64_t eight, std::uint8_t octet) noexcept { return below(eight ^ all(octet), 1); }

// The first octet that is looked for, else the end: in_eight() tells which of eight are, is_one() whether one is.
template <class InEight, class IsOne>
const char* find(const char* at, const char* end, InEight in_eight, IsOne is_one) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    for (; end - at >= 8; at += 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, at, 8);
      if (const std::uint64_t found = in_eight(eight)) return at + std::countr_zero(found) / 8;
    }
  }
  while (at != end && !is_one(*at)) ++at;
  return at;
}

}  // namespace octets

// The first character that may not be in a field value, else the end.
inline const char* find_control(const char* at, const char* end) noexcept {
  const auto in_eight = [](std::uint64_t eight) { return octets::below(eight, ' ') | octets::equal(eight, 0x7F); };
  const auto is_one = [](char c) { return !is_field_char(c) || c == '\t'; };
  at = octets::find(at, end, in_eight, is_one);
  while (at != end && *at == '\t') at = octets::find(at + 1, end, in_eight, is_one);
  return at;
}

inline bool is_field_value(std::string_view text) noexcept {
  const char* const end = text.data() + text.size();
  return find_control(text.data(), end) == end;
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
