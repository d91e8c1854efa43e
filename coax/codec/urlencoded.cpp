// One pass over the text, and one allocation for each name and value.
#include "coax/codec/urlencoded.hpp"

#include <algorithm>

#include "coax/base/text.hpp"

namespace coax::http {

namespace {

// The value of a hexadecimal digit, 16 when it is none.
unsigned digit_of(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
}

std::string decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = text[at] == '%' ? decode_percent(text.substr(at)) : std::nullopt;
    if (byte) at += 2;
    out.push_back(byte.value_or(text[at] == '+' && plus_is_space ? ' ' : text[at]));
  }
  return out;
}

std::string decode_form(std::string_view text) {
  std::string decoded = decode(text, true);
  return is_utf8(decoded) ? decoded : valid_utf8(decoded);
}

}  // namespace

std::optional<char> decode_percent(std::string_view text) noexcept {
  if (text.size() < 3 || text[0] != '%') return std::nullopt;
  const unsigned high = digit_of(text[1]);
  const unsigned low = digit_of(text[2]);
  if (high > 15 || low > 15) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

std::string percent_decode(std::string_view text) { return decode(text, false); }

std::optional<std::vector<std::pair<std::string, std::string>>> parse_urlencoded(std::string_view text,
                                                                                 std::size_t fields_max) {
  std::vector<std::pair<std::string, std::string>> fields;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    if (part.empty()) continue;
    if (fields.size() == fields_max) return std::nullopt;
    const std::size_t equals = std::min(part.find('='), part.size());
    fields.emplace_back(decode_form(part.substr(0, equals)),
                        decode_form(part.substr(std::min(equals + 1, part.size()))));
  }
  return fields;
}

}  // namespace coax::http
