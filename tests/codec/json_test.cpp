// JSON: which texts are one valid value; Boost.JSON, an independent implementation, agrees.
#include "coax/codec/json.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/codec/pieces.hpp"

namespace json_test {

using coax::check_json;
using coax::json_on_one_line;
using namespace std::literals;

namespace {

std::string fault_of(std::string_view text, std::size_t depth_max = 3) {
  const auto fault = check_json(text, depth_max);
  return fault ? std::string(fault->reason) + " (" + std::to_string(fault->at) + ")" : "none";
}

bool boost_takes(std::string_view text) {
  boost::json::error_code failure;
  boost::json::monotonic_resource memory;
  [[maybe_unused]] const auto value =
      boost::json::parse({text.data(), text.size()}, failure, &memory, {.max_depth = coax::json_depth_limit});
  return !failure;
}

}  // namespace

TEST(Json, is_one_value_of_any_kind_with_white_space_around_it) {
  for (const std::string_view text :
       {R"({"a":[1,{"b":null}],"c":true,"c":false,"":""})"sv, "[]"sv, "{}"sv, " \t\r\n1 "sv, "-0.5e+10"sv, "0"sv,
        "1E-9"sv, "1e400"sv, R"("\"\\\/\b\f\n\r\t\u00e4\ud83d\uDE00")"sv, "\"\xc3\xa4\x7f\""sv, "[ 1 , 2 ]"sv,
        R"("\ud800\udc00\udbff\udfff\ud7ff\ue000")"sv, "{ \"a\" : 1 }"sv}) {
    EXPECT_EQ(fault_of(text), "none") << text;
    EXPECT_TRUE(boost_takes(text)) << text;
  }
}

TEST(Json, that_is_invalid_reports_position_and_reason) {
  const std::pair<std::string_view, std::string_view> faults[] = {
      {"", "it is cut off (0)"},
      {" ", "it is cut off (1)"},
      {"[1", "it is cut off (2)"},
      {"\"a", "it is cut off (2)"},
      {"tru", "it is cut off (3)"},
      {"\"\\ud83d", "it is cut off (7)"},
      {"trux", "an unexpected character (3)"},
      {"[,1]", "an unexpected character (1)"},
      {"[1,]", "an unexpected character (3)"},
      {"'a'", "an unexpected character (0)"},
      {"NaN", "an unexpected character (0)"},
      {"+1", "an unexpected character (0)"},
      {".5", "an unexpected character (0)"},
      {"\0"sv, "an unexpected character (0)"},
      {"\xef\xbb\xbf"
       "1",
       "an unexpected character (0)"},
      {"-a", "a digit is missing (1)"},
      {"1.a", "a digit is missing (2)"},
      {"1e a", "a digit is missing (2)"},
      {"01", "unexpected text after the value (1)"},
      {"1 2", "unexpected text after the value (2)"},
      {"1/**/", "unexpected text after the value (1)"},
      {"[1 2]", "neither , nor ] follows an element (3)"},
      {"[1}", "neither , nor ] follows an element (2)"},
      {"{\"a\":1]", "neither , nor } follows a member (6)"},
      {"{a:1}", "a member of an object begins with its name, a string (1)"},
      {"{\"a\":1,}", "a member of an object begins with its name, a string (7)"},
      {"{\"a\" 1}", "no : follows the name of a member (5)"},
      {"\"a\nb\"", "a control character in a string (2)"},
      {"\"\\x\"", "an unknown escape (2)"},
      {"\"\\u00g0\"", "a \\u has four hexadecimal digits (5)"},
      {"\"\\ud83d\"", "half of a surrogate pair (7)"},
      {"\"\\ud83d\\n\"", "half of a surrogate pair (8)"},
      {"\"\\ud83d\\u0041\"", "half of a surrogate pair (13)"},
      {"\"\\ud83d\\ud83d\"", "half of a surrogate pair (13)"},
      {"\"\\ud83d\\ue000\"", "half of a surrogate pair (13)"},
      {"\"\\ude00\"", "half of a surrogate pair (7)"},
      {"\"\xff\"", "it is not UTF-8 (0)"},
  };
  for (const auto& [text, fault] : faults) {
    EXPECT_EQ(fault_of(text), fault) << text;
    EXPECT_FALSE(boost_takes(text)) << text;
  }
}

TEST(Json, is_nested_no_deeper_than_the_limit) {
  EXPECT_EQ(fault_of(R"([{"a":[]}])"), "none");
  EXPECT_EQ(fault_of(R"([[[]],[[]],{"a":{}}])"), "none");
  EXPECT_EQ(fault_of("[[[[]]]]"), "arrays and objects are nested too deeply (3)");
  EXPECT_EQ(fault_of("1", 0), "none");
  EXPECT_EQ(fault_of("[]", 0), "arrays and objects are nested too deeply (0)");
  const std::size_t limit = coax::json_depth_limit;
  EXPECT_EQ(fault_of(std::string(limit, '[') + std::string(limit, ']'), SIZE_MAX), "none");
  EXPECT_NE(fault_of(std::string(limit + 1, '[') + std::string(limit + 1, ']'), SIZE_MAX), "none");
}

TEST(Json, of_random_tokens_is_what_boost_takes) {
  static constexpr std::string_view tokens[] = {"[",  "]",  "{",  "}",  ",",     ":",       "1",        "-",
                                                "0",  ".5", "e1", "\"", "\"a\"", "\\ud83d", "\\ude00",  "\\u",
                                                "\\", "a",  "\n", " ",  "true",  "null",    "\xc3\xa4", "\"a\":1"};
  std::mt19937 random(coax::test::seed());
  int good = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string text;
    for (auto count = random() % 8; count != 0; --count) text += tokens[random() % std::size(tokens)];
    const bool taken = fault_of(text, coax::json_depth_limit) == "none";
    ASSERT_EQ(taken, boost_takes(text)) << text << " --gtest_random_seed=" << coax::test::seed();
    good += taken ? 1 : 0;
  }
  EXPECT_GT(good, 100);
}

TEST(Json, on_one_line_is_the_same) { EXPECT_EQ(json_on_one_line("{\r\n  \"a\\n\": 1\n}"), "{    \"a\\n\": 1 }"); }

}  // namespace json_test
