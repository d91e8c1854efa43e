// multipart/form-data: literal bytes in, events out; from browsers, curl, Python, and what has misled other parsers.
#include "coax/codec/multipart.hpp"

#include <gtest/gtest.h>

#include "tests/codec/pieces.hpp"

namespace multipart_test {

using coax::http::multipart_boundary;
using coax::http::MultipartDecoder;
using coax::http::MultipartEvent;
using coax::http::MultipartLimits;

namespace {

// "[name|filename|type]content;" for each part, then "end" or the error. Data of several events is joined, so that the
// result does not depend on how the input is split.
std::string decode(std::string_view boundary, const coax::test::Pieces& pieces, const MultipartLimits& limits = {}) {
  MultipartDecoder decoder(boundary, limits);
  std::string out;
  for (const auto& piece : pieces) {
    decoder.feed(std::span(piece));
    while (true) {
      const auto event = decoder.next();
      if (!event) {
        EXPECT_FALSE(decoder.next());
        return out + "!" + std::string(event.error().reason) + (event.error().is_limit ? " (limit)" : "");
      }
      if (!*event) break;
      switch ((*event)->kind) {
        case MultipartEvent::Kind::part:
          out += "[" + decoder.part().name + "|" + decoder.part().filename.value_or("-") + "|" +
                 decoder.part().content_type + "]";
          break;
        case MultipartEvent::Kind::data:
          EXPECT_FALSE((*event)->data.empty());
          out += (*event)->data.text();
          break;
        case MultipartEvent::Kind::part_end: out += ";"; break;
        case MultipartEvent::Kind::end: out += "end"; break;
      }
    }
  }
  if (const auto end = decoder.finish(); !end) out += "!" + std::string(end.error().reason);
  return out;
}

// However it is cut, and cut in two at every place.
std::string decode(std::string_view boundary, std::string_view body, const MultipartLimits& limits = {}) {
  const std::string whole = coax::test::however_it_is_cut(
      body, [&](const coax::test::Pieces& pieces) { return decode(boundary, pieces, limits); });
  for (std::size_t at = 1; at < std::min<std::size_t>(body.size(), 2000); ++at) {
    const std::string_view first = body.substr(0, at);
    const std::string_view second = body.substr(at);
    EXPECT_EQ(decode(boundary, {{first.begin(), first.end()}, {second.begin(), second.end()}}, limits), whole) << at;
  }
  return whole;
}

std::string disposition(std::string_view parameters) {
  const std::string body = "--b\r\nContent-Disposition: form-data" + std::string(parameters) + "\r\n\r\nx\r\n--b--\r\n";
  return decode("b", body);
}

std::string part(std::string_view content) {
  return "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + std::string(content) + "\r\n";
}

}  // namespace

TEST(Multipart, of_chromium) {
  EXPECT_EQ(decode("----WebKitFormBoundary7MA4YWxkTrZu0gW",
                   "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n"
                   "Content-Disposition: form-data; name=\"title\"\r\n"
                   "\r\n"
                   "Gr\xC3\xBC\xC3\x9F"
                   "e\r\n"
                   "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n"
                   "Content-Disposition: form-data; name=\"file\"; filename=\"a %22b%22\xE2\x82\xAC.txt\"\r\n"
                   "Content-Type: text/plain\r\n"
                   "\r\n"
                   "hello\r\nworld\r\n\r\n"
                   "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n"
                   "Content-Disposition: form-data; name=\"none\"; filename=\"\"\r\n"
                   "Content-Type: application/octet-stream\r\n"
                   "\r\n"
                   "\r\n"
                   "------WebKitFormBoundary7MA4YWxkTrZu0gW--\r\n"),
            "[title|-|text/plain]Gr\xC3\xBC\xC3\x9F"
            "e;[file|a \"b\"\xE2\x82\xAC.txt|text/plain]hello\r\nworld\r\n;[none||application/octet-stream];end");
}

TEST(Multipart, of_curl) {
  EXPECT_EQ(decode("------------------------d74496d66958873e",
                   "--------------------------d74496d66958873e\r\n"
                   "Content-Disposition: form-data; name=\"person\"\r\n"
                   "\r\n"
                   "anonymous\r\n"
                   "--------------------------d74496d66958873e\r\n"
                   "Content-Disposition: form-data; name=\"secret\"; filename=\"file.bin\"\r\n"
                   "Content-Type: application/octet-stream\r\n"
                   "\r\n"
                   "\x01\xFF\r\r\n-\r\n--\r\n---\r\n"
                   "--------------------------d74496d66958873e--\r\n"),
            "[person|-|text/plain]anonymous;"
            "[secret|file.bin|application/octet-stream]\x01\xFF\r\r\n-\r\n--\r\n---;end");
}

TEST(Multipart, of_python_requests) {  // with filename* of urllib3 before 2.0, and no CRLF at the end
  EXPECT_EQ(decode("0a7c8f4dd8e3c6ba",
                   "--0a7c8f4dd8e3c6ba\r\n"
                   "Content-Disposition: form-data; name=\"note\"\r\n\r\n"
                   "hi\r\n"
                   "--0a7c8f4dd8e3c6ba\r\n"
                   "Content-Disposition: form-data; name=\"f\"; filename*=utf-8''na%C3%AFve.txt\r\n"
                   "\r\n"
                   "x\r\n"
                   "--0a7c8f4dd8e3c6ba--"),
            "[note|-|text/plain]hi;[f|na\xC3\xAFve.txt|text/plain]x;end");
}

TEST(Multipart, of_aiohttp_and_java) {
  EXPECT_EQ(decode("b",
                   "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=\"a\"\r\n"
                   "Content-Length: 1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n--b--\r\n"),
            "[a|-|text/plain; charset=utf-8]x;end");
}

TEST(Multipart, may_have_no_parts_and_empty_ones) {
  EXPECT_EQ(decode("b", "--b--\r\n"), "end");
  EXPECT_EQ(decode("b", "--b--"), "end");
  EXPECT_EQ(decode("b", "\r\n--b--"), "end");
  EXPECT_EQ(decode("b", part("") + "--b--"), "[a|-|text/plain];end");
  EXPECT_EQ(decode("b", "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--"), "[a|-|text/plain];end");
  EXPECT_EQ(decode("b", part("\r\n") + "--b--"), "[a|-|text/plain]\r\n;end");
  EXPECT_EQ(decode("b", part("") + part("") + "--b--"), "[a|-|text/plain];[a|-|text/plain];end");
}

TEST(Multipart, preamble_and_epilogue_are_ignored) {
  EXPECT_EQ(decode("b", "This is\r\n--bx\r\na message --b\r\n" + part("1") + "--b--\r\nepilogue\r\n" + part("2")),
            "[a|-|text/plain]1;end");
  EXPECT_EQ(decode("b", " " + part("1")), "!the body ends before its closing boundary");
  EXPECT_EQ(decode("b", "--b--trailing text"), "end");
}

TEST(Multipart, lines_that_only_start_like_a_boundary_are_content) {
  for (const std::string_view content :
       {"\r\n--", "\r\n--bc", "\r\n--bb--", "\r\n--b-", "\r\n--b-x", "\r\n--b-\r\n--c", "x--b\r", "\r", "\n", "\r\r\n-",
        "\n--b\n", "\r\n--\r\n--\r\n--", "\r\n\r\n\r\n-b", "-\r\n", "--b\xFF", "--", "--c\r\n--"}) {
    EXPECT_EQ(decode("b", part(content) + "--b--"), "[a|-|text/plain]" + std::string(content) + ";end") << content;
  }
  EXPECT_EQ(decode("b", part("x--b\r\n--B\r\n --b") + "--b--"), "[a|-|text/plain]x--b\r\n--B\r\n --b;end");
}

TEST(Multipart, a_boundary_may_have_white_space_behind_it) {
  EXPECT_EQ(decode("b", "--b \t \r\n" + part("1").substr(5) + "--b \t--\r\n"),
            "[a|-|text/plain]1;!a boundary with other text in its line");
  EXPECT_EQ(decode("b", "--b \t \r\n" + part("1").substr(5) + "--b-- \t\r\n"), "[a|-|text/plain]1;end");
}

TEST(Multipart, a_boundary_may_have_any_of_its_characters) {
  const std::string boundary = "a'()+_,-./:=? 9";
  EXPECT_EQ(decode(boundary, "--" + boundary + "\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--a'()\r\n--" +
                                 boundary + "--"),
            "[a|-|text/plain]x\r\n--a'();end");
  EXPECT_EQ(decode("-", "---\r\nContent-Disposition: form-data; name=a\r\n\r\n--\r\n-----\r\n"),
            "[a|-|text/plain]--;end");
}

TEST(Multipart, malformed_bodies_have_a_reason) {
  const std::string_view head = "--b\r\nContent-Disposition: form-data; name=a\r\n";
  const std::vector<std::pair<std::string, std::string_view>> table{
      {"", "!the body ends before its closing boundary"},
      {"--b", "!the body ends before its closing boundary"},
      {"--b-", "!the body ends before its closing boundary"},
      {"--b\r\n", "!the body ends before its closing boundary"},
      {std::string(head), "!the body ends before its closing boundary"},
      {part("x"), "[a|-|text/plain]x!the body ends before its closing boundary"},
      {part("x") + "--b\r\n", "[a|-|text/plain]x;!the body ends before its closing boundary"},
      {"--b\nContent-Disposition: form-data; name=a\n\nx\n--b--\n",
       "!a boundary whose line ends with LF instead of CRLF"},
      {"--b\rX", "!a boundary whose line ends with CR instead of CRLF"},
      {"--b \n", "!a boundary with other text in its line"},
      {"--b\r\nContent-Disposition: form-data; name=a\n\nx",
       "!a header field of a part whose line ends with LF instead of CRLF"},
      {std::string(head) + " folded\r\n\r\n", "!a malformed header field of a part"},
      {std::string(head) + "no colon\r\n\r\n", "!a malformed header field of a part"},
      {std::string(head) + "space : x\r\n\r\n", "!a malformed header field of a part"},
      {std::string(head) + "control: \x01\r\n\r\n", "!a malformed header field of a part"},
      {std::string(head) + "cr: a\rb\r\n\r\n", "!a malformed header field of a part"},
      {"--b\r\n--b\r\n\r\n", "!a malformed header field of a part"},
      {"--b\r\n\r\nx", "!a part without Content-Disposition"},
      {std::string(head) + "content-disposition: form-data; name=b\r\n\r\n",
       "!a part with two header fields of the same kind"},
      {std::string(head) + "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n",
       "!a part with two header fields of the same kind"},
      {std::string(head) + "Content-Transfer-Encoding: base64\r\n\r\n",
       "!a part in a transfer encoding, which form-data does not have"},
  };
  for (const auto& [body, expected] : table) EXPECT_EQ(decode("b", body), expected) << body;
}

TEST(Multipart, names_are_as_clients_escape_them) {
  const std::vector<std::pair<std::string_view, std::string_view>> table{
      {"; name=\"a\"; filename=\"b\"", "[a|b|text/plain]x;end"},
      {"; NAME=a; FileName=b", "[a|b|text/plain]x;end"},
      {"; name=\"\"", "[|-|text/plain]x;end"},
      {"; name=\"a%22b%0D%0ac%41%\"", "[a\"b\r\nc%41%|-|text/plain]x;end"},
      {"; name=\"a\\\"b\\\\c\\d\"", "[a\"b\\c\\d|-|text/plain]x;end"},
      {"; name=\"a; filename=\\\"b\\\"\"", "[a; filename=\"b\"|-|text/plain]x;end"},
      // of clients that escape nothing by a backslash (WHATWG HTML)
      {R"(; name="a"; filename="x\")", "[a||text/plain]x;end"},
      {R"(; name="x\")", R"([x\|-|text/plain]x;end)"},
      {R"(; name="dir\"; filename="a;b")", R"([dir\|a;b|text/plain]x;end)"},
      {R"(; name="dir\" ; filename="")", R"([dir\||text/plain]x;end)"},
      {R"(; name="dir\"; filename="x\")", R"([dir\||text/plain]x;end)"},
      {R"(; name="a\"b"; filename="x\")", R"([a"b||text/plain]x;end)"},
      {R"(; name="a\"; b")", R"([a"; b|-|text/plain]x;end)"},
      {R"(; name="a\\"; filename="b")", R"([a\|b|text/plain]x;end)"},
      {R"(; name="a\"b)", "!a part with a malformed Content-Disposition"},
      {R"(; name="a\)", "!a part with a malformed Content-Disposition"},
      {"; name=\"a\xFF\"", "[a\xEF\xBF\xBD|-|text/plain]x;end"},
      {"; name*=utf-8''%C3%A4", "[\xC3\xA4|-|text/plain]x;end"},
      {"; name=a; filename=\"x\"; filename*=UTF-8''%e2%82%ac", "[a|\xE2\x82\xAC|text/plain]x;end"},
      {"; name=a; filename=\"x\"; filename*=iso-8859-1''%E4", "[a|x|text/plain]x;end"},
      {"; name=a; filename*=utf-8''..%2F..%2Fetc%2Fpass%00wd", "[a|pass_wd|text/plain]x;end"},
      {"; name", "!a part with a malformed Content-Disposition"},
      {"; name=\"a", "!a part with a malformed Content-Disposition"},
      {"; name=\"a\"b\"", "!a part with a malformed Content-Disposition"},
      {"; name=a; name=b", "!a part with a malformed Content-Disposition"},
      {"; name=a; filename=b; filename=c", "!a part with a malformed Content-Disposition"},
      {"; filename=a", "!a part without a name"},
      {"", "!a part without a name"},
  };
  for (const auto& [parameters, expected] : table) EXPECT_EQ(disposition(parameters), expected) << parameters;
  EXPECT_EQ(decode("b", "--b\r\nContent-Disposition: attachment; name=a\r\n\r\n"),
            "!a part whose Content-Disposition is not form-data");
}

TEST(Multipart, a_file_name_is_a_base_name) {
  const std::vector<std::pair<std::string_view, std::string_view>> table{
      {"a.txt", "a.txt"},
      {"/etc/passwd", "passwd"},
      {"..\\..\\x", "x"},
      {"C:\\dir\\file.txt", "file.txt"},
      {"\\\\\\\\server\\\\share\\\\f", "f"},
      {".", ""},
      {"..", ""},
      {"a/..", ""},
      {"a/", ""},
      {"...", "..."},
      {".bashrc", ".bashrc"},
      {"a%2Fb", "a%2Fb"},
      {"a%0D%0Ab", "a__b"},
      {"a\xE2\x80\xAE"
       "txt.exe",
       "a_txt.exe"},
      {"", ""},
  };
  for (const auto& [sent, expected] : table) {
    EXPECT_EQ(disposition("; name=a; filename=\"" + std::string(sent) + "\""),
              "[a|" + std::string(expected) + "|text/plain]x;end")
        << sent;
  }
}

TEST(Multipart, has_limits) {
  EXPECT_EQ(decode("b", part("1") + part("2") + "--b--", {.parts_max = 2}), "[a|-|text/plain]1;[a|-|text/plain]2;end");
  EXPECT_EQ(decode("b", part("1") + part("2") + "--b--", {.parts_max = 1}),
            "[a|-|text/plain]1;!too many parts (limit)");
  EXPECT_EQ(decode("b", part("1") + "--b--", {.head_bytes_max = 44}), "[a|-|text/plain]1;end");
  EXPECT_EQ(decode("b", part("1") + "--b--", {.head_bytes_max = 43}),
            "!header fields of a part that are too long (limit)");
  const std::string endless = "--b\r\n" + std::string(20'000, 'x');
  EXPECT_EQ(decode("b", endless), "!header fields of a part that are too long (limit)");
}

TEST(Multipart, content_is_not_copied) {
  const std::string body = part("some content") + "--b--";
  MultipartDecoder decoder("b");
  decoder.feed(body);
  ASSERT_EQ(decoder.next().value()->kind, MultipartEvent::Kind::part);
  const auto data = decoder.next().value()->data;
  EXPECT_EQ(data.data(), body.data() + body.find("some"));
  EXPECT_EQ(data, "some content");
}

TEST(MultipartBoundary, is_a_parameter_of_the_type) {
  const std::string longest(70, 'x');
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(multipart_boundary("Multipart/Form-Data; charset=utf-8; BOUNDARY=\"a b\""), "a b");
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=----=_Part_1.2:3/4"), "----=_Part_1.2:3/4");
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=" + longest), longest);
  EXPECT_EQ(multipart_boundary(R"(multipart/form-data; boundary="--\--X")"), "----X");  // RFC 9110, section 5.6.4
  const std::vector<std::pair<std::string, std::string_view>> table{
      {"multipart/mixed; boundary=abc", "a Content-Type other than multipart/form-data"},
      {"multipart/form-data", "a Content-Type without a boundary"},
      {"multipart/form-data; boundary=", "a Content-Type without a boundary"},
      {"multipart/form-data; boundary=\"\"", "a Content-Type without a boundary"},
      {"multipart/form-data; boundary=" + longest + "x", "a boundary of more than 70 characters"},
      {"multipart/form-data; boundary=\"a \"", "a boundary with a character that boundaries do not have"},
      {"multipart/form-data; boundary=\"a;b\"", "a boundary with a character that boundaries do not have"},
      {"multipart/form-data; boundary=\xC3\xA4", "a boundary with a character that boundaries do not have"},
      {"multipart/form-data; boundary=\"a\\\"b\"", "a boundary with a character that boundaries do not have"},
      {R"(multipart/form-data; boundary="a\")", "a malformed Content-Type"},
      {"multipart/form-data; boundary=a; boundary=b", "a malformed Content-Type"},
      {"multipart/form-data; boundary=a, b", "a malformed Content-Type"},
      {"", "a malformed Content-Type"},
  };
  for (const auto& [type, expected] : table) {
    const auto boundary = multipart_boundary(type);
    ASSERT_FALSE(boundary) << type;
    EXPECT_EQ(boundary.error(), expected) << type;
  }
}

}  // namespace multipart_test
