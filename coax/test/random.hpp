// Random numbers for tests. The seed is printed, so that a failure can be repeated: COAX_SEED=N.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

#include "coax/base/compiler.hpp"

namespace coax::test {

class Random {
 public:
  Random() : seed_(choose_seed()), engine_(seed_) { fmt::print("COAX_SEED={}\n", seed_); }

  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
  // From 0 to count - 1.
  std::size_t below(std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(engine_); }
  std::size_t between(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(engine_);
  }
  bool one_in(std::size_t count) { return below(count) == 0; }
  std::string bytes(std::size_t count) {
    std::string result(count, '\0');
    for (char& byte : result) byte = static_cast<char>(engine_());
    return result;
  }

 private:
  static std::uint64_t choose_seed() {
    const char* given = std::getenv("COAX_SEED");  // NOLINT(concurrency-mt-unsafe): no thread sets it
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  }
  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace coax::test
