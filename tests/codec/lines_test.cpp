// Lines: bytes in, lines out.
#include "coax/codec/lines.hpp"

#include <gtest/gtest.h>

#include "tests/codec/pieces.hpp"

namespace lines_test {

using coax::LineDecoder;
using coax::LineEvent;
using Events = std::vector<std::string>;

namespace {

std::string text_of(const LineEvent& event) {
  return event.kind == LineEvent::Kind::too_long ? "(too long)" : event.bytes.string();
}

// All lines, then "rest: " and the rest.
Events lines_of(std::string_view input, std::size_t line_bytes_max = 8) {
  return coax::test::however_it_is_cut(input, [&](coax::test::Pieces pieces) {
    LineDecoder lines(line_bytes_max);
    Events events;
    for (auto& piece : pieces) {
      lines.feed(std::span(piece));
      while (const auto event = lines.next()) events.push_back(text_of(*event));
      std::vector<char>().swap(piece);  // the fed bytes are released
    }
    if (const auto rest = lines.rest()) events.push_back("rest: " + text_of(*rest));
    return events;
  });
}

}  // namespace

TEST(Lines, end_with_lf_or_crlf) {
  EXPECT_EQ(lines_of("a\nbc\r\ndef\n"), (Events{"a", "bc", "def"}));
  EXPECT_EQ(lines_of("\n\r\n\n"), (Events{"", "", ""}));
  EXPECT_EQ(lines_of(""), Events{});
}

TEST(Lines, keep_a_cr_that_no_lf_follows) {
  EXPECT_EQ(lines_of("a\rb\n"), (Events{"a\rb"}));
  EXPECT_EQ(lines_of("a\r\r\n"), (Events{"a\r"}));
  EXPECT_EQ(lines_of("\ra\n\r"), (Events{"\ra", "rest: \r"}));
}

TEST(Lines, carry_any_byte) {
  EXPECT_EQ(lines_of(std::string_view("\0\xFF\n\0", 4)),
            (Events{std::string("\0\xFF", 2), std::string("rest: \0", 7)}));
}

TEST(Lines, have_a_rest_that_no_line_end_follows) {
  EXPECT_EQ(lines_of("a\nbc"), (Events{"a", "rest: bc"}));
  EXPECT_EQ(lines_of("bc"), (Events{"rest: bc"}));
}

TEST(Lines, above_the_limit_are_reported_once_and_skipped) {
  EXPECT_EQ(lines_of("12345678\n1\n"), (Events{"12345678", "1"}));
  EXPECT_EQ(lines_of("12345678\r\n1\n"), (Events{"12345678", "1"}));
  EXPECT_EQ(lines_of("123456789\n1\n"), (Events{"(too long)", "1"}));
  EXPECT_EQ(lines_of("123456789\r\n1\n"), (Events{"(too long)", "1"}));
  EXPECT_EQ(lines_of("12345678\r\r\n1\n"), (Events{"(too long)", "1"}));
  EXPECT_EQ(lines_of("12345678\r9\n1\n"), (Events{"(too long)", "1"}));
  EXPECT_EQ(lines_of("1234567890123456789012345678901\n123456789\n1\n"), (Events{"(too long)", "(too long)", "1"}));
  EXPECT_EQ(lines_of("a\n1234567890"), (Events{"a", "(too long)"}));
  EXPECT_EQ(lines_of("12345678\r"), (Events{"rest: (too long)"}));
  EXPECT_EQ(lines_of("1\n\n", 0), (Events{"(too long)", ""}));
}

TEST(Lines, of_random_bytes_do_not_depend_on_how_they_are_cut) {
  std::mt19937 random(coax::test::seed());
  for (int round = 0; round < 300; ++round) {
    std::string input(random() % 64, '\0');
    for (char& byte : input) byte = "\n\r\nabcdefgh"[random() % 11];
    lines_of(input, random() % 8);
  }
}

TEST(LineDecoder, reports_a_line_that_is_too_long_before_its_end) {
  LineDecoder lines(3);
  lines.feed("1234");
  EXPECT_EQ(lines.next()->kind, LineEvent::Kind::too_long);
  EXPECT_FALSE(lines.next());
}

TEST(LineDecoder, starts_a_new_line_after_the_rest_was_taken) {
  LineDecoder lines(8);
  lines.feed("ab");
  EXPECT_FALSE(lines.next());
  EXPECT_EQ(lines.rest()->bytes.text(), "ab");
  EXPECT_FALSE(lines.rest());
  lines.feed("cd\n");
  EXPECT_EQ(lines.next()->bytes.text(), "cd");

  lines.feed("123456789");
  EXPECT_EQ(lines.next()->kind, LineEvent::Kind::too_long);
  EXPECT_FALSE(lines.next());
  EXPECT_FALSE(lines.rest());
  lines.feed("ef\n");
  EXPECT_EQ(lines.next()->bytes.text(), "ef");
}

TEST(LineDecoder, knows_whether_a_line_end_was_received) {
  LineDecoder lines(2);
  lines.feed("ab");
  EXPECT_FALSE(lines.next());
  EXPECT_FALSE(lines.saw_line_end());
  lines.feed("c\n");
  EXPECT_TRUE(lines.next());
  EXPECT_TRUE(lines.saw_line_end());
  lines.feed("d");
  EXPECT_FALSE(lines.next());
  EXPECT_TRUE(lines.saw_line_end());
}

TEST(LineDecoder, lends_a_whole_line_from_the_fed_bytes) {
  LineDecoder lines(8);
  const std::string_view fed = "ab\ncd\r\n";
  lines.feed(fed);
  EXPECT_EQ(lines.next()->bytes.data(), fed.data());
  EXPECT_EQ(lines.next()->bytes.data(), fed.data() + 3);
}

TEST(LineDecoder, holds_memory_only_for_a_line_that_is_not_complete) {
  const std::size_t before = coax::test::allocated_bytes();
  LineDecoder lines(40);
  lines.feed("ab\n");
  EXPECT_TRUE(lines.next());
  EXPECT_EQ(coax::test::allocated_bytes(), before);
  lines.feed("ab");
  EXPECT_FALSE(lines.next());
  EXPECT_GT(coax::test::allocated_bytes(), before);
  lines.feed("c\n");
  EXPECT_EQ(lines.next()->bytes.text(), "abc");
  EXPECT_FALSE(lines.next());
  EXPECT_EQ(coax::test::allocated_bytes(), before);
  lines.feed("ab");
  EXPECT_FALSE(lines.next());
  lines.feed("1234567890123456789012345678901234567890");
  EXPECT_EQ(lines.next()->kind, LineEvent::Kind::too_long);
  EXPECT_EQ(coax::test::allocated_bytes(), before);
}

}  // namespace lines_test
