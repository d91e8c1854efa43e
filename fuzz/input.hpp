// The common part of the fuzzers: the input as pieces that are fed, and the end of a run by a broken invariant.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace coax::fuzz {

// Each piece is allocated by itself, so that AddressSanitizer detects an access beyond its end.
using Pieces = std::vector<std::vector<char>>;

inline Pieces cut(std::string_view input, std::size_t piece_bytes) {
  Pieces pieces;
  for (; !input.empty(); input.remove_prefix(std::min(piece_bytes, input.size()))) {
    const std::string_view piece = input.substr(0, piece_bytes);
    pieces.emplace_back(piece.begin(), piece.end());
  }
  return pieces;
}

inline void require(bool holds) {
  if (!holds) std::abort();
}

// The result of decode(pieces) must not depend on how the input is split.
template <class Decode>
void require_same_however_cut(std::string_view input, Decode decode) {
  const auto whole = decode(cut(input, input.size()));
  require(decode(cut(input, 1)) == whole);
  require(decode(cut(input, 3)) == whole);
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace coax::fuzz
