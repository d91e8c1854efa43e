// Text as a terminal shows it: grapheme clusters (UAX 29), which a reader takes for one character, and their columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace coax::app {

// Of valid UTF-8. The end of the cluster that begins at `at`, and the beginning of the one that ends at `at`.
std::size_t next_cluster(std::string_view text, std::size_t at) noexcept;
std::size_t previous_cluster(std::string_view text, std::size_t at) noexcept;
// 0 of marks alone, 2 of wide characters and emoji (also joined ones), else 1.
int columns_of_cluster(std::string_view cluster) noexcept;
// Of text without line ends.
int columns_of(std::string_view text) noexcept;

// How many bytes at the end of the text begin a UTF-8 character whose rest is missing: 0 to 3.
std::size_t cut_character_bytes(std::string_view text) noexcept;

// A line that a program wrote for a terminal, as text without controls.
struct PlainLine {
  std::string text;
  bool changed = false;  // tabs became blanks, colours and other sequences went, bytes that are not UTF-8 became U+FFFD
};
// Of what a CR or backspaces overwrite, the last is taken.
PlainLine plain_line(std::string_view line);

// Parts of at most bytes_max, cut between clusters; a cluster above that between characters.
std::vector<std::string> split_text(std::string_view text, std::size_t bytes_max);

// The rows that a text takes, broken at the column and at line ends, and where a cursor at byte `at` of it is.
struct Layout {
  std::vector<std::string> rows;
  std::size_t cursor_row = 0;
  int cursor_column = 0;
};
Layout lay_out(std::string_view text, std::size_t at, int columns);

}  // namespace coax::app
