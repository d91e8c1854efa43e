// Invariant: a search by sixteen or eight bytes at a time finds the same as one byte by byte, at every alignment of the
// text; the words of a list are trimmed and none is empty.
#include "coax/codec/token.hpp"

#include "fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using coax::fuzz::require;
  if (size == 0) return 0;
  const std::vector<char> block = coax::fuzz::cut(coax::fuzz::text_of(data, size), size)[0];
  const std::string_view text(block.data(), block.size());
  for (std::size_t at = 0; at < std::min<std::size_t>(size, 17); ++at) {
    const std::string_view part = text.substr(at);
    const char* const end = part.data() + part.size();
    const auto first = [&](auto&& is_outside) { return std::ranges::find_if(part, is_outside) - part.begin(); };
    using coax::http1::find_outside;
    require(find_outside<' ', false>(part.data(), end) - part.data() ==
            first([](unsigned char c) { return c < ' ' || c == 0x7F; }));
    require(find_outside<'!', true>(part.data(), end) - part.data() ==
            first([](unsigned char c) { return c < '!' || c >= 0x7F; }));
    require(coax::http1::is_field_value(part) == std::ranges::all_of(part, coax::http1::is_field_char));
  }
  coax::http1::for_each_word(
      text, [&](std::string_view word) { require(!word.empty() && !word.contains(',') && coax::trim(word) == word); });
  return 0;
}
