// Value: construction, lookup, and JSON in both directions.
#include "coax/http/value.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace coax::value_test {
namespace {

using http::Member;
using http::parse_json;
using http::Value;

std::string refusal(const auto& function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "none";
}

std::string json_refusal(std::string_view text) {
  return refusal([&] { static_cast<void>(parse_json(text)); });
}

TEST(Value, literals_become_json) {
  const Value value{{"title", "Tea"},
                    {"prices", Value::list({3, 2.5, -1})},
                    {"owner", {{"name", std::string("Ada")}, {"is_away", false}}},
                    {"next", nullptr},
                    {"none", Value::list()},
                    {"empty", Value::object()}};
  EXPECT_EQ(value.to_json(), R"({"title":"Tea","prices":[3,2.5,-1],"owner":{"name":"Ada","is_away":false},)"
                             R"("next":null,"none":[],"empty":{}})");
}

TEST(Value, containers_become_lists_and_objects) {
  EXPECT_EQ(Value(std::vector<int>{1, 2}).to_json(), "[1,2]");
  EXPECT_EQ(Value(std::vector<bool>{true, false}).to_json(), "[true,false]");
  EXPECT_EQ(Value(std::vector<std::string>{"a", "b"}).to_json(), R"(["a","b"])");
  EXPECT_EQ(Value(std::vector<std::vector<double>>{{1.5}, {}}).to_json(), "[[1.5],[]]");
  EXPECT_EQ(Value(std::map<std::string, int>{{"b", 2}, {"a", 1}}).to_json(), R"({"a":1,"b":2})");
  EXPECT_EQ(Value(std::vector<std::pair<std::string, std::string>>{{"b", "2"}, {"a", "1"}}).to_json(),
            R"({"b":"2","a":"1"})");
  EXPECT_EQ(Value(std::vector<Value>{Value("x"), Value()}).to_json(), R"(["x",null])");
  EXPECT_EQ(Value(std::optional<int>(7)).to_json(), "7");
  EXPECT_EQ(Value(std::optional<int>()).to_json(), "null");
  EXPECT_EQ(Value(std::string_view("view")).to_json(), R"("view")");
}

TEST(Value, of_two_members_with_one_name_the_last_wins) {
  EXPECT_EQ((Value{{"a", 1}, {"b", 2}, {"a", 3}}).to_json(), R"({"a":3,"b":2})");
}

TEST(Value, lookup_finds_members_in_small_and_large_objects) {
  for (const int count : {1, 8, 9, 300}) {
    Value value;
    for (int index = 0; index < count; ++index) value.set("n" + std::to_string(index), index);
    std::vector<Member> members(value.as_object().begin(), value.as_object().end());
    for (const Value& either : {value, Value::object(members)}) {
      ASSERT_EQ(either.size(), count);
      for (int index = 0; index < count; ++index) {
        ASSERT_EQ(either["n" + std::to_string(index)].as_integer(), index);
        ASSERT_EQ(either.as_object()[index].value.as_integer(), index);
      }
      EXPECT_EQ(either.find("n"), nullptr);
    }
  }
}

TEST(Value, change_of_a_copy_leaves_the_original) {
  const Value original = Value::list({1, 2});
  Value copy = original;
  copy.append(3);
  EXPECT_EQ(original.to_json(), "[1,2]");
  EXPECT_EQ(copy.to_json(), "[1,2,3]");
  const Value object{{"a", 1}};
  Value other = object;
  other.set("a", 2).set("b", 3);
  EXPECT_EQ(object.to_json(), R"({"a":1})");
  EXPECT_EQ(other.to_json(), R"({"a":2,"b":3})");
}

TEST(Value, wrong_use_names_the_kind) {
  const Value list = Value::list({1});
  EXPECT_EQ(refusal([&] { static_cast<void>(list.as_string()); }), "use a value: it is a list, not a string");
  EXPECT_EQ(refusal([&] { static_cast<void>(Value(1)["x"]); }), "use a value: it is an integer, not an object");
  EXPECT_EQ(refusal([&] { static_cast<void>(Value().as_bool()); }), "use a value: it is null, not a boolean");
  EXPECT_EQ(refusal([&] { static_cast<void>(list[1]); }), "use a list: it has 1 elements, and no element 1");
  EXPECT_EQ(refusal([&] { static_cast<void>(Value{{"a", 1}}["b"]); }), "use an object: it has no member \"b\"");
  EXPECT_EQ(refusal([&] { static_cast<void>(Value(UINT64_MAX)); }),
            "use an integer: it is above the largest integer, 9223372036854775807");
}

TEST(Value, equality_compares_numbers_by_value_and_objects_without_order) {
  EXPECT_EQ(Value(1), Value(1.0));
  EXPECT_NE(Value(1), Value(true));
  EXPECT_EQ((Value{{"a", 1}, {"b", 2}}), (Value{{"b", 2}, {"a", 1}}));
  EXPECT_NE((Value{{"a", 1}}), (Value{{"b", 1}}));
  EXPECT_EQ(Value::list({Value::list({"x"})}), Value::list({Value::list({"x"})}));
}

TEST(Value, nesting_has_a_limit) {
  Value value;
  const std::string refused = refusal([&] {
    for (int level = 0; level < 1000; ++level) value = Value::list({value});
  });
  EXPECT_EQ(refused, "use a value: lists and objects are nested more than 128 levels deep");
  EXPECT_EQ(value.depth(), 128U);
}

TEST(Value, cost_of_shared_lists_counts_each_use) {
  Value value = Value::list();
  for (int level = 0; level < 100; ++level) value = Value::list({value, value});
  EXPECT_EQ(value.cost(), std::uint64_t{1} << 60);
}

TEST(ValueJson, text_becomes_the_same_text) {
  for (const std::string_view text : {"null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808",
                                      "1.5", "1e+16", "1e-07", R"("")", R"("a\"b\\c\n\u0001")", R"("héllo €")", "[]",
                                      "{}", R"([1,[2,{"a":[]}],"x"])", R"({"a":1,"b":{"c":[null]}})"}) {
    EXPECT_EQ(parse_json(text).to_json(), text);
  }
}

TEST(ValueJson, text_is_read_as_rfc_8259_says) {
  EXPECT_EQ(parse_json(" \r\n\t[ 1 , 2 ] ").to_json(), "[1,2]");
  EXPECT_EQ(parse_json(R"("\u00e9\u20ac\ud83d\ude00\/")").as_string(), "é€😀/");
  EXPECT_EQ(parse_json("9223372036854775808").kind(), Value::Kind::number);
  EXPECT_EQ(parse_json("1E2").to_json(), "100.0");
  EXPECT_EQ(parse_json("-0.0").to_json(), "-0.0");
  EXPECT_EQ(parse_json("1e-400").as_number(), 0);
  EXPECT_EQ(parse_json("0.0e999999999999999999999").as_number(), 0);
}

TEST(ValueJson, faults_are_reported_with_line_and_column) {
  EXPECT_EQ(json_refusal("[1,\n 2,\n x]"), "read JSON: line 3, column 2: an unexpected character");
  EXPECT_EQ(json_refusal("[\"é\",x]"), "read JSON: line 1, column 6: an unexpected character");
  EXPECT_EQ(json_refusal(""), "read JSON: line 1, column 1: it is cut off");
  EXPECT_EQ(json_refusal("[1"), "read JSON: line 1, column 3: it is cut off");
  EXPECT_EQ(json_refusal("1 2"), "read JSON: line 1, column 3: unexpected text after the value");
  EXPECT_EQ(json_refusal("NaN"), "read JSON: line 1, column 1: an unexpected character");
  EXPECT_EQ(json_refusal("\"\xff\""), "read JSON: line 1, column 1: it is not UTF-8");
  EXPECT_EQ(json_refusal("[\n{\"a\":1,\"a\":2}]"), "read JSON: line 2, column 1: the object has the name \"a\" twice");
  for (const std::string_view large : {"1e400", "-1e400", "0.1e310", "1e99999999999999999999"}) {
    EXPECT_EQ(json_refusal(large), "read JSON: line 1, column 1: the number is larger than the largest double");
  }
  EXPECT_EQ(json_refusal(std::string(65, '[')),
            "read JSON: line 1, column 65: arrays and objects are nested too deeply");
  EXPECT_EQ(json_refusal(std::string(100'000, '[')),
            "read JSON: line 1, column 65: arrays and objects are nested too deeply");
}

TEST(ValueJson, numbers_without_json_are_refused) {
  EXPECT_EQ(refusal([] { static_cast<void>(Value(std::nan("")).to_json()); }), "write JSON: JSON has no nan");
  EXPECT_EQ(refusal([] { static_cast<void>(Value(-HUGE_VAL).to_json()); }), "write JSON: JSON has no -inf");
}

TEST(ValueJson, bytes_that_are_not_utf8_are_replaced) {
  EXPECT_EQ(Value("a\xff\xe2\x82").to_json(), "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(ValueJson, script_form_ends_no_script) {
  EXPECT_EQ(Value("</script><!--&'\"\xe2\x80\xa8\xe2\x80\xa9").to_script_json(),
            R"("\u003c/script\u003e\u003c!--\u0026\u0027\"\u2028\u2029")");
  EXPECT_EQ((Value{{"<", 1}}).to_script_json(), R"({"\u003c":1})");
  EXPECT_EQ(parse_json(Value("</a>&'").to_script_json()).as_string(), "</a>&'");
}

}  // namespace
}  // namespace coax::value_test
