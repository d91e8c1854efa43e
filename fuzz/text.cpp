// Invariant: UTF-8 is validated with the same result at once, byte by byte, and by utf8proc; printable text has no
// control characters; case folding is idempotent.
#include "coax/base/text.hpp"

#include <utf8proc.h>

#include "fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using coax::fuzz::require;
  const std::string_view input = coax::fuzz::text_of(data, size);
  coax::fuzz::require_same_however_cut(input, [](const coax::fuzz::Pieces& pieces) {
    coax::Utf8Check check;
    bool good = true;
    for (const auto& piece : pieces) good = check.feed(std::span(piece));
    return good && check.complete();
  });
  std::size_t characters = 0;
  bool valid = true;
  for (std::size_t at = 0; at < size && valid; ++characters) {
    utf8proc_int32_t code = 0;
    const auto length = utf8proc_iterate(data + at, static_cast<utf8proc_ssize_t>(size - at), &code);
    valid = length > 0;
    at += valid ? static_cast<std::size_t>(length) : 0;
  }
  require(coax::is_utf8(input) == valid);
  const std::string shown = coax::printable(input, size);
  require(coax::is_utf8(shown) && !coax::has_control(shown));
  if (!valid) return 0;
  require(coax::count_characters(input) == characters);
  require(coax::has_control(input) == (shown != input));
  const std::string folded = coax::fold_case(input);
  require(coax::is_utf8(folded) && coax::fold_case(folded) == folded);
  return 0;
}
