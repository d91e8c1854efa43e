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

std::string decode_form(std::string_view text) {
  std::string spaced(text);
  std::ranges::replace(spaced, '+', ' ');
  return valid_utf8(percent_decode(spaced));
}

}  // namespace

std::optional<char> decode_percent(std::string_view text) noexcept {
  if (text.size() < 3 || text[0] != '%') return std::nullopt;
  const unsigned high = digit_of(text[1]);
  const unsigned low = digit_of(text[2]);
  if (high > 15 || low > 15) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

std::string percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::string_view plain = text.substr(0, text.find('%'));
    out.append(plain);
    text.remove_prefix(plain.size());
    if (text.empty()) break;
    const auto byte = decode_percent(text);
    out.push_back(byte.value_or('%'));
    text.remove_prefix(byte ? 3 : 1);
  }
  return out;
}

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
