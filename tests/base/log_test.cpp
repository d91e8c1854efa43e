// The log: one line for each record, whatever it contains, and no call that waits for a reader.
#include "coax/base/log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "coax/base/error.hpp"

namespace log_test {

using namespace std::chrono_literals;
namespace log_ = coax::log;

#ifndef __has_feature  // GCC
#define __has_feature(feature) 0
#endif

namespace {

constexpr bool has_address_sanitizer = __has_feature(address_sanitizer);
constexpr bool has_thread_sanitizer = __has_feature(thread_sanitizer);

struct Seen {
  log_::Level level;
  std::string text;
};

class LogSink : public ::testing::Test {
 protected:
  void SetUp() override {
    log_::set_level(log_::Level::debug);
    log_::set_sink([this](const log_::Record& record) { seen.push_back({record.level, std::string(record.text)}); });
  }
  void TearDown() override {
    log_::set_sink({});
    log_::set_level(log_::Level::info);
  }
  std::vector<Seen> seen;
};

// Standard error is a pipe that is read by the test only.
class LogPipe : public ::testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reading = ends[0];
    before = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[1]);
  }
  void TearDown() override {
    log_::set_format(log_::Format::text);
    end_writing();
    ::close(reading);
  }

  void end_writing() {
    if (before < 0) return;
    ::dup2(before, STDERR_FILENO);
    ::close(before);
    before = -1;
  }

  // The output so far, once all is written; a full pipe is read in the meantime.
  std::string read_all() {
    std::string text;
    std::thread reader([&] {
      std::array<char, 65536> piece{};
      while (true) {
        const auto count = ::read(reading, piece.data(), piece.size());
        if (count <= 0) return;
        text.append(piece.data(), static_cast<std::size_t>(count));
      }
    });
    EXPECT_TRUE(log_::flush(60s));
    end_writing();
    reader.join();
    return text;
  }

  int reading = -1;
  int before = -1;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(text.substr(begin, end - begin));
    begin = end == std::string::npos ? text.size() : end + 1;
  }
  return lines;
}

}  // namespace

TEST_F(LogSink, receives_level_and_text) {
  log_::warning("{} left", "alice");
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].level, log_::Level::warning);
  EXPECT_EQ(seen[0].text, "alice left");
}

TEST_F(LogSink, text_has_controls_escaped) {
  log_::info("{} joined from {}", "a\nb", "@\x1B[31mred\r\x7F");
  log_::info("\u0085 \u2028 \u202E \u2066 {} {}", std::string("\0", 1), "\xFF");
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].text, "a\\x0Ab joined from @\\x1B[31mred\\x0D\\x7F");
  EXPECT_EQ(seen[1].text, "\\xC2\\x85 \\xE2\\x80\\xA8 \\xE2\\x80\\xAE \\xE2\\x81\\xA6 \\x00 \\xFF");
}

TEST_F(LogSink, text_of_an_error_is_escaped_once) {
  log_::info("{}", coax::Error(coax::ErrorKind::invalid, "read", "a\x1B", "b").what());
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].text, "read a\\x1B: b");
}

TEST_F(LogSink, text_has_at_most_1000_characters) {
  log_::info("{}", std::string(100'000, 'x'));
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].text, std::string(1000, 'x') + "…");
}

TEST_F(LogSink, records_below_the_level_are_not_made) {
  log_::set_level(log_::Level::error);
  log_::warning("no");
  log_::error("yes");
  log_::set_level(log_::Level::off);
  log_::error("no");
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].text, "yes");
}

TEST_F(LogSink, that_logs_or_throws_harms_nothing) {
  int calls = 0;
  log_::set_sink([&](const log_::Record&) {
    ++calls;
    log_::info("inner");
    throw std::runtime_error("full");
  });
  log_::info("one");
  log_::info("two");
  EXPECT_EQ(calls, 2);
}

TEST_F(LogPipe, line_has_time_level_text) {
  log_::info("hello");
  const std::string text = read_all();
  ASSERT_EQ(text.size(), std::string("2026-03-01T08:15:30.123Z info hello\n").size()) << text;
  EXPECT_EQ(text.substr(10, 1), "T");
  EXPECT_EQ(text.substr(23), "Z info hello\n");
}

TEST_F(LogPipe, json_line_is_an_object) {
  log_::set_format(log_::Format::json);
  log_::error("a \"b\" \\ \x1B");
  const std::string text = read_all();
  EXPECT_EQ(text.substr(0, 9), "{\"time\":\"");
  EXPECT_EQ(text.substr(33), R"(","level":"error","message":"a \"b\" \\ \\x1B"})"
                             "\n");
}

TEST_F(LogPipe, printed_errors_keep_their_place) {
  log_::info("one");
  coax::print_error("two\n\x1B");
  log_::info("three");
  const auto lines = lines_of(read_all());
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].substr(25), "info one");
  EXPECT_EQ(lines[1], "two\\x0A\\x1B");
  EXPECT_EQ(lines[2].substr(25), "info three");
}

// Each call would block without an end: the pipe is read only after the last call has returned.
TEST_F(LogPipe, that_is_not_read_blocks_no_writer_and_counts) {
  constexpr int count = 50'000;
  const std::string filler(100, 'x');
  for (int number = 0; number < count; ++number) log_::info("{} {}", number, filler);
  EXPECT_FALSE(log_::flush(1ms));
  const auto lines = lines_of(read_all());
  int next = 0;
  int lost = 0;
  int gaps = 0;
  for (const std::string& line : lines) {
    const std::size_t gap = line.find(" lines are missing here: standard error did not take them");
    if (gap != std::string::npos) {
      lost += std::stoi(line.substr(33, gap - 33));
      ++gaps;
    } else {
      EXPECT_EQ(std::stoi(line.substr(30)), next + lost) << line;
      ++next;
    }
  }
  EXPECT_EQ(next + lost, count);
  EXPECT_EQ(gaps, 1);
  EXPECT_GT(next, 5000);   // 1 MiB of them
  EXPECT_LT(next, 10000);  // and no more
}

TEST_F(LogPipe, of_several_threads_has_whole_lines) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([] {
      for (int number = 0; number < 500; ++number) log_::info("{:0>60}", number);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto lines = lines_of(read_all());
  EXPECT_EQ(lines.size(), 2000U);
  for (const std::string& line : lines) EXPECT_EQ(line.size(), 30U + 60U) << line;
}

TEST_F(LogPipe, continues_in_the_child_of_a_fork) {
  if (has_thread_sanitizer) GTEST_SKIP() << "ThreadSanitizer lets the child of a process with threads start none";
  log_::info("parent");
  const ::pid_t child = ::fork();
  if (child == 0) {
    log_::info("child");
    ::_exit(log_::flush(60s) ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  // The parent's thread may write its line after the child's.
  auto lines = lines_of(read_all());
  ASSERT_EQ(lines.size(), 2U);
  for (std::string& line : lines) line.erase(0, 25);
  std::ranges::sort(lines);
  EXPECT_EQ(lines, (std::vector<std::string>{"info child", "info parent"}));
}

// In a child of its own, whose standard error is a full pipe: exit() must not wait for a reader.
TEST_F(LogPipe, that_is_not_read_lets_the_process_exit) {
  if (has_thread_sanitizer) GTEST_SKIP() << "ThreadSanitizer lets the child of a process with threads start none";
  if (has_address_sanitizer) {
    GTEST_SKIP()
        << "LeakSanitizer takes what the parent's threads hold for leaks of the child, and says so in that pipe";
  }
  const ::pid_t child = ::fork();
  if (child == 0) {
    for (int number = 0; number < 2000; ++number) log_::info("{:0>100}", number);
    std::exit(7);  // NOLINT(concurrency-mt-unsafe): its handlers are what is tested
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(Log, names_are_read_back) {
  EXPECT_EQ(log_::parse_level("debug"), log_::Level::debug);
  EXPECT_EQ(log_::parse_level("warning"), log_::Level::warning);
  EXPECT_EQ(log_::parse_level("off"), log_::Level::off);
  EXPECT_EQ(log_::parse_level("INFO"), std::nullopt);
  EXPECT_EQ(log_::parse_level(""), std::nullopt);
  EXPECT_EQ(log_::parse_format("json"), log_::Format::json);
  EXPECT_EQ(log_::parse_format("xml"), std::nullopt);
}

TEST(Log, wrong_environment_is_an_error) {
  const auto message_of = [](const char* name, const char* value) -> std::string {
    ::setenv(name, value, 1);
    std::string text = "none";
    try {
      log_::check_environment();
    } catch (const coax::Error& error) {
      text = error.what();
    }
    ::unsetenv(name);
    return text;
  };
  EXPECT_EQ(message_of("COAX_LOG", "verbose"), "COAX_LOG: \"verbose\" is not one of debug, info, warning, error, off");
  EXPECT_EQ(message_of("COAX_LOG", "de\x1B"), "COAX_LOG: \"de\\x1B\" is not one of debug, info, warning, error, off");
  EXPECT_EQ(message_of("COAX_LOG_FORMAT", "xml"), "COAX_LOG_FORMAT: \"xml\" is not one of text, json");
  EXPECT_EQ(message_of("COAX_LOG", "debug"), "none");
  EXPECT_EQ(message_of("COAX_LOG", ""), "none");
}

}  // namespace log_test
