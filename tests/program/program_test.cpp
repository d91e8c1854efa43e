// The main() of small programs: invalid arguments, and errors.
#include "coax/program/program.hpp"

#include <gtest/gtest.h>

#include "coax/base/error.hpp"
#include "coax/task/scope.hpp"
#include "tests/support/captured.hpp"

namespace program_test {

using namespace coax;

namespace {

struct Outcome {
  int code;
  std::string out;
  std::string err;
  friend bool operator==(const Outcome&, const Outcome&) = default;
  friend void PrintTo(const Outcome& outcome, std::ostream* to) {
    *to << outcome.code << " | " << outcome.out << " | " << outcome.err;
  }
};

template <class Body>
Outcome outcome(std::vector<const char*> words, std::string_view usage, Body body) {
  words.insert(words.begin(), "/usr/bin/small");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = program(static_cast<int>(words.size()), const_cast<char**>(words.data()), usage, body);
  return {code, testing::internal::GetCapturedStdout(), test::captured_stderr()};
}

// Prints the address to connect to, and the text to send.
void say(const Arguments& given) { print_line("{} {}", given.address(), given.get("TEXT", "hello")); }

constexpr std::string_view usage = "HOST PORT [TEXT]";
const std::string usage_line = "usage: small HOST PORT [TEXT]\n";

}  // namespace

TEST(Program, gives_its_words_by_their_names) {
  EXPECT_EQ(outcome({"here", "80"}, usage, say), (Outcome{0, "here:80 hello\n", ""}));
  EXPECT_EQ(outcome({"::1", "80", ""}, usage, say), (Outcome{0, "[::1]:80 \n", ""}));
  EXPECT_EQ(outcome({"[::1]", "80", "x"}, usage, say), (Outcome{0, "[::1]:80 x\n", ""}));
  EXPECT_EQ(outcome({"80"}, "PORT [HOST]", [](const Arguments& given) { print_line("{}", given.address()); }),
            (Outcome{0, "127.0.0.1:80\n", ""}));
  EXPECT_EQ(outcome({}, "", [](const Arguments& given) { print_line("{}", given["PORT"]); }),
            (Outcome{1, "", "small: read the word PORT: the usage does not name it\n"}));
}

TEST(Program, a_place_without_a_host_is_on_this_machine) {
  const auto where = [](const Arguments& given) { print_line("{}", given.address()); };
  EXPECT_EQ(outcome({"80"}, "PORT", where), (Outcome{0, "127.0.0.1:80\n", ""}));
  EXPECT_EQ(outcome({"80", ""}, "PORT [HOST]", where), (Outcome{0, "127.0.0.1:80\n", ""}));
  EXPECT_EQ(outcome({"", "80"}, "HOST PORT", where), (Outcome{0, "127.0.0.1:80\n", ""}));
}

TEST(Program, a_place_without_a_port_is_wrong_usage) {
  const auto where = [](const Arguments& given) { print_line("{}", given.address()); };
  EXPECT_EQ(outcome({"here"}, "HOST [PORT]", where),
            (Outcome{2, "", "small: PORT is missing\nusage: small HOST [PORT]\n"}));
}

TEST(Program, reads_sizes_and_times_with_their_units) {
  const auto tell = [](const Arguments& given) {
    print_line("{} {}", given.size("SIZE", 7), format_duration(given.duration("TIME", std::chrono::seconds(8))));
  };
  EXPECT_EQ(outcome({}, "[SIZE] [TIME]", tell), (Outcome{0, "7 8s\n", ""}));
  EXPECT_EQ(outcome({"2KiB", "3m"}, "[SIZE] [TIME]", tell), (Outcome{0, "2048 3m\n", ""}));
  const std::string used = "usage: small [SIZE] [TIME]\n";
  EXPECT_EQ(outcome({"2"}, "[SIZE] [TIME]", tell),
            (Outcome{2, "", "small: SIZE: '2' is not a size such as 64KiB\n" + used}));
  EXPECT_EQ(outcome({"2B", "3"}, "[SIZE] [TIME]", tell),
            (Outcome{2, "", "small: TIME: '3' is not a time such as 30s\n" + used}));
}

TEST(Program, with_invalid_arguments_prints_the_reason_and_its_usage) {
  EXPECT_EQ(outcome({"here"}, usage, say), (Outcome{2, "", "small: PORT is missing\n" + usage_line}));
  EXPECT_EQ(outcome({"a", "1", "b", "c\n"}, usage, say),
            (Outcome{2, "", "small: 'c\\x0A' is one argument too many\n" + usage_line}));
  for (const std::string port : {"", "x", "-1", "+1", "1x", "65536", " 1"}) {
    EXPECT_EQ(outcome({"here", port.c_str()}, usage, say),
              (Outcome{2, "", "small: PORT: '" + port + "' is not a number from 0 to 65535\n" + usage_line}));
  }
  const auto refuse = [](const Arguments&) -> Task<> { throw UsageError("TEXT: it rhymes"); };
  EXPECT_EQ(outcome({"a", "1"}, usage, refuse), (Outcome{2, "", "small: TEXT: it rhymes\n" + usage_line}));
  EXPECT_EQ(outcome({"--help"}, usage, say), (Outcome{0, usage_line, ""}));
  EXPECT_EQ(outcome({"-h"}, "", say), (Outcome{0, "usage: small\n", ""}));
}

TEST(Program, tells_an_error_after_its_name_and_ends_with_1) {
  const Outcome told{1, "", "small: connect to x:1: Connection refused\n"};
  EXPECT_EQ(outcome({}, "", [](const Arguments&) { throw Error(ECONNREFUSED, "connect to", "x:1"); }), told);
  EXPECT_EQ(outcome({}, "", [](const Arguments&) -> int { throw Error(ECONNREFUSED, "connect to", "x:1"); }), told);
  const auto task = [](const Arguments&) -> Task<> {
    co_await sleep(Duration::zero());
    throw Error(ECONNREFUSED, "connect to", "x:1");
  };
  EXPECT_EQ(outcome({}, "", task), told);
}

TEST(Program, prints_a_cancelled_that_leaves_its_body) {
  EXPECT_EQ(outcome({}, "", [](const Arguments&) { throw Cancelled(); }), (Outcome{1, "", "small: cancelled\n"}));
}

TEST(Program, ends_with_what_its_body_returns_and_with_0_after_a_task) {
  EXPECT_EQ(outcome({}, "", [](const Arguments&) { return 7; }), (Outcome{7, "", ""}));
  const auto task = [](const Arguments&) -> Task<> {
    co_await sleep(Duration::zero());
    print_line("done");
  };
  EXPECT_EQ(outcome({}, "", task), (Outcome{0, "done\n", ""}));
}

TEST(Program, continues_after_a_failed_attempt) {
  testing::internal::CaptureStderr();
  EXPECT_FALSE(attempt([] { throw Error(ECONNREFUSED, "send to", "x:1"); }));
  EXPECT_TRUE(attempt([] {}));
  EXPECT_THROW(attempt([] { throw Cancelled(); }), Cancelled);
  int steps = 0;
  const auto three = [&] {
    if (++steps == 3) throw Cancelled();
    throw Error(ECONNREFUSED, "send to", "x:1");
  };
  EXPECT_THROW(forever(three), Cancelled);
  EXPECT_EQ(steps, 3);
  EXPECT_TRUE(test::captured_stderr().ends_with(": send to x:1: Connection refused\n"));
}

}  // namespace program_test
