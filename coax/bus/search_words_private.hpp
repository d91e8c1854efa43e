// The words that search() looks for, for the implementations of the bus.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coax::detail {

struct SearchWord {
  std::string text;        // its case is folded
  bool is_prefix = false;  // longer words that begin with it are found, too

  friend bool operator==(const SearchWord&, const SearchWord&) = default;
};

// The words of a text, as search() compares them.
std::vector<std::string> words_of(std::string_view text);
// Different ones, and no more than a search may cost: see Subject::search().
std::vector<SearchWord> search_words(std::string_view words);

}  // namespace coax::detail
