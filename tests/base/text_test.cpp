// Untrusted text.
#include "coax/base/text.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace text_test {

using coax::Utf8Check;

namespace {

// Checked in one piece, byte by byte, and after enough ASCII for the fast path.
bool is_utf8_however_it_is_cut(std::string_view text) {
  const bool whole = coax::is_utf8(text);
  Utf8Check check;
  bool good = true;
  for (std::size_t index = 0; index < text.size(); ++index) good = check.feed(text.substr(index, 1));
  EXPECT_EQ(good && check.complete(), whole);
  for (std::size_t before = 1; before < 20; ++before) {
    EXPECT_EQ(coax::is_utf8(std::string(before, 'a') + std::string(text)), whole) << before;
    EXPECT_EQ(coax::is_utf8(std::string(text) + std::string(before, 'a')), whole) << before;
  }
  return whole;
}

std::string encode(char32_t code) {
  const auto byte = [](char32_t value) { return static_cast<char>(value); };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xC0 | code >> 6), byte(0x80 | (code & 63))};
  if (code < 0x10000) return {byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 63)), byte(0x80 | (code & 63))};
  return {byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 63)), byte(0x80 | (code >> 6 & 63)),
          byte(0x80 | (code & 63))};
}

}  // namespace

TEST(Utf8, takes_every_code_point_but_surrogates) {
  for (char32_t code = 0; code <= 0x110FFF; ++code) {
    const bool valid = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    ASSERT_EQ(coax::is_utf8(encode(code)), valid) << std::hex << static_cast<unsigned>(code);
  }
}

TEST(Utf8, takes_characters_of_all_lengths) {
  for (const char* text : {"", "a", "é", "€", "😀", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF", "\xEE\x80\x80", "aé€😀a"}) {
    EXPECT_TRUE(is_utf8_however_it_is_cut(text)) << text;
  }
}

TEST(Utf8, refuses_overlong_forms_surrogates_and_what_is_above_the_last) {
  for (const char* text :
       {"\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xFE", "\xFF"}) {
    EXPECT_FALSE(is_utf8_however_it_is_cut(text));
  }
}

TEST(Utf8, refuses_stray_and_missing_continuations) {
  for (const char* text : {"\x80", "\xBF", "a\x80", "\xC3", "\xC3(", "\xE2\x82", "\xE2\x82(", "\xF0\x9F\x98",
                           "\xF0\x9F\x98(", "\xC3\xC3\xA9"}) {
    EXPECT_FALSE(is_utf8_however_it_is_cut(text));
  }
}

TEST(Utf8, knows_every_pair_and_triple_of_bytes) {
  // RFC 3629, section 4, written independently, for texts of up to three bytes.
  const auto tail = [](int byte) { return byte >= 0x80 && byte <= 0xBF; };
  const auto two = [&](int a, int b) { return a >= 0xC2 && a <= 0xDF && tail(b); };
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const bool pair = (a < 0x80 && b < 0x80) || two(a, b);
      const std::array bytes{static_cast<char>(a), static_cast<char>(b)};
      ASSERT_EQ(coax::is_utf8(std::span(bytes)), pair) << a << " " << b;
      for (int c = 0; c < 256; ++c) {
        const bool three = tail(c) && ((a == 0xE0 && b >= 0xA0 && b <= 0xBF) || (a >= 0xE1 && a <= 0xEC && tail(b)) ||
                                       (a == 0xED && b >= 0x80 && b <= 0x9F) || (a >= 0xEE && a <= 0xEF && tail(b)));
        const bool triple = three || (pair && c < 0x80) || (a < 0x80 && two(b, c));
        const std::array more{static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)};
        ASSERT_EQ(coax::is_utf8(std::span(more)), triple) << a << " " << b << " " << c;
      }
    }
  }
}

TEST(Utf8Check, reports_an_invalid_byte_at_once_and_never_recovers) {
  Utf8Check check;
  EXPECT_TRUE(check.feed("abc\xF0\x9F"));
  EXPECT_FALSE(check.complete());
  EXPECT_FALSE(check.feed("("));
  EXPECT_FALSE(check.feed("abcdefghijklmnop"));
  EXPECT_FALSE(check.feed(""));
  EXPECT_FALSE(check.complete());
}

TEST(Utf8Check, does_not_skip_ascii_inside_a_character) {
  Utf8Check check;
  EXPECT_TRUE(check.feed("\xC3"));
  EXPECT_FALSE(check.feed("aaaaaaaa"));
}

TEST(CountCharacters, counts_code_points) {
  EXPECT_EQ(coax::count_characters(""), 0);
  EXPECT_EQ(coax::count_characters("aé€😀"), 4);
}

TEST(HasControl, finds_controls_separators_and_direction_overrides) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {"\0"sv, "a\tb"sv, "a\n"sv, "\r"sv, "\x1B[31m"sv, "\x7F"sv, "\u0080"sv, "\u0085"sv, "\u009F"sv, "\u2028"sv,
        "\u2029"sv, "\u202A"sv, "\u202E"sv, "\u2066"sv, "é\u2069"sv}) {
    EXPECT_TRUE(coax::has_control(text)) << coax::printable(text);
  }
  for (const std::string_view text : {""sv, " "sv, "~"sv, "\u00A0"sv, "é"sv, "\u2027"sv, "\u202F"sv, "\u2065"sv,
                                      "\u206A"sv, "\u00E2\u0080"sv.substr(0, 2), "日本語 😀"sv}) {
    EXPECT_FALSE(coax::has_control(text)) << text;
  }
}

TEST(FoldCase, makes_names_one_that_read_alike) {
  EXPECT_EQ(coax::fold_case("Alice"), "alice");
  EXPECT_EQ(coax::fold_case("ÉCOLE"), coax::fold_case("e\u0301cole"));
  EXPECT_EQ(coax::fold_case("Straße"), "strasse");
  EXPECT_EQ(coax::fold_case("ΣΊΣΥΦΟΣ"), coax::fold_case("σίσυφος"));
  EXPECT_EQ(coax::fold_case("\uFF21\uFF42"), "ab");    // full width
  EXPECT_EQ(coax::fold_case("al\u200Bice"), "alice");  // a zero-width space
  EXPECT_EQ(coax::fold_case("\u200B"), "");
  EXPECT_EQ(coax::fold_case(""), "");
  EXPECT_NE(coax::fold_case("bob"), coax::fold_case("rob"));
}

TEST(Printable, escapes_what_a_terminal_would_act_on) {
  EXPECT_EQ(coax::printable("hello, 世界"), "hello, 世界");
  EXPECT_EQ(coax::printable("a\x1B[31m\r\n"), "a\\x1B[31m\\x0D\\x0A");
  EXPECT_EQ(coax::printable("\u202Eabc\u0085"), "\\xE2\\x80\\xAEabc\\xC2\\x85");
  EXPECT_EQ(coax::printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, escapes_bytes_that_are_not_utf8) {
  EXPECT_EQ(coax::printable("\xFF\xC3(\xE2\x82"), "\\xFF\\xC3(\\xE2\\x82");
  EXPECT_EQ(coax::printable("\xED\xA0\x80"), "\\xED\\xA0\\x80");
}

TEST(Printable, cuts_after_that_many_characters) {
  EXPECT_EQ(coax::printable("éééé", 4), "éééé");
  EXPECT_EQ(coax::printable("éééé", 3), "ééé…");
  EXPECT_EQ(coax::printable("", 0), "");
}

TEST(ValidUtf8, has_a_replacement_for_each_invalid_sequence) {  // the table of Unicode 15, section 3.9
  constexpr std::string_view mark = "\xEF\xBF\xBD";
  const auto marks = [&](int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += mark;
    return out;
  };
  EXPECT_EQ(coax::valid_utf8(""), "");
  EXPECT_EQ(coax::valid_utf8("a\xC3\xA4\xF0\x9F\x98\x80"), "a\xC3\xA4\xF0\x9F\x98\x80");
  EXPECT_EQ(coax::valid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), marks(8) + "A");
  EXPECT_EQ(coax::valid_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), marks(8) + "A");
  EXPECT_EQ(coax::valid_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), marks(5) + "A" + marks(2) + "B");
  EXPECT_EQ(coax::valid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), marks(4) + "A");
  EXPECT_EQ(coax::valid_utf8("a\xE2\x82"), "a" + marks(1));
}

TEST(FirstCharacters, are_whole) {
  EXPECT_EQ(coax::first_characters("aé€", 9), "aé€");
  EXPECT_EQ(coax::first_characters("aé€", 5), "aé");
  EXPECT_EQ(coax::first_characters("aé€", 3), "aé");
  EXPECT_EQ(coax::first_characters("aé€", 2), "a");
  EXPECT_EQ(coax::first_characters("é", 1), "");
  EXPECT_EQ(coax::first_characters("", 0), "");
}

TEST(Trim, drops_white_space_at_both_ends) {
  EXPECT_EQ(coax::trim(" \t\r\na b\n"), "a b");
  EXPECT_EQ(coax::trim(" \n"), "");
  EXPECT_EQ(coax::trim(""), "");
  EXPECT_EQ(coax::trim("\v"), "\v");
}

TEST(EqualIgnoringCase, is_for_ascii_alone) {
  EXPECT_TRUE(coax::equal_ignoring_case("Content-Length", "content-LENGTH"));
  EXPECT_TRUE(coax::equal_ignoring_case("", ""));
  EXPECT_FALSE(coax::equal_ignoring_case("host", "hosts"));
  EXPECT_FALSE(coax::equal_ignoring_case("É", "é"));
  EXPECT_FALSE(coax::equal_ignoring_case("[", "{"));
  EXPECT_FALSE(coax::equal_ignoring_case("@", "`"));
}

}  // namespace text_test
