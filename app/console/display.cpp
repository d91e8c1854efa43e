// Clusters and widths are utf8proc's (Unicode); a joined sequence has the width of its widest character.
#include "app/console/display.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

#include "app/console/control_sequences.hpp"
#include "coax/base/text.hpp"

namespace coax::app {

namespace {

constexpr int tab_columns = 8;
constexpr utf8proc_int32_t emoji_presentation = 0xFE0F;

// The code point at `at`, which is advanced. Invalid bytes are returned one by one.
utf8proc_int32_t take_code_point(std::string_view text, std::size_t& at) noexcept {
  utf8proc_int32_t code_point = 0;
  const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                       static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
  at += length > 0 ? static_cast<std::size_t>(length) : 1;
  return length > 0 ? code_point : 0xFFFD;
}

std::size_t character_start(std::string_view text, std::size_t at) noexcept {
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80) --at;
  return at;
}

}  // namespace

std::size_t next_cluster(std::string_view text, std::size_t at) noexcept {
  if (at >= text.size()) return text.size();
  utf8proc_int32_t state = 0;
  utf8proc_int32_t before = take_code_point(text, at);
  while (at < text.size()) {
    std::size_t after = at;
    const utf8proc_int32_t code_point = take_code_point(text, after);
    if (utf8proc_grapheme_break_stateful(before, code_point, &state)) break;
    before = code_point;
    at = after;
  }
  return at;
}

// Grapheme clusters can only be found going forward. The scan starts at the last boundary between two ASCII characters,
// which never join, or at most look_back_max bytes before `at`: bounded work for each call.
std::size_t previous_cluster(std::string_view text, std::size_t at) noexcept {
  constexpr std::size_t look_back_max = 512;
  if (at == 0) return 0;
  std::size_t begin = at - 1;
  const std::size_t least = at > look_back_max ? at - look_back_max : 0;
  const auto is_ascii = [text](std::size_t index) { return static_cast<unsigned char>(text[index]) < 0x80; };
  while (begin > least && !(is_ascii(begin) && is_ascii(begin - 1))) --begin;
  if (begin != 0 && begin == least) begin = character_start(text, begin);
  while (true) {
    const std::size_t end = next_cluster(text, begin);
    if (end >= at) return begin;
    begin = end;
  }
}

int columns_of_cluster(std::string_view cluster) noexcept {
  int columns = 0;
  int flags = 0;  // regional indicators: a pair is a flag
  for (std::size_t at = 0; at < cluster.size();) {
    const utf8proc_int32_t code_point = take_code_point(cluster, at);
    flags += static_cast<int>(code_point >= 0x1F1E6 && code_point <= 0x1F1FF);
    columns = std::max(columns, code_point == emoji_presentation && columns > 0 ? 2 : utf8proc_charwidth(code_point));
  }
  return flags == 2 ? 2 : columns;
}

int columns_of(std::string_view text) noexcept {
  int columns = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = next_cluster(text, at);
    columns += columns_of_cluster(text.substr(at, end - at));
    at = end;
  }
  return columns;
}

std::size_t cut_character_bytes(std::string_view text) noexcept {
  for (std::size_t count = 1; count <= std::min<std::size_t>(3, text.size()); ++count) {
    Utf8Check check;
    if (check.feed(text.substr(text.size() - count)) && !check.complete()) return count;
  }
  return 0;
}

PlainLine plain_line(std::string_view line) {
  using Kind = ControlSequences::Token::Kind;
  PlainLine plain;
  ControlSequences sequences(ControlSequences::Source::output);
  sequences.feed(line);
  bool overwrites = false;
  while (const auto token = sequences.next()) {
    if (token->kind == Kind::character && !has_control(token->text)) {
      if (std::exchange(overwrites, false)) plain.text.clear();
      plain.text += token->text;
      continue;
    }
    plain.changed = true;
    if (token->kind == Kind::invalid) plain.text += "\uFFFD";
    if (token->kind == Kind::character) plain.text += ' ';
    if (token->kind != Kind::control) continue;
    if (token->final == '\t')
      plain.text.append(static_cast<std::size_t>(tab_columns - columns_of(plain.text) % tab_columns), ' ');
    if (token->final == '\b') plain.text.erase(previous_cluster(plain.text, plain.text.size()));
    if (token->final == '\r') overwrites = true;
  }
  plain.changed = plain.changed || sequences.is_incomplete();
  return plain;
}

std::vector<std::string> split_text(std::string_view text, std::size_t bytes_max) {
  std::vector<std::string> parts;
  while (text.size() > bytes_max) {
    std::size_t end = 0;
    while (true) {
      const std::size_t next = next_cluster(text, end);
      if (next > bytes_max) break;
      end = next;
    }
    if (end == 0) end = character_start(text, bytes_max);
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  parts.emplace_back(text);
  return parts;
}

Layout lay_out(std::string_view text, std::size_t at, int columns) {
  Layout layout;
  layout.rows.emplace_back();
  int column = 0;
  const auto break_row = [&] {
    layout.rows.emplace_back();
    column = 0;
  };
  const auto place_cursor = [&] {
    layout.cursor_row = layout.rows.size() - 1;
    layout.cursor_column = column;
  };
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = next_cluster(text, begin);
    const std::string_view cluster = text.substr(begin, end - begin);
    const bool is_line_end = cluster == "\n";
    const int width = is_line_end ? 0 : columns_of_cluster(cluster);
    if (!is_line_end && column + width > columns) break_row();
    if (begin == at) place_cursor();
    if (is_line_end) {
      break_row();
    } else {
      layout.rows.back() += cluster;
      column += width;
    }
    begin = end;
  }
  if (column >= columns) break_row();
  if (at >= text.size()) place_cursor();
  return layout;
}

}  // namespace coax::app
