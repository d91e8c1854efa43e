// The words of a text, and of a search.
#include <algorithm>
#include <cstddef>

#include "coax/base/text.hpp"
#include "coax/bus/search_words_private.hpp"

namespace coax::detail {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  const std::string folded = fold_case(valid_utf8(text));
  std::size_t at = 0;
  const auto is_part = [](char c) {
    return static_cast<unsigned char>(c) >= 0x80 || is_digit(c) || (c >= 'a' && c <= 'z');
  };
  while (at < folded.size()) {
    while (at < folded.size() && !is_part(folded[at])) ++at;
    const std::size_t begin = at;
    while (at < folded.size() && is_part(folded[at])) ++at;
    if (at > begin) words.push_back(folded.substr(begin, at - begin));
  }
  return words;
}

std::vector<SearchWord> search_words(std::string_view words) {
  constexpr std::size_t words_max = 16;
  constexpr std::size_t prefix_bytes_min = 3;  // a letter or two begin too many words; a character of Chinese is enough
  std::vector<SearchWord> found;
  for (std::string& text : words_of(words)) {
    if (found.size() == words_max) break;
    SearchWord word{.text = std::move(text), .is_prefix = false};
    word.is_prefix = word.text.size() >= prefix_bytes_min;
    if (std::ranges::find(found, word) == found.end()) found.push_back(std::move(word));
  }
  return found;
}

}  // namespace coax::detail
