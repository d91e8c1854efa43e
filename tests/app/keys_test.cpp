// Decoding of terminal input into keys: a sequence that is no key of the editor leaves no text behind.
#include "app/console/keys.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "app/console/display.hpp"
#include "app/console/line_editor.hpp"

namespace coax::app::keys_test {
namespace {

using Kind = Key::Kind;

std::vector<Key> keys_of(std::string_view bytes) {
  Keys keys;
  keys.feed(bytes);
  std::vector<Key> all;
  while (auto key = keys.next()) all.push_back(*key);
  return all;
}

std::vector<Key> keys_byte_by_byte(std::string_view bytes) {
  Keys keys;
  std::vector<Key> all;
  for (const char byte : bytes) {
    keys.feed(BytesView(&byte, 1));
    while (auto key = keys.next()) all.push_back(*key);
  }
  return all;
}

// The line after these keys.
std::string line_after(std::string_view bytes) {
  LineEditor editor;
  for (const Key& key : keys_of(bytes)) editor.apply(key);
  return editor.text();
}

TEST(Keys, a_known_sequence_is_its_key) {
  const struct {
    std::string_view bytes;
    Kind kind;
  } cases[] = {
      {"\x1b[D", Kind::left},
      {"\x1bOD", Kind::left},
      {"\x1b[1;2D", Kind::left},
      {"\x1b[1;5D", Kind::word_left},
      {"\x1b[1;3D", Kind::word_left},
      {"\x1bOd", Kind::word_left},
      {"\x1b\x1b[D", Kind::word_left},
      {"\x1b"
       "b",
       Kind::word_left},
      {"\x1b[1;5C", Kind::word_right},
      {"\x1b[1;7C", Kind::word_right},
      {"\x1b"
       "f",
       Kind::word_right},
      {"\x1b[A", Kind::previous},
      {"\x1b[B", Kind::next},
      {"\x1b[H", Kind::home},
      {"\x1bOH", Kind::home},
      {"\x1b[1~", Kind::home},
      {"\x1b[7~", Kind::home},
      {"\x1b[1;5H", Kind::home},
      {"\x1b[F", Kind::end},
      {"\x1b[4~", Kind::end},
      {"\x1b[3~", Kind::erase},
      {"\x1b[3;5~", Kind::erase_word},
      {"\x1b[3^", Kind::erase_word},
      {"\x1b\x7f", Kind::backspace_word},
      {"\x7f", Kind::backspace},
      {"\x1bOM", Kind::enter},
      {"\xc2\x9b"
       "1;5D",
       Kind::word_left},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(testing::PrintToString(each.bytes));
    EXPECT_EQ(keys_of(each.bytes), std::vector<Key>{Key{.kind = each.kind}});
    EXPECT_EQ(keys_byte_by_byte(each.bytes), std::vector<Key>{Key{.kind = each.kind}});
  }
}

TEST(Keys, an_unknown_sequence_is_dropped_whole) {
  const std::string_view cases[] = {
      "\x1b[5~",
      "\x1b[6;5~",
      "\x1b[2~",
      "\x1b[Z",
      "\x1bOP",
      "\x1b[15~",
      "\x1b[1;5P",
      "\x1b[24;2~",  // pages, F-keys
      "\x1b[[A",
      "\x1b[[E",
      "\x1bO5P",  // the Linux console
      "\x1b[I",
      "\x1b[O",  // focus
      "\x1b[<0;10;20M",
      "\x1b[<0;10;20m",
      "\x1b[M !!",
      "\x1b[32;10;20M",  // mouse
      "\x1b[?1;2c",
      "\x1b[24;80R",
      "\x1b[200;1R",
      "\x1b[97;5u",
      "\x1b[27;5;9~",  // reports, modified keys
      "\x1b]11;rgb:0/0/0\x07",
      "\x1b]11;rgb:0/0/0\x1b\\",
      "\x1bP1$r0m\x1b\\",
      "\x1b_x\x1b\\",  // strings
      "\x1bx",
      "\x1b\xc3\xbc",
      "\x1b\xf0\x9f\x98\x80",
      "\x1b(B",
      "\x1b\r",
      "\x1b\t",  // Alt and a character
      "\x16",
      "\x11",
      "\t",
      "\xc2\x85",
      "\xff",
      "\xc3",
      "\xe2\x82",  // controls, no UTF-8
  };
  for (const std::string_view bytes : cases) {
    SCOPED_TRACE(testing::PrintToString(bytes));
    const bool is_cut = bytes == "\xc3" || bytes == "\xe2\x82";
    const std::string after = std::string(bytes) + (is_cut ? "" : "xy");
    EXPECT_EQ(line_after("ab" + after), is_cut ? "ab" : "abxy");
    Keys keys;
    for (const char byte : bytes) keys.feed(BytesView(&byte, 1));
    EXPECT_FALSE(keys.next());
  }
}

TEST(Keys, what_is_incomplete_at_a_pause_is_dropped) {
  for (const std::string_view bytes : {"\x1b", "\x1b[", "\x1b[1;", "\x1bO", "\x1b]0;t", "\x1b[M ", "\xe2\x82"}) {
    SCOPED_TRACE(testing::PrintToString(bytes));
    Keys keys;
    keys.feed(bytes);
    EXPECT_FALSE(keys.next());
    EXPECT_TRUE(keys.patience());
    keys.pause();
    EXPECT_FALSE(keys.patience());
    keys.feed("a");
    EXPECT_EQ(keys.next(), (Key{.text = "a"}));
  }
}

TEST(Keys, an_incomplete_sequence_does_not_consume_the_next_key) {
  EXPECT_EQ(line_after("a\x1b[1;\x1b[Db"), "ba");
  EXPECT_EQ(line_after("a\x1b[\xc3\xbc"), "aü");
  EXPECT_EQ(keys_of("\x1b[1\r"), std::vector<Key>{Key{.kind = Kind::enter}});
  EXPECT_EQ(keys_of("\x1b]0;x\r"), std::vector<Key>{Key{.kind = Kind::enter}});
}

TEST(Keys, the_end_mark_of_a_paste_may_arrive_in_late_pieces) {
  for (const std::size_t cut : {1UZ, 2UZ, 5UZ}) {
    const std::string_view mark = "\x1b[201~";
    Keys keys;
    keys.feed("\x1b[200~a");
    EXPECT_EQ(keys.next(), (Key{.text = "a"}));
    keys.feed(mark.substr(0, cut));
    EXPECT_FALSE(keys.next());
    EXPECT_FALSE(keys.patience()) << cut;
    keys.feed(mark.substr(cut));
    EXPECT_FALSE(keys.next());
    keys.feed("\r");
    EXPECT_EQ(keys.next(), (Key{.kind = Key::Kind::enter})) << cut;
  }
}

TEST(Keys, a_paste_is_text_with_its_line_ends) {
  EXPECT_EQ(line_after("\x1b[200~one\rtwo\r\nthree\nfour\x1b[201~!"), "one\ntwo\nthree\nfour!");
  EXPECT_EQ(line_after("\x1b[200~a\tb\x1b[201~"), "a       b");
  EXPECT_EQ(line_after("\x1b[200~a\x01\x7f\x1b[D\x1b[31mb\x1b[201~"), "ab");
  const auto keys = keys_of("\x1b[200~a\r\x1b[201~\r");
  EXPECT_EQ(keys, (std::vector<Key>{{.text = "a"}, {.text = "\n"}, {.kind = Kind::enter}}));
}

TEST(LineEditor, backspace_and_cursor_go_by_grapheme_clusters) {
  const std::string_view clusters[] = {"e\u0301",
                                       "\u4e16",
                                       "\U0001F468\u200D\U0001F469\u200D\U0001F467",
                                       "\U0001F1E9\U0001F1EA",
                                       "\u1112\u1161\u11ab",
                                       "1\uFE0F\u20E3",
                                       "\U0001F44D\U0001F3FD"};
  for (const std::string_view cluster : clusters) {
    SCOPED_TRACE(std::string(cluster));
    const std::string typed = "a" + std::string(cluster) + "b";
    EXPECT_EQ(line_after(typed + "\x7f\x7f"), "a");
    EXPECT_EQ(line_after(typed + "\x1b[D\x1b[D|"), "a|" + std::string(cluster) + "b");
    EXPECT_EQ(line_after(typed + "\x01\x1b[C\x1b[C|"), "a" + std::string(cluster) + "|b");
    EXPECT_EQ(line_after(typed + "\x01\x1b[C\x1b[3~"), "ab");
  }
}

TEST(LineEditor, words_end_between_clusters) {
  EXPECT_EQ(line_after("one two three\x1b[1;5D\x1b[1;5D|"), "one |two three");
  EXPECT_EQ(line_after("one two\x01\x1b[1;5C|"), "one| two");
  EXPECT_EQ(line_after("one two\x17"), "one ");
  EXPECT_EQ(line_after("one two\x01\x1b"
                       "d"),
            " two");
  EXPECT_EQ(line_after("a #\uFE0F\u20E3\x1b[1;5D|"), "a |#\uFE0F\u20E3");
}

TEST(LineEditor, the_history_keeps_the_line_of_now) {
  LineEditor editor;
  for (const Key& key : keys_of("one")) editor.apply(key);
  EXPECT_EQ(editor.take(), "one");
  for (const Key& key : keys_of("draft\x1b[A")) editor.apply(key);
  EXPECT_EQ(editor.text(), "one");
  editor.apply({.kind = Kind::next});
  EXPECT_EQ(editor.text(), "draft");
}

TEST(Display, columns_are_those_of_the_terminal) {
  EXPECT_EQ(columns_of("abc"), 3);
  EXPECT_EQ(columns_of("e\u0301"), 1);
  EXPECT_EQ(columns_of("\u4e16\u754c"), 4);
  EXPECT_EQ(columns_of("\U0001F600"), 2);
  EXPECT_EQ(columns_of("\U0001F468\u200D\U0001F469\u200D\U0001F467"), 2);
  EXPECT_EQ(columns_of("\U0001F1E9\U0001F1EA"), 2);
  EXPECT_EQ(columns_of("\u2764\uFE0F"), 2);
}

TEST(Display, a_wide_character_does_not_hang_over_the_edge) {
  const Layout layout = lay_out("> abc\u4e16x", 5, 6);
  EXPECT_EQ(layout.rows, (std::vector<std::string>{"> abc", "\u4e16x"}));
  EXPECT_EQ(layout.cursor_row, 1U);
  EXPECT_EQ(layout.cursor_column, 0);
  const Layout full = lay_out("abcdef", 6, 6);
  EXPECT_EQ(full.rows, (std::vector<std::string>{"abcdef", ""}));
  EXPECT_EQ(full.cursor_row, 1U);
}

TEST(Display, a_line_of_a_program_becomes_plain_text) {
  const struct {
    std::string_view line;
    std::string_view text;
  } cases[] = {
      {"\x1b[1;31merror:\x1b[0m it\x1b[K", "error: it"},
      {"a\tb\tc", "a       b       c"},
      {"\u4e16\tb", "\u4e16      b"},
      {"10%\r50%\r100%", "100%"},
      {"done\r", "done"},
      {"b\bbo\bol\bld\bd", "bold"},
      {"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\!", "link!"},
      {"\x1b]0;title\x07text", "text"},
      {"a\xff\xc3(", "a\uFFFD\uFFFD("},
      {"\xc2\x9b"
       "31mred",
       "red"},
      {"a\u2028b\u202Ec", "a b c"},
      {"\x1b[Mkept", "kept"},
      {"cut\x1b[3", "cut"},
      {"bell\x07", "bell"},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(testing::PrintToString(each.line));
    const PlainLine plain = plain_line(each.line);
    EXPECT_EQ(plain.text, each.text);
    EXPECT_TRUE(plain.changed);
  }
  EXPECT_FALSE(plain_line("gr\u00fc\u00dfe \u4e16").changed);
}

TEST(Display, a_long_text_is_split_between_clusters) {
  EXPECT_EQ(split_text("abcdef", 4), (std::vector<std::string>{"abcd", "ef"}));
  EXPECT_EQ(split_text("abcd", 4), (std::vector<std::string>{"abcd"}));
  EXPECT_EQ(split_text("abce\u0301", 4), (std::vector<std::string>{"abc", "e\u0301"}));
  EXPECT_EQ(split_text("e\u0301\u0301\u0301", 4), (std::vector<std::string>{"e\u0301", "\u0301\u0301"}));
}

}  // namespace
}  // namespace coax::app::keys_test
