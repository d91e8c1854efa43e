// Nicknames: RFC 8266 and 8264, and names that look like others.
#include "services/chat/nickname.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace nickname_test {

using coax::chat::check_nick;
using coax::chat::nick_keys;

namespace {

// "" stands for a refusal.
std::string shown(std::string_view nick) { return check_nick(nick).value_or(""); }

bool alike(const std::string& left, const std::string& right) {
  const auto others = nick_keys(shown(right));
  return std::ranges::any_of(nick_keys(shown(left)),
                             [&](const std::string& key) { return std::ranges::find(others, key) != others.end(); });
}

std::string text_of(std::string_view nick) {
  const auto checked = check_nick(nick);
  return checked ? "accepted" : checked.error().text;
}

}  // namespace

TEST(CheckNick, accepts_names_of_many_scripts) {
  for (const std::string name : {"alice", "Alice Smith", "a-b_c.d!", "42", "Straße", "Ζωή", "Алиса", "日本語", "한국어",
                                 "ไทย", "שלום", "ا\u0628", "دوست", "रामः", "😀", "™ fan", "中・文", "l·l"}) {
    if (name == "™ fan") {
      EXPECT_EQ(shown(name), "TM fan");
      continue;
    }
    EXPECT_EQ(shown(name), name) << text_of(name);
  }
}

TEST(CheckNick, blanks_of_any_kind_are_single_spaces_inside) {
  EXPECT_EQ(shown("alice\u00A0"), "alice");
  EXPECT_EQ(shown("\u3000alice\u2003"), "alice");
  EXPECT_EQ(shown("a\u2003\u00A0 b"), "a b");
  EXPECT_EQ(shown(" a   b "), "a b");
}

TEST(CheckNick, nothing_visible_is_refused) {
  for (const std::string name : {"\u00A0", "\u2003", "\u3000", "\u2800", "\u0301", "\u2003\u00A0", " "}) {
    EXPECT_EQ(shown(name), "") << name;
  }
}

TEST(CheckNick, invisible_characters_are_refused) {
  for (const std::string invisible :
       {"\u00AD", "\u034F", "\u061C", "\u115F", "\u1160", "\u17B4",     "\u180E",     "\u200B",    "\u200C",
        "\u200D", "\u200E", "\u200F", "\u202E", "\u2060", "\u2061",     "\u2066",     "\u206A",    "\u2800",
        "\u3164", "\uFE0F", "\uFEFF", "\uFFA0", "\uFFF9", "\U0001D173", "\U000E0061", "\U000E0101"}) {
    EXPECT_EQ(shown("al" + invisible + "ice"), "") << invisible;
  }
}

TEST(CheckNick, what_unicode_has_not_assigned_is_refused) {
  for (const std::string name : {"\u0378", "\uE000", "\uFDD0", "\uFFFF", "\U0010FFFF", "\u0640", "\u1100"}) {
    EXPECT_EQ(shown("a" + name), "") << name;
  }
  EXPECT_EQ(text_of("a\uE000"), "a nickname must not have the character U+E000");
}

TEST(CheckNick, joiners_are_allowed_where_the_script_needs_them) {
  EXPECT_EQ(shown("नमस\u094D\u200Dते"), "नमस\u094D\u200Dते");                                          // after a virama
  EXPECT_EQ(shown("\u0645\u06CC\u200C\u062E\u0648\u0627"), "\u0645\u06CC\u200C\u062E\u0648\u0627");  // between letters
  EXPECT_EQ(shown("\u0627\u200C\u0645"), "");  // after a letter that does not join
  EXPECT_EQ(shown("\u200Calice"), "");
  EXPECT_EQ(shown("alice\u200C"), "");
}

TEST(CheckNick, context_rules_of_rfc_5892_hold) {
  EXPECT_EQ(shown("a·b"), "");
  EXPECT_EQ(shown("\u05F3a"), "");
  EXPECT_EQ(shown("a・b"), "");
  EXPECT_EQ(shown("\u0661\u06F1"), "");
  EXPECT_EQ(shown("\u0661\u0662"), "\u0661\u0662");
}

TEST(CheckNick, stacked_and_repeated_marks_are_refused) {
  EXPECT_EQ(shown("q\u0301\u0301"), "");
  EXPECT_EQ(shown("q\u0300\u0301\u0302\u0303\u0304"), "");
  EXPECT_EQ(shown("e\u0301"), "é");
}

TEST(CheckNick, has_1_to_32_characters_after_normalization) {
  EXPECT_EQ(shown(""), "");
  EXPECT_EQ(shown(std::string(32, 'a')), std::string(32, 'a'));
  EXPECT_EQ(shown(std::string(33, 'a')), "");
  EXPECT_EQ(shown("\uFDFA\uFDFA"), "");  // 36 characters in NFKC
}

TEST(CheckNick, what_looks_like_a_colon_is_refused) {
  for (const std::string colon : {":", "\uFF1A", "\uFE55", "\u2236", "\uA789", "\u05C3", "\u0589", "\uFE13"}) {
    EXPECT_EQ(text_of("a" + colon + " b"), "a nickname must not have a colon") << colon;
  }
}

TEST(CheckNick, what_begins_as_a_line_of_the_hub_is_refused) {
  for (const std::string name : {"* welcome", "[dev] alice", "\uFF0A x", "\uFF3Bdev", "*"}) {
    EXPECT_EQ(text_of(name), "a nickname must not begin with * or [") << name;
  }
  EXPECT_EQ(text_of("a [dev] *"), "accepted");
}

TEST(CheckNick, what_looks_like_error_is_reserved) {
  for (const std::string name : {"error", "ERROR", "Error", "\u0435rror", "err\u043Er", "ＥＲＲＯＲ", "err0r"}) {
    EXPECT_EQ(text_of(name), "that nickname is reserved") << name;
  }
}

TEST(NickKeys, of_names_that_look_alike_are_equal) {
  EXPECT_TRUE(alike("alice", "ALICE"));
  EXPECT_TRUE(alike("alice", "\u0430lice"));  // Cyrillic a
  EXPECT_TRUE(alike("alice", "\u0410lice"));  // and capital
  EXPECT_TRUE(alike("alice", "aIice"));       // a capital i
  EXPECT_TRUE(alike("alice", "AIice"));
  EXPECT_TRUE(alike("alice", "a1ice"));
  for (const char* const name : {"ALIC\u0395", "\u13AALICE", "\uA4EELICE", "AL\uA4F2CE",
                                 "\U000102A0LICE"}) {  // capitals of other scripts among ours
    EXPECT_TRUE(alike("alice", name)) << name;
  }
  EXPECT_TRUE(alike("alice", "ａｌｉｃｅ"));
  EXPECT_TRUE(alike("alice", "\U0001D41A\U0001D425\U0001D422\U0001D41C\U0001D41E"));  // mathematical bold
  EXPECT_TRUE(alike("École", "e\u0301cole"));
  EXPECT_TRUE(alike("Straße", "STRASSE"));
  EXPECT_TRUE(alike("modern", "modem"));
  EXPECT_TRUE(alike("a b", "a\u00A0b"));
}

TEST(NickKeys, of_other_names_do_not_meet) {
  EXPECT_FALSE(alike("alice", "alicia"));
  EXPECT_FALSE(alike("bob", "rob"));
  EXPECT_FALSE(alike("user1", "user2"));
  EXPECT_FALSE(alike("\u0645", "\u0646"));
  EXPECT_FALSE(alike("日本", "日木"));
}

}  // namespace nickname_test
