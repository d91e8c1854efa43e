// Conditional requests and ranges of static files (RFC 9110, sections 13 and 14).
#include "tests/http/folder.hpp"

namespace folder_conditions_test {

using namespace coax;
using namespace coax::test;

// --- preconditions: RFC 9110, section 13 ---

TEST_F(HttpFolder, preconditions_have_the_status_of_rfc_9110) {
  const std::string tag = etag();
  const std::string same = "Sun, 06 Nov 1994 08:49:37 GMT";
  const std::string before = "Sun, 06 Nov 1994 08:49:36 GMT";
  const std::string after = "Sun, 06 Nov 1994 08:49:38 GMT";
  for (const auto& [fields, status] : std::initializer_list<std::pair<std::string, int>>{
           {"If-None-Match: " + tag, 304},
           {"If-None-Match: W/" + tag, 304},  // weak comparison
           {"If-None-Match: *", 304},
           {"If-None-Match: \"x\"", 200},
           {"If-None-Match: \"x\", " + tag, 304},
           {"If-None-Match: \"x\"," + tag + ",\"y\"", 304},
           {"If-None-Match: , ,\"x\" , " + tag + " ,", 304},
           {"If-None-Match: \"x\"\r\nIf-None-Match: " + tag, 304},
           {"If-None-Match: \"a,b\", " + tag, 304},                      // a comma within quotes
           {"If-None-Match: \"a, " + tag.substr(1), 200},                // the tag as a part of another one
           {"If-None-Match: " + tag.substr(1, tag.size() - 2), 200},     // without quotes
           {"If-None-Match: w/" + tag, 200},                             // "W/" is case-sensitive
           {"If-None-Match: \"x\" " + tag, 200},                         // no comma
           {"If-None-Match: \"x\"\r\nIf-Modified-Since: " + same, 200},  // the date is ignored
           {"If-None-Match: " + tag + "\r\nIf-Modified-Since: " + before, 304},
           {"If-None-Match:\r\nIf-Modified-Since: " + same, 200},
           {"If-Modified-Since: " + same, 304},
           {"If-Modified-Since: " + after, 304},
           {"If-Modified-Since: " + before, 200},
           {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", 304},
           {"If-Modified-Since: Sun Nov  6 08:49:37 1994", 304},
           {"If-Modified-Since: Sun Nov 06 08:49:37 1994", 304},
           {"If-Modified-Since: Mon, 06 Nov 1994 08:49:37 GMT", 200},  // it was a Sunday
           {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37", 200},
           {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 +0000", 200},
           {"If-Modified-Since: Sun, 06 Nov 1994 24:00:00 GMT", 200},
           {"If-Modified-Since: Sun, 6 Nov 1994 08:49:37 GMT", 200},
           {"If-Modified-Since: 784111777", 200},
           {"If-Modified-Since: " + same + "\r\nIf-Modified-Since: " + same, 200},
           {"If-Match: " + tag, 200},
           {"If-Match: *", 200},
           {"If-Match: W/" + tag, 412},  // strong comparison
           {"If-Match: \"x\"", 412},
           {"If-Match: \"x\", " + tag, 200},
           {"If-Match: garbage", 412},
           {"If-Match: " + tag + "\r\nIf-Unmodified-Since: " + before, 200},  // the date is ignored
           {"If-Match: " + tag + "\r\nIf-None-Match: " + tag, 304},
           {"If-Match: \"x\"\r\nIf-None-Match: " + tag, 412},
           {"If-Unmodified-Since: " + same, 200},
           {"If-Unmodified-Since: " + after, 200},
           {"If-Unmodified-Since: " + before, 412},
           {"If-Unmodified-Since: garbage", 200},
           {"If-Unmodified-Since: " + before + "\r\nIf-Modified-Since: " + same, 412},
           {"If-None-Match: " + tag + "\r\nRange: bytes=0-1", 304},  // before the range
           {"If-Match: \"x\"\r\nRange: bytes=0-1", 412},
           {"If-None-Match: " + tag + "\r\nRange: bytes=99-", 304},
       }) {
    EXPECT_EQ(status_of(ask("/s/digits.txt", fields + "\r\n")), status) << fields;
    if (!fields.contains("Range")) {
      EXPECT_EQ(status_of(ask("/s/digits.txt", fields + "\r\n", "HEAD")), status) << fields;
    }
  }
}

TEST_F(HttpFolder, not_modified_has_validator_and_caching_alone) {
  EXPECT_EQ(ask("/s/digits.txt", "If-None-Match: *\r\n"),
            "HTTP/1.1 304 Not Modified\r\nETag: " + etag() + "\r\nCache-Control: no-cache\r\n\r\n");
}

TEST_F(HttpFolder, missing_file_is_404_whatever_the_preconditions_are) {
  EXPECT_EQ(status_of(ask("/s/none", "If-None-Match: *\r\n")), 404);
  EXPECT_EQ(status_of(ask("/s/none", "If-Match: *\r\n")), 404);
}

TEST_F(HttpFolder, etag_changes_with_content_of_the_same_size) {
  const std::string before = etag();
  write("new", "9876543210", sunday);
  std::filesystem::rename(at("new"), at("digits.txt"));
  EXPECT_EQ(status_of(ask("/s/digits.txt", "If-None-Match: " + before + "\r\n")), 200);
}

// --- ranges: RFC 9110, section 14 ---

TEST_F(HttpFolder, one_range_is_206) {
  for (const auto& [range, sent, bytes] : std::initializer_list<std::array<std::string_view, 3>>{
           {"bytes=0-0", "0-0", "0"},
           {"bytes=2-4", "2-4", "234"},
           {"bytes=7-", "7-9", "789"},
           {"bytes=-3", "7-9", "789"},
           {"bytes=-99", "0-9", "0123456789"},
           {"bytes=0-", "0-9", "0123456789"},
           {"bytes=5-99", "5-9", "56789"},
           {"bytes=9-9", "9-9", "9"},
           {"bytes=8-18446744073709551615", "8-9", "89"},
           {"bytes=8-99999999999999999999999999", "8-9", "89"},
           {"bytes=-99999999999999999999999999", "0-9", "0123456789"},
           {"BYTES=1-2", "1-2", "12"},
           {"bytes=,1-2 ,", "1-2", "12"},
           {"bytes=1-2,99-", "1-2", "12"},      // one is not satisfiable
           {"bytes=0-3,2-5", "0-5", "012345"},  // overlapping
           {"bytes=4-5,2-3", "2-5", "2345"},    // adjoining
           {"bytes=0-,0-,0-,0-", "0-9", "0123456789"},
       }) {
    EXPECT_EQ(ask("/s/digits.txt", fmt::format("Range: {}\r\n", range)), part(sent, bytes)) << range;
  }
}

TEST_F(HttpFolder, unsatisfiable_range_is_416) {
  for (const std::string_view range : {"bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99-,10-", "bytes=-0,-0",
                                       "bytes=18446744073709551615-", "bytes=99999999999999999999999-"}) {
    EXPECT_EQ(ask("/s/digits.txt", fmt::format("Range: {}\r\n", range)),
              "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Range: bytes */10\r\nContent-Length: 26\r\n\r\n416 Range Not Satisfiable\n")
        << range;
  }
}

TEST_F(HttpFolder, malformed_range_is_ignored) {
  std::string many = "bytes=0-0";
  for (int number = 0; number < 16; ++number) many += ",0-0";
  for (const std::string& range :
       {std::string("bytes=3-2"), std::string("bytes="), std::string("bytes=-"), std::string("bytes=a-b"),
        std::string("bytes=1"), std::string("bytes 0-1"), std::string("items=0-1"), std::string("bytes=+1-2"),
        std::string("bytes=1 - 2"), std::string("bytes=0x1-2"), std::string("bytes=--1"), std::string("bytes=0--1"),
        std::string("bytes=1-2-3"), std::string("bytes=0-1;2-3"), std::string("bytes=0-1,x"), std::string("bytes=,"),
        std::string("bytes =0-1"), many, std::string("bytes=0-1\r\nRange: bytes=2-3")}) {
    EXPECT_EQ(ask("/s/digits.txt", "Range: " + range + "\r\n"), whole()) << range;
  }
}

TEST_F(HttpFolder, range_of_head_is_ignored) {
  EXPECT_EQ(ask("/s/digits.txt", "Range: bytes=0-1\r\n", "HEAD"), head("200 OK", "", 10));
}

TEST_F(HttpFolder, several_ranges_are_multipart) {
  const std::string response = ask("/s/digits.txt", "Range: bytes=7-8, 0-1,-1,99-\r\n");
  const std::string type = field_of(response, "Content-Type");
  ASSERT_TRUE(type.starts_with("multipart/byteranges; boundary=")) << response;
  const std::string boundary = type.substr(type.find('=') + 1);
  // 7-8 and 9-9 adjoin: they are one, and the order is that of the file.
  const std::string body =
      "--" + boundary + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n--" +
      boundary + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 7-9/10\r\n\r\n789\r\n--" +
      boundary + "--\r\n";
  EXPECT_EQ(body_of(response), body);
  EXPECT_EQ(field_of(response, "Content-Length"), std::to_string(body.size()));
  EXPECT_EQ(field_of(response, "Content-Range"), "");
}

TEST_F(HttpFolder, several_ranges_keep_the_order_of_the_client) {
  const std::string body = body_of(ask("/s/digits.txt", "Range: bytes=7-8,0-1\r\n"));
  EXPECT_LT(body.find("bytes 7-8/10"), body.find("bytes 0-1/10"));
}

TEST_F(HttpFolder, long_parts_are_whole) {
  std::string bytes(500'000, 'x');
  for (std::size_t index = 0; index < bytes.size(); ++index) bytes[index] = static_cast<char>('a' + index % 23);
  write("long.bin", bytes);
  const std::string body = body_of(ask("/s/long.bin", "Range: bytes=1-200000,300000-\r\n"));
  EXPECT_TRUE(body.contains("\r\n\r\n" + bytes.substr(1, 200'000) + "\r\n--"));
  EXPECT_TRUE(body.contains("\r\n\r\n" + bytes.substr(300'000) + "\r\n--"));
}

TEST_F(HttpFolder, if_range_compares_strongly) {
  const std::string tag = etag();
  for (const auto& [condition, status] : std::initializer_list<std::pair<std::string, int>>{
           {tag, 206},
           {"W/" + tag, 200},
           {"\"x\"", 200},
           {"*", 200},
           {"\"x\", " + tag, 200},
           {"", 200},
           {"garbage", 200},
           {"Sun, 06 Nov 1994 08:49:37 GMT", 206},
           {"Sunday, 06-Nov-94 08:49:37 GMT", 206},
           {"Sun, 06 Nov 1994 08:49:38 GMT", 200},  // exactly, not "since"
           {"Sun, 06 Nov 1994 08:49:36 GMT", 200},
       }) {
    EXPECT_EQ(status_of(ask("/s/digits.txt", "Range: bytes=0-1\r\nIf-Range: " + condition + "\r\n")), status)
        << condition;
  }
  EXPECT_EQ(ask("/s/digits.txt", "Range: bytes=99-\r\nIf-Range: \"x\"\r\n"), whole());
  EXPECT_EQ(ask("/s/digits.txt", "If-Range: " + tag + "\r\n"), whole());
}

}  // namespace folder_conditions_test
