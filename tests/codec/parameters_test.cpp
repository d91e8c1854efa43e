// Field values with parameters, as programs in use send them.
#include "coax/codec/parameters.hpp"

#include <gtest/gtest.h>

#include "coax/codec/urlencoded.hpp"

namespace parameters_test {

using coax::http::decode_extended_value;
using coax::http::parse_parameters;
using coax::http::parse_urlencoded;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// "value|name=value|name=value", or "malformed".
std::string parsed(std::string_view text) {
  const auto result = parse_parameters(text);
  if (!result) return "malformed";
  std::string out = result->value;
  for (const auto& [name, value] : result->parameters) out += "|" + name + "=" + value;
  return out;
}

}  // namespace

TEST(Parameters, are_names_and_values) {
  const std::vector<std::pair<std::string_view, std::string_view>> table{
      {"text/html", "text/html"},
      {"Text/HTML ; Charset=UTF-8", "text/html|charset=UTF-8"},
      {"text/html;charset=\"utf-8\"", "text/html|charset=utf-8"},
      {"text/html;", "text/html"},
      {"text/html;;  ;a=b;", "text/html|a=b"},
      {"form-data; name=\"a;b=\\\"c\\\"\"; filename=x", "form-data|name=a;b=\"c\"|filename=x"},
      {"form-data; name=\"C:\\dir\\\\file\"", "form-data|name=C:\\dir\\file"},
      {"form-data; name=\"\"; filename=", "form-data|name=|filename="},
      {"form-data; name=\xC3\xA4", "form-data|name=\xC3\xA4"},
      {"multipart/form-data; boundary=----=_Part_1/2.3", "multipart/form-data|boundary=----=_Part_1/2.3"},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(parsed(text), expected) << text;
}

TEST(Parameters, that_programs_would_read_differently_are_malformed) {
  for (const std::string_view text :
       {"", ";a=b", "a b", "a;b", "a; =b", "a; b =c", "a; b=\"c", "a; b=\"c\\\"", "a; b=\"c\"d", "a; b=c d",
        "a; b=c\"d", "a; b=1; B=2", "a, b", "a; b=\r\nc", "a; b=\"\x01\"", "a; b@=c"}) {
    EXPECT_EQ(parsed(text), "malformed") << text;
  }
  std::string many = "a";
  for (int i = 0; i < 33; ++i) many += ";p" + std::to_string(i) + "=1";
  EXPECT_EQ(parsed(many), "malformed");
}

TEST(ExtendedValue, is_utf8_with_percents) {
  EXPECT_EQ(decode_extended_value("UTF-8''%e2%82%ac%20rates"), "\xE2\x82\xAC rates");
  EXPECT_EQ(decode_extended_value("utf-8'en'a%00"), std::string_view("a\0", 2));
  for (const std::string_view text :
       {"", "a", "utf-8'a", "iso-8859-1''%E4", "utf-8''%", "utf-8''%4", "utf-8''%zz", "utf-8''%ff", "''a"}) {
    EXPECT_EQ(decode_extended_value(text), std::nullopt) << text;
  }
}

TEST(Urlencoded, is_fields_as_browsers_send_them) {
  const std::vector<std::pair<std::string_view, Fields>> table{
      {"", {}},
      {"&&", {}},
      {"a=1&b=2&a=3", {{"a", "1"}, {"b", "2"}, {"a", "3"}}},
      {"a&b=&=c&=", {{"a", ""}, {"b", ""}, {"", "c"}, {"", ""}}},
      {"a+b=c%20d%26%3d%2Be", {{"a b", "c d&=+e"}}},
      {"a=b=c", {{"a", "b=c"}}},
      {"a=%&b=%4&c=%zz&d=%%41", {{"a", "%"}, {"b", "%4"}, {"c", "%zz"}, {"d", "%A"}}},
      {"a=%C3%A4&b=%e4&%ff=\xFF", {{"a", "\xC3\xA4"}, {"b", "\xEF\xBF\xBD"}, {"\xEF\xBF\xBD", "\xEF\xBF\xBD"}}},
      {"a=%00", {{"a", std::string("\0", 1)}}},
      {"a=1;b=2", {{"a", "1;b=2"}}},
      {"_charset_=iso-8859-1&a=%E4", {{"_charset_", "iso-8859-1"}, {"a", "\xEF\xBF\xBD"}}},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(parse_urlencoded(text, 100), expected) << text;
}

TEST(Urlencoded, has_at_most_so_many_fields) {
  EXPECT_TRUE(parse_urlencoded("a=1&b=2&&", 2));
  EXPECT_FALSE(parse_urlencoded("a=1&b=2&c", 2));
  EXPECT_TRUE(parse_urlencoded("&&", 0));
}

}  // namespace parameters_test
