// Cookies: the field of a request in, pairs out; and Set-Cookie.
#include "coax/http/cookie.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "coax/base/error.hpp"

namespace coax::cookie_test {
namespace {

using http::Field;
using http::format_set_cookie;
using http::Pairs;
using http::Response;
using http::SameSite;
using http::SetCookie;
using namespace std::chrono_literals;

Pairs cookies_of_fields(const std::vector<std::string_view>& values) {
  std::vector<Field> fields{{"Host", "a"}};
  for (const std::string_view value : values) fields.push_back({"cookie", value});
  return http::parse_cookies(http::Fields(fields));
}
Pairs cookies_of(std::string_view value) { return cookies_of_fields({value}); }

std::string refusal_of(const SetCookie& cookie) {
  try {
    return format_set_cookie(cookie);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return "refused";
  }
}

}  // namespace

TEST(Cookies, are_pairs_of_the_request) {
  EXPECT_EQ(cookies_of(""), Pairs{});
  EXPECT_EQ(cookies_of("a=1"), (Pairs{{"a", "1"}}));
  EXPECT_EQ(cookies_of("a=1; b=2;c=3 ;; d = 4 ;"), (Pairs{{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}));
  EXPECT_EQ(cookies_of("a=b=c; e=;f"), (Pairs{{"a", "b=c"}, {"e", ""}}));
  EXPECT_EQ(cookies_of("a=\"1\"; b=\"; c=\"\"; d=x\"y"), (Pairs{{"a", "1"}, {"b", "\""}, {"c", ""}, {"d", "x\"y"}}));
  EXPECT_EQ(cookies_of("A=1; a=2"), (Pairs{{"A", "1"}, {"a", "2"}}));
  EXPECT_EQ(cookies_of_fields({"a=1", "b=2; a=3"}), (Pairs{{"a", "1"}, {"b", "2"}})) << "as HTTP/2 splits them";
}

TEST(Cookies, the_first_of_several_with_a_name_counts) {
  EXPECT_EQ(cookies_of("a=1; b=2; a=3; a=4"), (Pairs{{"a", "1"}, {"b", "2"}}));
}

TEST(Cookies, malformed_pairs_are_skipped) {
  EXPECT_EQ(cookies_of("=1; a; ; b c=2; \"d\"=3; e@=4; f,g=5; h=6"), (Pairs{{"h", "6"}}));
  EXPECT_EQ(cookies_of("$Version=1; a=1; \xC3\xA4=2"), (Pairs{{"$Version", "1"}, {"a", "1"}}));
  EXPECT_EQ(cookies_of(";"), Pairs{});
  EXPECT_EQ(cookies_of(";;;"), Pairs{});
  EXPECT_EQ(cookies_of("="), Pairs{});
}

TEST(Cookies, values_are_decoded_and_otherwise_kept) {
  EXPECT_EQ(cookies_of("a=%C3%A4%3B%25; b=%; c=%4; d=a b, c; e=\xFF"),
            (Pairs{{"a", "\xC3\xA4;%"}, {"b", "%"}, {"c", "%4"}, {"d", "a b, c"}, {"e", "\xFF"}}));
}

TEST(Cookies, thousands_are_harmless) {
  std::string field;
  for (int i = 0; i < 100'000; ++i) field += std::to_string(i) + "=;";
  EXPECT_EQ(cookies_of(field).size(), 100'000U);
}

TEST(SetCookie, has_its_attributes) {
  EXPECT_EQ(format_set_cookie({.name = "a"}), "a=; Path=/; HttpOnly; SameSite=Lax");
  EXPECT_EQ(format_set_cookie({.name = "a",
                               .value = "1",
                               .path = "/x",
                               .domain = "example.org",
                               .max_age = 90min,
                               .expires = std::chrono::system_clock::from_time_t(784111777),
                               .secure = true,
                               .http_only = false,
                               .same_site = SameSite::none,
                               .partitioned = true}),
            "a=1; Path=/x; Domain=example.org; Max-Age=5400; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Secure; "
            "SameSite=None; Partitioned");
  EXPECT_EQ(format_set_cookie({.name = "a", .max_age = -5s, .same_site = SameSite::strict}),
            "a=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
  EXPECT_EQ(format_set_cookie({.name = "a", .expires = std::chrono::sys_days(std::chrono::year(1969) / 12 / 31) + 23h}),
            "a=; Path=/; Expires=Wed, 31 Dec 1969 23:00:00 GMT; HttpOnly; SameSite=Lax");
}

TEST(SetCookie, a_value_of_any_bytes_is_read_again) {
  std::string all;
  for (int octet = 0; octet < 256; ++octet) all += static_cast<char>(octet);
  for (const std::string& value : {all, std::string("a; Domain=evil"), std::string("\r\nX: y"), std::string("\"q\""),
                                   std::string("100%41"), std::string("eyJhIjoxfQ==.a-b_c")}) {
    const std::string field = format_set_cookie({.name = "a", .value = value});
    const std::string_view pair = std::string_view(field).substr(0, field.find(';'));
    EXPECT_EQ(cookies_of(pair), (Pairs{{"a", value}}));
    EXPECT_TRUE(std::ranges::all_of(pair, [](char c) { return c > ' ' && c < '\x7F' && c != '"' && c != ','; }));
  }
  EXPECT_TRUE(format_set_cookie({.name = "a", .value = "eyJ9==.a-b_c:/"}).starts_with("a=eyJ9==.a-b_c:/;"));
}

TEST(SetCookie, that_browsers_would_ignore_is_refused) {
  const std::vector<SetCookie> table{
      {.name = ""},
      {.name = "a b"},
      {.name = "a=b"},
      {.name = "a;b"},
      {.name = "\xC3\xA4"},
      {.name = "a\r\nb"},
      {.name = "a", .path = ""},
      {.name = "a", .path = "x"},
      {.name = "a", .path = "/;x"},
      {.name = "a", .path = "/\r\n"},
      {.name = "a", .path = "/" + std::string(1024, 'x')},
      {.name = "a", .domain = "a;b"},
      {.name = "a", .domain = "a b"},
      {.name = "a", .domain = "\xC3\xA4.example"},
      {.name = "a", .same_site = SameSite::none},
      {.name = "a", .partitioned = true},
      {.name = "__Secure-a"},
      {.name = "__secure-a"},
      {.name = "__Host-a"},
      {.name = "__Host-a", .path = "/x", .secure = true},
      {.name = "__HOST-a", .domain = "example.org", .secure = true},
      {.name = "__Http-a"},
      {.name = "__http-a", .secure = true, .http_only = false},
      {.name = "__Host-Http-a", .path = "/x", .secure = true},
      {.name = "__Host-Http-a", .secure = true, .http_only = false},
  };
  for (const SetCookie& cookie : table) EXPECT_EQ(refusal_of(cookie), "refused");
  EXPECT_EQ(refusal_of({.name = "__Host-a", .secure = true}), "__Host-a=; Path=/; Secure; HttpOnly; SameSite=Lax");
  EXPECT_EQ(refusal_of({.name = "__Http-a", .path = "/x", .secure = true}),
            "__Http-a=; Path=/x; Secure; HttpOnly; SameSite=Lax");
  EXPECT_EQ(refusal_of({.name = "__Secure-a", .path = "/x", .secure = true}),
            "__Secure-a=; Path=/x; Secure; HttpOnly; SameSite=Lax");
  EXPECT_TRUE(refusal_of({.name = "a", .value = std::string(4095, 'x')}).starts_with("a=x"));
  EXPECT_EQ(refusal_of({.name = "a", .value = std::string(4096, 'x')}), "refused");
  EXPECT_EQ(refusal_of({.name = "a", .value = std::string(1366, '\xFF')}), "refused") << "as it is encoded";
}

TEST(SetCookie, is_a_field_of_a_response) {
  const Response response = Response::text("x").cookie({.name = "a", .value = "1"}).cookie({.name = "b"});
  EXPECT_EQ(response.headers, (Pairs{{"Set-Cookie", "a=1; Path=/; HttpOnly; SameSite=Lax"},
                                     {"Set-Cookie", "b=; Path=/; HttpOnly; SameSite=Lax"}}));
  EXPECT_EQ(Response::text("x").forget_cookie("a").headers[0].second,
            "a=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax");
  EXPECT_EQ(Response::text("x").forget_cookie("__Host-a").headers[0].second,
            "__Host-a=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly; SameSite=Lax");
  EXPECT_EQ(Response::text("x").forget_cookie("a", "/x", "example.org").headers[0].second,
            "a=; Path=/x; Domain=example.org; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; "
            "SameSite=Lax");
}

}  // namespace coax::cookie_test
