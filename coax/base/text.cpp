// UTF-8 is checked by a table-driven automaton, with a short cut for runs of ASCII; case folding is utf8proc's.
#include "coax/base/text.hpp"

#include <fmt/core.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace coax {

namespace {

// What may come next. Each is a shift: a byte's row in the table holds the next state of every state, six bits each, so
// that a step is one shift (a state fits, as the highest is 48).
enum State : std::uint64_t {
  start = 0,      // a character is complete
  wrong = 6,      // for good
  last = 12,      // one continuation byte
  last_two = 18,  // two
  last_three = 24,
  after_e0 = 30,  // A0..BF, then one: else overlong
  after_ed = 36,  // 80..9F, then one: else a surrogate
  after_f0 = 42,  // 90..BF, then two: else overlong
  after_f4 = 48,  // 80..8F, then two: else above U+10FFFF
};

constexpr State from_start(unsigned byte) {
  if (byte <= 0x7F) return start;
  if (byte < 0xC2) return wrong;
  if (byte <= 0xDF) return last;
  if (byte == 0xE0) return after_e0;
  if (byte == 0xED) return after_ed;
  if (byte <= 0xEF) return last_two;
  if (byte == 0xF0) return after_f0;
  if (byte <= 0xF3) return last_three;
  if (byte == 0xF4) return after_f4;
  return wrong;
}

constexpr std::uint64_t row_of(unsigned byte) {
  const auto in = [byte](unsigned low, unsigned high, State next) {
    return byte >= low && byte <= high ? next : wrong;
  };
  std::uint64_t row = 0;
  row |= from_start(byte) << start;
  row |= std::uint64_t{wrong} << wrong;
  row |= in(0x80, 0xBF, start) << last;
  row |= in(0x80, 0xBF, last) << last_two;
  row |= in(0x80, 0xBF, last_two) << last_three;
  row |= in(0xA0, 0xBF, last) << after_e0;
  row |= in(0x80, 0x9F, last) << after_ed;
  row |= in(0x90, 0xBF, last_two) << after_f0;
  row |= in(0x80, 0x8F, last_two) << after_f4;
  return row;
}

constexpr auto rows = [] {
  std::array<std::uint64_t, 256> table{};
  for (unsigned byte = 0; byte < table.size(); ++byte) table[byte] = row_of(byte);
  return table;
}();

constexpr bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// The length of the control that the text starts with, 0 when it starts with none. Any bytes.
std::size_t control_length(std::string_view text) noexcept {
  const auto at = [text](std::size_t index) {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0;
  };
  if (at(0) < 0x20 || at(0) == 0x7F) return 1;
  if (at(0) == 0xC2 && at(1) >= 0x80 && at(1) <= 0x9F) return 2;                   // C1
  if (at(0) == 0xE2 && at(1) == 0x80 && at(2) >= 0xA8 && at(2) <= 0xAE) return 3;  // U+2028..E
  if (at(0) == 0xE2 && at(1) == 0x81 && at(2) >= 0xA6 && at(2) <= 0xA9) return 3;  // U+2066..9
  return 0;
}

// The length of the UTF-8 character that the text starts with, 0 when it starts with none.
std::size_t character_length(std::string_view text) noexcept {
  Utf8Check check;
  for (std::size_t length = 1; length <= std::min<std::size_t>(text.size(), 4); ++length) {
    if (!check.feed(text.substr(length - 1, 1))) return 0;
    if (check.complete()) return length;
  }
  return 0;
}

}  // namespace

bool Utf8Check::feed(BytesView bytes) noexcept {
  const std::uint8_t* byte = bytes.octets();
  const std::uint8_t* const end = byte + bytes.size();
  std::uint64_t state = state_;
  while (byte != end) {
    std::uint64_t eight = 0;
    while (state == start && end - byte >= 8) {
      std::memcpy(&eight, byte, 8);
      if ((eight & 0x8080808080808080) != 0) break;
      byte += 8;
    }
    for (const std::uint8_t* const stop = byte + std::min<std::ptrdiff_t>(end - byte, 16); byte != stop; ++byte) {
      state = rows[*byte] >> state & 63;
    }
  }
  state_ = static_cast<std::uint8_t>(state);
  return state != wrong;
}

bool is_utf8(BytesView bytes) noexcept {
  Utf8Check check;
  return check.feed(bytes) && check.complete();
}

std::size_t count_characters(std::string_view utf8) noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(utf8, [](char byte) { return !is_continuation(byte); }));
}

std::size_t find_control(std::string_view utf8) noexcept {
  for (std::size_t index = 0; index < utf8.size(); ++index) {
    if (control_length(utf8.substr(index)) != 0) return index;
  }
  return utf8.size();
}

bool has_control(std::string_view utf8) noexcept { return find_control(utf8) != utf8.size(); }

std::string fold_case(std::string_view utf8) {
  constexpr auto folding = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
                                                          UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
  utf8proc_uint8_t* folded = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
                                 static_cast<utf8proc_ssize_t>(utf8.size()), &folded, folding);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(folded, &std::free);
  if (size == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  if (size < 0) return std::string(utf8);  // not UTF-8, which the caller promised it is
  return {reinterpret_cast<const char*>(folded), static_cast<std::size_t>(size)};
}

std::string printable(BytesView bytes, std::size_t characters_max) {
  std::string out;
  std::string_view rest = bytes;
  for (std::size_t count = 0; !rest.empty(); ++count) {
    if (count == characters_max) return out + "…";
    const std::size_t length = character_length(rest);
    if (length != 0 && control_length(rest) == 0) {
      out.append(rest.substr(0, length));
    } else {
      for (const char byte : rest.substr(0, std::max<std::size_t>(length, 1))) {
        out += fmt::format("\\x{:02X}", static_cast<unsigned char>(byte));
      }
    }
    rest.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string valid_utf8(BytesView bytes) {
  if (is_utf8(bytes)) return bytes.string();
  std::string out;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    Utf8Check check;
    std::size_t length = 0;  // of a character, or of the start of one
    while (length < rest.size() && check.feed(rest.substr(length, 1))) {
      ++length;
      if (check.complete()) break;
    }
    const bool is_character = length != 0 && check.complete();
    length = std::max<std::size_t>(length, 1);
    out.append(is_character ? rest.substr(0, length) : "\xEF\xBF\xBD");
    rest.remove_prefix(length);
  }
  return out;
}

std::string_view first_characters(std::string_view utf8, std::size_t bytes_max) noexcept {
  if (utf8.size() <= bytes_max) return utf8;
  const auto is_continuation = [&](std::size_t at) { return (static_cast<unsigned char>(utf8[at]) & 0xC0U) == 0x80U; };
  while (bytes_max != 0 && is_continuation(bytes_max)) --bytes_max;
  return utf8.substr(0, bytes_max);
}

std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view space = " \t\r\n";
  const std::size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::ranges::equal(left, right, {}, lower, lower);
}

}  // namespace coax
