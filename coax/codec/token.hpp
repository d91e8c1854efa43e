// Tokens of HTTP: the characters of names and values (RFC 9110, sections 5.6.2 and 5.5), and comma-separated lists.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "coax/base/text.hpp"

namespace coax::http1 {

// A set of ASCII characters together with all ASCII letters and digits.
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

// In a field value: any character but control characters; a tab and bytes above 0x7F are allowed.
constexpr bool is_field_char(char c) noexcept {
  return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != '\x7F');
}

// The first character that is below `lowest` (at most '~'), DEL or, with `only_ascii`, above DEL; otherwise the end.
// Scans 16 or 8 bytes at a time: names are short, values and targets are not.
template <char lowest, bool only_ascii>
const char* find_outside(const char* at, const char* end) noexcept {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i below = only_ascii  // signed: bytes above ASCII are negative
                              ? _mm_cmplt_epi8(text, _mm_set1_epi8(lowest))
                              : _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(lowest - 1)), text);
    const int found = _mm_movemask_epi8(_mm_or_si128(below, _mm_cmpeq_epi8(text, _mm_set1_epi8(0x7F))));
    if (found != 0) return at + std::countr_zero(static_cast<unsigned>(found));
  }
#endif
  if constexpr (std::endian::native == std::endian::little) {
    for (; end - at >= 8; at += 8) {
      constexpr std::uint64_t ones = 0x0101010101010101;
      std::uint64_t text = 0;
      std::memcpy(&text, at, 8);
      // The lowest set bit marks the first match; higher ones may be false.
      std::uint64_t found = ((text - ones * lowest) | ((text ^ ones * 0x7F) - ones)) & ~text;
      if (only_ascii) found |= text;
      found &= ones * 0x80;
      if (found != 0) return at + std::countr_zero(found) / 8;
    }
  }
  const auto is_inside = [](unsigned char c) { return c >= lowest && c != 0x7F && !(only_ascii && c > 0x7F); };
  while (at != end && is_inside(static_cast<unsigned char>(*at))) ++at;
  return at;
}

// The first character that is not allowed in a field value, otherwise the end.
inline const char* find_control(const char* at, const char* end) noexcept {
  at = find_outside<' ', false>(at, end);
  while (at != end && *at == '\t') at = find_outside<' ', false>(at + 1, end);
  return at;
}

inline bool is_field_value(std::string_view text) noexcept {
  const char* const end = text.data() + text.size();
  return find_control(text.data(), end) == end;
}

// Calls f(element) for each element of a comma-separated list, without the white space around it; empty ones are
// skipped (RFC 9110, section 5.6.1).
template <class F>
void for_each_word(std::string_view list, F&& f) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (const std::string_view word = trim(list.substr(0, comma)); !word.empty()) f(word);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

}  // namespace coax::http1
