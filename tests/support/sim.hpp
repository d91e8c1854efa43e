// For suites that run on every back-end (COAX_BACKEND): whether this run is simulated, and skips of tests that cannot
// be.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

namespace coax::test {

inline bool on_sim() {
  const char* const name = std::getenv("COAX_BACKEND");  // NOLINT(concurrency-mt-unsafe): no test sets it
  return name != nullptr && std::string_view(name) == "sim";
}

}  // namespace coax::test

// At the beginning of a test whose other side is a socket of the kernel, or a thread in real time.
#define COAX_NEEDS_KERNEL() \
  if (coax::test::on_sim()) GTEST_SKIP() << "needs sockets, threads or a clock of the kernel"

namespace coax::test {

// The same for all tests of a suite.
class OnKernel : public ::testing::Test {
 protected:
  void SetUp() override { COAX_NEEDS_KERNEL(); }
};

}  // namespace coax::test
