// The output of a codec must not depend on how the input was split into segments.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace coax::test {

// Each piece is an allocation of its own, so that a sanitizer reports an access beyond its end.
using Pieces = std::vector<std::vector<char>>;

// The seed of this run: --gtest_random_seed=N repeats it.
inline unsigned seed() {
  static const unsigned value = [] {
    const auto given = static_cast<unsigned>(GTEST_FLAG_GET(random_seed));
    return given != 0 ? given : std::random_device{}() % 99999 + 1;
  }();
  return value;
}

template <class NextSize>
Pieces cut(std::string_view input, NextSize next_size) {
  Pieces pieces;
  while (!input.empty()) {
    const std::string_view piece = input.substr(0, next_size());
    pieces.emplace_back(piece.begin(), piece.end());
    input.remove_prefix(piece.size());
  }
  return pieces;
}

// Calls decode(pieces) with the input whole, byte by byte, and in random pieces; returns the common result.
template <class Decode>
auto however_it_is_cut(std::string_view input, Decode decode) {
  const auto whole = decode(cut(input, [&] { return input.size(); }));
  EXPECT_EQ(decode(cut(input, [] { return std::size_t{1}; })), whole) << "byte by byte";
  std::mt19937 random(seed());
  for (int round = 0; round < 8; ++round) {
    std::geometric_distribution<std::size_t> size(round % 2 == 0 ? 0.3 : 0.03);
    EXPECT_EQ(decode(cut(input, [&] { return size(random) + 1; })), whole) << "--gtest_random_seed=" << seed();
  }
  return whole;
}

// Bytes allocated by operator new and not yet deleted.
std::size_t allocated_bytes();

}  // namespace coax::test
