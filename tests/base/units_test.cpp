// Sizes and durations as people write them.
#include "coax/base/units.hpp"

#include <gtest/gtest.h>

namespace units_test {

using namespace std::chrono_literals;
using namespace coax::literals;

TEST(ParseSize, takes_a_number_with_a_binary_unit) {
  EXPECT_EQ(coax::parse_size("0B"), 0);
  EXPECT_EQ(coax::parse_size("512B"), 512);
  EXPECT_EQ(coax::parse_size("64KiB"), 64_KiB);
  EXPECT_EQ(coax::parse_size("1MiB"), 1_MiB);
  EXPECT_EQ(coax::parse_size("2GiB"), 2_GiB);
  EXPECT_EQ(coax::parse_size("18446744073709551615B"), 18446744073709551615U);
  EXPECT_EQ(coax::parse_size("17179869183GiB"), 17179869183U * 1_GiB);
}

TEST(ParseSize, refuses_all_else) {
  for (const char* text : {"", "64", "KiB", "1MB", "1kib", "1 KiB", " 1KiB", "1KiB ", "+1KiB", "-1KiB", "1.5KiB",
                           "1e3B", "0x1B", "18446744073709551616B", "17179869184GiB"}) {
    EXPECT_EQ(coax::parse_size(text), std::nullopt) << text;
  }
}

TEST(ParseDuration, takes_a_number_with_a_unit) {
  EXPECT_EQ(coax::parse_duration("0s"), 0s);
  EXPECT_EQ(coax::parse_duration("250ms"), 250ms);
  EXPECT_EQ(coax::parse_duration("30s"), 30s);
  EXPECT_EQ(coax::parse_duration("5m"), 5min);
  EXPECT_EQ(coax::parse_duration("2h"), 2h);
  EXPECT_EQ(coax::parse_duration("9223372036854ms"), 9223372036854ms);
}

TEST(ParseDuration, refuses_all_else) {
  for (const char* text : {"", "30", "s", "30S", "30 s", "+30s", "-30s", "1d", "1h30m", "1.5s", "9223372036855ms",
                           "9223372037s", "18446744073709551616ms"}) {
    EXPECT_EQ(coax::parse_duration(text), std::nullopt) << text;
  }
}

TEST(FormatSize, takes_the_largest_unit_that_divides) {
  EXPECT_EQ(coax::format_size(0), "0B");
  EXPECT_EQ(coax::format_size(1500), "1500B");
  EXPECT_EQ(coax::format_size(64_KiB), "64KiB");
  EXPECT_EQ(coax::format_size(3_GiB), "3GiB");
}

TEST(FormatDuration, takes_the_largest_unit_that_divides) {
  EXPECT_EQ(coax::format_duration(0s), "0s");
  EXPECT_EQ(coax::format_duration(120us), "120us");
  EXPECT_EQ(coax::format_duration(1ns), "1us");
  EXPECT_EQ(coax::format_duration(30s), "30s");
  EXPECT_EQ(coax::format_duration(1500ms), "1500ms");
  EXPECT_EQ(coax::format_duration(90s), "90s");
  EXPECT_EQ(coax::format_duration(120s), "2m");
  EXPECT_EQ(coax::format_duration(24h), "24h");
  EXPECT_EQ(coax::format_duration(-5s), "-5s");
}

TEST(FormatTime, is_rfc_3339_in_utc) {
  using namespace std::chrono;
  EXPECT_EQ(coax::format_time(system_clock::time_point(milliseconds(1'772'352'930'007))), "2026-03-01T08:15:30.007Z");
  EXPECT_EQ(coax::format_time(system_clock::time_point(milliseconds(-1))), "1969-12-31T23:59:59.999Z");
}

}  // namespace units_test
