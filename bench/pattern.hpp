// An endless stream of bytes without a period of a power of two, so that lost, duplicated, changed or exchanged bytes
// are noticed.
#pragma once

#include <random>

#include "bench/raw.hpp"

namespace bench {

class Pattern {
 public:
  Pattern() {
    std::mt19937 random(1);
    for (std::size_t at = 0; at < stream_.size(); ++at) {
      stream_[at] = at < period ? static_cast<char>(random()) : stream_[at - period];
    }
  }
  // At most `count` bytes from a position on; at least one.
  [[nodiscard]] std::string_view at(std::uint64_t position, std::uint64_t count) const {
    return {stream_.data() + position % period, std::min<std::size_t>(window, count)};
  }
  // Whether they are those from that position on.
  [[nodiscard]] bool has(std::uint64_t position, std::string_view bytes) const {
    while (!bytes.empty()) {
      const std::string_view expected = at(position, bytes.size());
      if (!bytes.starts_with(expected)) return false;
      position += expected.size();
      bytes.remove_prefix(expected.size());
    }
    return true;
  }

 private:
  static constexpr std::size_t period = 65521;
  static constexpr std::size_t window = 512UL << 10;

  std::vector<char> stream_ = std::vector<char>(period + window);
};

}  // namespace bench
