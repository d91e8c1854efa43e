// The output on standard error since CaptureStderr(): the log writes it on a thread.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "coax/base/log.hpp"

namespace coax::test {

inline std::string captured_stderr() {
  EXPECT_TRUE(log::flush(std::chrono::seconds(30)));
  return testing::internal::GetCapturedStderr();
}

}  // namespace coax::test
