// A session of lines, counted bytes, delimiters and frames one after the other, as a peer sends it and as a reader must
// return it, however it is split: for Reader and SocketReader.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "coax/test/random.hpp"

namespace coax::test {

struct SessionItem {
  // frame: with a 16-bit length prefix, through a decoder. own_frame: the same through frames over the reader.
  // decoded_line: through a decoder, own_line: through lines over the reader, own_json: through messages over it.
  enum class Kind { line, counted, until, some, frame, own_frame, decoded_line, own_line, own_json };
  Kind kind;
  std::string value;
};

inline std::string encode(const std::vector<SessionItem>& session) {
  std::string text;
  for (const auto& [kind, value] : session) {
    switch (kind) {
      case SessionItem::Kind::line:
      case SessionItem::Kind::own_line:
      case SessionItem::Kind::decoded_line: text += value + "\r\n"; break;
      case SessionItem::Kind::own_json: text += value + "\n"; break;
      case SessionItem::Kind::until: text += value + "--end"; break;
      case SessionItem::Kind::counted:
      case SessionItem::Kind::some: text += value; break;
      case SessionItem::Kind::frame:
      case SessionItem::Kind::own_frame:
        text += {static_cast<char>(value.size() >> 8), static_cast<char>(value.size())};
        text += value;
        break;
    }
  }
  return text;
}

// Each relevant pair of kinds, with values that look like the ends of others.
inline std::vector<SessionItem> short_session() {
  using enum SessionItem::Kind;
  return {{line, "*2"},         {counted, "he\nlo"},
          {line, ""},           {frame, "abc"},
          {counted, "--"},      {frame, ""},
          {line, "a line"},     {decoded_line, "b"},
          {frame, "--end\r\n"}, {until, "head\r\n-"},
          {decoded_line, ""},   {own_frame, "d"},
          {own_frame, "\n"},    {counted, std::string("\0\1x", 3)},
          {own_line, "lines"},  {own_json, "[1,2]"},
          {until, ""},          {own_line, "-"},
          {frame, "e"},         {own_json, "{}"},
          {line, "tail"},       {some, "anything"}};
}

inline std::vector<SessionItem> random_session(Random& random) {
  std::vector<SessionItem> session;
  for (std::size_t count = 1 + random.below(60); count != 0; --count) {
    const auto kind = static_cast<SessionItem::Kind>(random.below(9));
    if (kind == SessionItem::Kind::some) continue;
    const std::size_t size = random.below(random.one_in(8) ? 40'000 : 40);
    const bool is_json = kind == SessionItem::Kind::own_json;
    session.push_back({kind, is_json ? fmt::format("\"{}\"", std::string(size, 'j')) : std::string(size, 'x')});
  }
  return session;
}

inline std::vector<std::string> cut_at(std::string_view text, std::size_t at) {
  return {std::string(text.substr(0, at)), std::string(text.substr(at))};
}
inline std::vector<std::string> byte_by_byte(std::string_view text) {
  std::vector<std::string> pieces;
  for (const char byte : text) pieces.emplace_back(1, byte);
  return pieces;
}
inline std::vector<std::string> random_pieces(Random& random, std::string_view text) {
  std::vector<std::string> pieces;
  const std::size_t piece_max = random.one_in(2) ? 20'000 : 20;
  while (!text.empty()) {
    pieces.emplace_back(text.substr(0, 1 + random.below(piece_max)));
    text.remove_prefix(pieces.back().size());
  }
  return pieces;
}

}  // namespace coax::test
