// Text as a terminal shows it: grapheme clusters (UAX 29), which are the characters that a reader perceives, and their
// columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace coax::app {

// For valid UTF-8. The end of the cluster that begins at `at`, and the beginning of the one that ends at `at`.
std::size_t next_cluster(std::string_view text, std::size_t at) noexcept;
std::size_t previous_cluster(std::string_view text, std::size_t at) noexcept;
// 0 for marks alone, 2 for wide characters and emoji (also joined ones), otherwise 1.
int columns_of_cluster(std::string_view cluster) noexcept;
// For text without line ends.
int columns_of(std::string_view text) noexcept;

// How many bytes at the end of the text are the start of an incomplete UTF-8 character: 0 to 3.
std::size_t cut_character_bytes(std::string_view text) noexcept;

// A line that a program wrote for a terminal, as text without controls.
struct PlainLine {
  std::string text;
  bool changed = false;  // tabs were expanded, sequences dropped, or bytes that are not UTF-8 became U+FFFD
};
// Text that a CR or backspaces overwrite is replaced.
PlainLine plain_line(std::string_view line);

// Parts of at most bytes_max, split between clusters; a larger cluster is split between characters.
std::vector<std::string> split_text(std::string_view text, std::size_t bytes_max);

// The rows of a text, broken at the column and at line ends, and the position of a cursor at byte `at` of it.
struct Layout {
  std::vector<std::string> rows;
  std::size_t cursor_row = 0;
  int cursor_column = 0;
};
Layout lay_out(std::string_view text, std::size_t at, int columns);

}  // namespace coax::app
