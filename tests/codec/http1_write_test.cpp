// Heads as they are written, and what is refused because it would start another field or message.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "coax/base/error.hpp"
#include "coax/codec/http1.hpp"

namespace http1_write_test {

using coax::http1::Field;

TEST(AppendResponseHead, writes_the_status_line_and_the_fields) {
  std::string out = "x";
  coax::http1::append_response_head(out, 404, std::array{Field{"Content-Length", "0"}, Field{"X", "a\tb\x80"}});
  EXPECT_EQ(out, "xHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nX: a\tb\x80\r\n\r\n");
  out.clear();
  coax::http1::append_response_head(out, 299, {});
  EXPECT_EQ(out, "HTTP/1.1 299 \r\n\r\n");
}

TEST(AppendRequestHead, writes_the_request_line_and_the_fields) {
  std::string out;
  coax::http1::append_request_head(out, "GET", "/a?b", std::array{Field{"Host", "a"}});
  EXPECT_EQ(out, "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST(AppendHead, refuses_what_would_start_another_field) {
  using namespace std::string_view_literals;
  std::string out = "x";
  for (const std::string_view value : {"a\r\nY: b"sv, "a\n"sv, "a\r"sv, "a\0"sv, "\x7F"sv}) {
    EXPECT_THROW(coax::http1::append_response_head(out, 200, std::array{Field{"X", "a"}, Field{"X", value}}),
                 coax::Error);
  }
  for (const std::string_view name : {""sv, "X:"sv, "X Y"sv, "X\r\n"sv, "X\0"sv, "\x80"sv}) {
    EXPECT_THROW(coax::http1::append_response_head(out, 200, std::array{Field{name, "a"}}), coax::Error);
    EXPECT_THROW(coax::http1::append_request_head(out, name, "/", {}), coax::Error);
  }
  for (const std::string_view target : {""sv, "/ a"sv, "/\r\n"sv, "/\0"sv, "/\x80"sv}) {
    EXPECT_THROW(coax::http1::append_request_head(out, "GET", target, {}), coax::Error);
  }
  EXPECT_THROW(coax::http1::append_response_head(out, 99, {}), coax::Error);
  EXPECT_THROW(coax::http1::append_response_head(out, 1000, {}), coax::Error);
  EXPECT_EQ(out, "x");
  try {
    coax::http1::append_response_head(out, 200, std::array{Field{"X", "\r\n"}});
  } catch (const coax::Error& error) {
    EXPECT_EQ(error.kind(), coax::ErrorKind::invalid);
    EXPECT_STREQ(error.what(), "write the field X: its value has control characters");
  }
}

TEST(ReasonPhrase, names_the_status) {
  EXPECT_EQ(coax::http1::reason_phrase(200), "OK");
  EXPECT_EQ(coax::http1::reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(coax::http1::reason_phrase(299), "");
}

}  // namespace http1_write_test
