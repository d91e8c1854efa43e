// Targets of requests: path and query, decoded.
#include "coax/codec/url.hpp"

#include <gtest/gtest.h>

namespace url_test {

using coax::encode_url;
using coax::parse_absolute_target;
using coax::parse_target;
using Pairs = std::vector<std::pair<std::string, std::string>>;

namespace {

std::string path_of(std::string_view target) {
  const auto parsed = parse_target(target);
  if (coax::is_plain_path(target)) EXPECT_EQ(parsed.value().path, target);
  return parsed ? parsed->path : "(nothing)";
}

Pairs query_of(std::string_view target) {
  const auto parsed = parse_target(target);
  return parsed ? parsed->query : Pairs{{"(nothing)", ""}};
}

}  // namespace

TEST(Path, is_decoded_once) {
  EXPECT_EQ(path_of("/"), "/");
  EXPECT_EQ(path_of("/a/b.html"), "/a/b.html");
  EXPECT_EQ(path_of("/a%20b"), "/a b");
  EXPECT_EQ(path_of("/caf%C3%A9%c3%a9"), "/caféé");
  EXPECT_EQ(path_of("/%2541"), "/%41");
  EXPECT_EQ(path_of("/a+b"), "/a+b");
}

TEST(Path, keeps_the_slash_at_its_end) {
  EXPECT_EQ(path_of("/a/"), "/a/");
  EXPECT_EQ(path_of("/a/."), "/a/");
  EXPECT_EQ(path_of("/a/b/.."), "/a/");
}

TEST(Path, has_no_dot_segments_and_no_empty_ones) {
  EXPECT_EQ(path_of("/a/./b"), "/a/b");
  EXPECT_EQ(path_of("/a/../b"), "/b");
  EXPECT_EQ(path_of("/a/b/c/../../d"), "/a/d");
  EXPECT_EQ(path_of("//a///b"), "/a/b");
  EXPECT_EQ(path_of("/a//../b"), "/b");
  EXPECT_EQ(path_of("/.a/..b/..."), "/.a/..b/...");
}

TEST(Path, does_not_lead_above_the_root) {
  EXPECT_EQ(path_of("/.."), "/");
  EXPECT_EQ(path_of("/../../etc/passwd"), "/etc/passwd");
  EXPECT_EQ(path_of("/a/../../../b"), "/b");
  EXPECT_EQ(path_of("/%2e%2e/%2E./b"), "/b");
  EXPECT_EQ(path_of("/a/%2e/b"), "/a/b");
}

TEST(Path, refuses_what_would_mislead) {
  for (const char* target : {"/..%2f..%2Fetc", "/a%00", "/%", "/%4", "/%4g", "/%g4", "/%+1", "/% 1", "/%-1", "/a#b", "",
                             "a", "*", "?", "http://a/b", "a:80"}) {
    EXPECT_EQ(path_of(target), "(nothing)") << target;
  }
  EXPECT_EQ(path_of(std::string_view("/a\0b", 4)), "(nothing)");
}

TEST(Path, keeps_an_encoded_slash_within_its_segment) {
  EXPECT_EQ(path_of("/a%2Fb/c"), std::string("/a\0b/c", 6));
  EXPECT_EQ(path_of("/%2F"), std::string("/\0", 2));
  EXPECT_EQ(path_of("/a%252Fb"), "/a%2Fb");
  EXPECT_EQ(path_of("/x/.%2F/y"), "(nothing)");
}

TEST(AbsoluteTarget, is_an_authority_and_the_rest) {
  const auto absolute = parse_absolute_target("http://a.example:80/x?y");
  ASSERT_TRUE(absolute);
  EXPECT_EQ(absolute->authority, "a.example:80");
  EXPECT_EQ(absolute->rest, "/x?y");
  EXPECT_EQ(parse_absolute_target("HTTPS://a?y")->rest, "?y");
  EXPECT_EQ(parse_absolute_target("http://a")->rest, "");
  for (const char* target : {"/x", "http:/a", "http://", "http:///x", "ftp://a/", "http://user@a/", "a:80", "*"}) {
    EXPECT_FALSE(parse_absolute_target(target)) << target;
  }
}

TEST(HostAndPort, follows_rfc_3986) {
  for (const char* good : {"a", "a.example", "a.example.", "a:80", "a:", "a:0", "a:00080", "a:65535", "127.0.0.1:1",
                           "a_b", "xn--caf-dma.example", "caf%C3%A9", "!$&'()*+,;=", "[::1]", "[::1]:80",
                           "[::1]:", "[2001:db8::1]", "[::ffff:192.0.2.1]:443"}) {
    EXPECT_TRUE(coax::is_host_and_port(good)) << good;
  }
  for (const char* bad :
       {"",        ":80",    ":",           "a b",    "a:b",         "a:65536", "a:99999", "a:-1",      "a:+1",
        "a: 1",    "a:1:2",  "::1",         "::1:80", "[::1",        "::1]",    "[",       "[]",        "[]:80",
        "[::1]80", "[::1]a", "[::1]:65536", "[a]",    "[127.0.0.1]", "[::1%1]", "[v1.a]",  "[1::2::3]", "[::1]]",
        "a[::1]",  "a]",     "u@a",         "u:p@a",  "a/",          "a?",      "a#",      "a%",        "a%4",
        "a%zz",    "a\\b",   "a\"b",        "<a>",    "caf\xC3\xA9", "a\x7F"}) {
    EXPECT_FALSE(coax::is_host_and_port(bad)) << bad;
  }
  EXPECT_FALSE(coax::is_host_and_port(std::string_view("[::1\0]", 6)));
  EXPECT_FALSE(coax::is_host_and_port("[" + std::string(100, '1') + "]"));
}

TEST(Path, is_plain_when_there_is_nothing_to_decode_or_leave_out) {
  for (const char* target : {"/", "/a", "/a/b.html", "/a/", "/a+b;c=d&e"}) {
    EXPECT_TRUE(coax::is_plain_path(target)) << target;
  }
  for (const char* target : {"", "a", "*", "//", "/a//b", "/.a", "/a/..", "/a?", "/a#", "/a%41"}) {
    EXPECT_FALSE(coax::is_plain_path(target)) << target;
  }
  EXPECT_FALSE(coax::is_plain_path(std::string_view("/a\0b", 4)));
}

TEST(Query, is_pairs_as_forms_write_them) {
  EXPECT_EQ(query_of("/"), Pairs{});
  EXPECT_EQ(query_of("/?"), Pairs{});
  EXPECT_EQ(query_of("/?a=1&b=2"), (Pairs{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(query_of("/?a=1&a=2"), (Pairs{{"a", "1"}, {"a", "2"}}));
  EXPECT_EQ(query_of("/?a&b=&=c"), (Pairs{{"a", ""}, {"b", ""}, {"", "c"}}));
  EXPECT_EQ(query_of("/?&a=1&&"), (Pairs{{"a", "1"}}));
  EXPECT_EQ(query_of("/?a=b=c?d/.."), (Pairs{{"a", "b=c?d/.."}}));
  EXPECT_EQ(query_of("/?a+b=c%20d%26%3D%2Fe%2B"), (Pairs{{"a b", "c d&=/e+"}}));
}

TEST(Url, whole_one_is_encoded_once) {
  EXPECT_EQ(encode_url("https://a.example:8/b/?c=d&e=%20#f"), "https://a.example:8/b/?c=d&e=%20#f");
  EXPECT_EQ(encode_url("/\xC3\xBC b\t\"<>\\^`{|}"), "/%C3%BC%20b%09%22%3C%3E%5C%5E%60%7B%7C%7D");
  EXPECT_EQ(encode_url("%%41%4%zz%"), "%25%41%254%25zz%25");
}

TEST(Query, refuses_a_malformed_percent_and_nul) {
  for (const char* target : {"/?%", "/?a=%4", "/?a=%zz", "/?%00=a", "/?a=%00"}) {
    EXPECT_EQ(parse_target(target), std::nullopt) << target;
  }
}

}  // namespace url_test
