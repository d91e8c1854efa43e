// HTTP/1: which messages are accepted, which are refused and with which status, however the bytes are split.
#include "coax/codec/http1.hpp"

#include <gtest/gtest.h>

#include "tests/codec/pieces.hpp"

namespace http1_test {

using coax::http1::Failure;
using coax::http1::Head;
using coax::http1::Limits;
using coax::http1::RequestParser;
using coax::http1::ResponseParser;
using Messages = std::vector<std::string>;

namespace {

constexpr Limits small{.start_line_bytes_max = 40, .head_bytes_max = 100, .fields_max = 3, .body_bytes_max = 10};

std::string text_of(const Failure& failure) {
  return std::to_string(failure.status) + " " + std::string(failure.reason);
}

std::string text_of(const Head& head) {
  std::string text = head.status == 0 ? std::string(head.method) + " " + std::string(head.target)
                                      : std::to_string(head.status) + " " + std::string(head.reason);
  text += " 1." + std::to_string(head.version_minor);
  for (const auto& [name, value] : head.fields) text.append("|").append(name).append("=").append(value);
  return text + (head.keep_alive ? "|keep" : "|close");
}

// Each message as its head and its body; at the end the error, or that it is incomplete.
template <class Parser>
Messages read_all(Parser& parser, coax::test::Pieces& pieces, auto reset) {
  Messages messages;
  for (auto& piece : pieces) {
    for (coax::BytesView rest = std::span(piece); rest;) {
      const auto taken = parser.feed(rest);
      if (!taken) {
        messages.push_back(text_of(taken.error()));
        EXPECT_EQ(parser.feed("more").error().status, taken.error().status);
        return messages;
      }
      rest = rest.from(*taken);
      if (!parser.done()) continue;
      messages.push_back(text_of(parser.head()) + "|" + parser.body());
      reset();
    }
    std::vector<char>().swap(piece);  // the fed bytes are released
  }
  if (parser.started()) messages.emplace_back(parser.head_done() ? "(in the body)" : "(in the head)");
  return messages;
}

Messages requests_of(std::string_view input, const Limits& limits = {}) {
  return coax::test::however_it_is_cut(input, [&](coax::test::Pieces pieces) {
    RequestParser parser(limits);
    return read_all(parser, pieces, [&] { parser.reset(); });
  });
}

Messages responses_of(std::string_view input, std::string_view method = "GET", const Limits& limits = {}) {
  return coax::test::however_it_is_cut(input, [&](coax::test::Pieces pieces) {
    ResponseParser parser(method, limits);
    Messages messages = read_all(parser, pieces, [&] { parser.reset(method); });
    if (parser.head_done() && parser.finish()) {
      messages.back() = "until the end: " + text_of(parser.head()) + "|" + parser.body();
    }
    return messages;
  });
}

// The status that the input is refused with, 0 when it is not.
int status_of(std::string_view input, const Limits& limits = {}) {
  const Messages messages = requests_of(input, limits);
  if (messages.empty() || !std::isdigit(static_cast<unsigned char>(messages.back()[0]))) return 0;
  return std::stoi(messages.back());
}

std::string get(std::string_view fields) { return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n"; }
std::string post(std::string_view fields) { return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n"; }
std::string chunked(std::string_view body) { return post("Transfer-Encoding: chunked\r\n") + std::string(body); }

}  // namespace

TEST(Request, has_a_start_line_and_fields) {
  EXPECT_EQ(requests_of("GET /hello?x=1 HTTP/1.1\r\nHost: a\r\nAccept:  */* \t\r\nX:\r\n\r\n"),
            (Messages{"GET /hello?x=1 1.1|Host=a|Accept=*/*|X=|keep|"}));
  EXPECT_EQ(requests_of("M-SEARCH * HTTP/1.0\r\n\r\n"), (Messages{"M-SEARCH * 1.0|close|"}));
  EXPECT_EQ(requests_of("GET / HTTP/1.1\r\nHost:\r\n\r\n"), (Messages{"GET / 1.1|Host=|keep|"}));
  EXPECT_EQ(requests_of(get("X: a\tb \x80\xFF\r\n")), (Messages{"GET / 1.1|Host=a|X=a\tb \x80\xFF|keep|"}));
}

TEST(Request, may_follow_another_at_once) {
  EXPECT_EQ(
      requests_of(get("") + post("Content-Length: 2\r\n") + "ab" + get("")),
      (Messages{"GET / 1.1|Host=a|keep|", "POST / 1.1|Host=a|Content-Length=2|keep|ab", "GET / 1.1|Host=a|keep|"}));
}

TEST(Request, may_follow_one_empty_line) {
  EXPECT_EQ(requests_of("\r\n" + get("") + "\r\n" + get("")),
            (Messages{"GET / 1.1|Host=a|keep|", "GET / 1.1|Host=a|keep|"}));
  EXPECT_EQ(status_of("\r\n\r\n" + get("")), 400);
  EXPECT_EQ(status_of("\n" + get("")), 400);
}

TEST(Request, cut_short_is_not_done) {
  EXPECT_EQ(requests_of(""), Messages{});
  EXPECT_EQ(requests_of("G"), (Messages{"(in the head)"}));
  EXPECT_EQ(requests_of("GET / HTTP/1.1\r\nHost: a\r\n\r"), (Messages{"(in the head)"}));
  EXPECT_EQ(requests_of(post("Content-Length: 2\r\n") + "a"), (Messages{"(in the body)"}));
  EXPECT_EQ(requests_of(chunked("1\r\na\r\n0\r\n\r")), (Messages{"(in the body)"}));
}

TEST(Request, keeps_the_connection_as_the_version_and_the_peer_say) {
  const auto keeps = [](std::string_view input) { return requests_of(input).at(0).contains("|keep|"); };
  EXPECT_TRUE(keeps(get("")));
  EXPECT_FALSE(keeps(get("Connection: close\r\n")));
  EXPECT_FALSE(keeps(get("Connection: x, CLOSE\r\n")));
  EXPECT_FALSE(keeps(get("Connection: x\r\nConnection: close\r\n")));
  EXPECT_FALSE(keeps(get("Connection: close, keep-alive\r\n")));
  EXPECT_TRUE(keeps(get("Connection: closed\r\n")));
  EXPECT_TRUE(keeps(get("Proxy-Connection: close\r\n")));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

TEST(Request, with_a_malformed_start_line_is_refused) {
  for (const char* line : {"GET /",
                           "GET",
                           "",
                           " GET / HTTP/1.1",
                           "GET  / HTTP/1.1",
                           "GET / / HTTP/1.1",
                           "GET /  HTTP/1.1",
                           "GET / HTTP/1.1 ",
                           "GET\t/ HTTP/1.1",
                           "GET /\t HTTP/1.1",
                           "G(T / HTTP/1.1",
                           "GET /\x01 HTTP/1.1",
                           "GET /\x7F HTTP/1.1",
                           "GET /\x80 HTTP/1.1",
                           "GET /\xC3\xA9 HTTP/1.1",
                           "GET / http/1.1",
                           "GET / HTTP/1",
                           "GET / HTTP/11",
                           "GET / HTTP/1.1.1",
                           "GET / HTTP/1.10",
                           "GET / HTTP/a.1",
                           "GET / HTP/1.1",
                           "GET / HTTP/2.0x",
                           "GET / / HTTP/2.0",
                           "GET / HTTP /1.1"}) {
    EXPECT_EQ(status_of(std::string(line) + "\r\nHost: a\r\n\r\n"), 400) << line;
  }
}

TEST(Request, of_another_major_version_is_refused_with_505) {
  for (const std::string version : {"0.9", "2.0", "3.0"})
    EXPECT_EQ(status_of("GET / HTTP/" + version + "\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(requests_of("GET / HTTP/1.9\r\nHost: a\r\n\r\n"), Messages{"GET / 1.1|Host=a|keep|"});
}

TEST(Request, has_lines_that_only_crlf_ends) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\n\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of(get("X: a\rb\r\n")), 400);
  EXPECT_EQ(status_of(get("X: a\r\r\n")), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n"), 400);
}

TEST(Request, is_refused_at_a_bare_lf_without_waiting_for_more) {
  RequestParser parser;
  EXPECT_EQ(parser.feed("GET / HTTP/1.1\n").error().status, 400);
}

TEST(Request, of_another_protocol_is_refused_at_its_first_line) {
  for (const char* line : {"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "EHLO a\r\n", "PING\r\n", "GET /\r\n"}) {
    EXPECT_EQ(status_of(line), 400) << line;
    EXPECT_EQ(status_of("\r\n" + std::string(line)), 400) << line;
  }
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n"), 0);
  EXPECT_EQ(responses_of("SSH-2.0-OpenSSH\r\n"), Messages{"502 a malformed start line"});
}

TEST(Request, with_a_malformed_field_is_refused) {
  using namespace std::string_view_literals;
  for (const std::string_view field :
       {"X : a\r\n"sv, "X\t: a\r\n"sv, ": a\r\n"sv, "X\r\n"sv, "X a\r\n"sv, "X(: a\r\n"sv, "X\x80: a\r\n"sv,
        "X: a\0b\r\n"sv, "X\0: a\r\n"sv, "X: a\x01\r\n"sv, "X: \x1B[31m\r\n"sv, "X: a\x7F\r\n"sv, "X: a\vb\r\n"sv,
        "Connection: a b\r\n"sv}) {
    EXPECT_EQ(status_of(get(field)), 400) << field;
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\n" + std::string(field) + "Host: a\r\n\r\n"), 400) << field;
  }
}

TEST(Request, with_a_folded_field_is_refused) {
  EXPECT_EQ(status_of(get("X: a\r\n b\r\n")), 400);
  EXPECT_EQ(status_of(get("X: a\r\n\tb\r\n")), 400);
  EXPECT_EQ(status_of(get("X:\r\n b\r\n")), 400);
  EXPECT_EQ(status_of(get("X: a\r\n \r\n")), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding:\r\n chunked\r\n")), 400);
}

TEST(Request, names_its_host_once) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\nHost: a\r\nhOST: b\r\n\r\n"), 400);
  for (const char* host : {"a b", "a/b", "user@a", "a?b", "a#b", "a\\b", "a<", "a\x80", "a\tb"}) {
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"), 400) << host;
  }
  for (const char* host : {"", "a", "a.b-c_d:80", "127.0.0.1", "[::1]:80", "xn--caf-dma.com", "caf%C3%A9"}) {
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"), 0) << host;
  }
}

TEST(Request, says_its_length_once_or_is_chunked_and_nothing_else) {
  for (const char* fields :
       {"Content-Length: 2\r\nContent-Length: 2\r\n", "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2, 2\r\n", "Content-Length: 2,\r\n", "Content-Length: ,2\r\n", "Content-Length:\r\n",
        "Content-Length: +2\r\n", "Content-Length: -2\r\n", "Content-Length: 0x2\r\n", "Content-Length: 2 2\r\n",
        "Content-Length: 2.0\r\n", "Content-Length: a\r\n", "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: gzip\r\n"}) {
    EXPECT_EQ(status_of(post(fields) + "0\r\n\r\n"), 400) << fields;
  }
}

TEST(Request, with_another_coding_than_chunked_is_refused) {
  for (const char* coding : {"gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked",
                             "chunked;q=1", "\"chunked\"", "xchunked", "identity", "", "chun ked",
                             "\x0b"
                             "chunked"}) {
    const int status = status_of(post("Transfer-Encoding: " + std::string(coding) + "\r\n") + "0\r\n\r\n");
    EXPECT_TRUE(status == 501 || status == 400) << coding;
  }
  EXPECT_EQ(status_of(post("Transfer-Encoding: gzip\r\n")), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: gzip, chunked\r\n")), 501);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked, gzip\r\n")), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")), 501);
  EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
}

TEST(Request, has_a_body_of_its_length) {
  EXPECT_EQ(requests_of(post("Content-Length: 0\r\n")), (Messages{"POST / 1.1|Host=a|Content-Length=0|keep|"}));
  EXPECT_EQ(requests_of(post("content-length: 003\r\n") + "a\r\n"),
            (Messages{"POST / 1.1|Host=a|content-length=003|keep|a\r\n"}));
  EXPECT_EQ(requests_of(get("Content-Length: 1\r\n") + "a"), (Messages{"GET / 1.1|Host=a|Content-Length=1|keep|a"}));
}

TEST(Request, that_is_too_long_is_refused) {
  const std::string start = "GET /" + std::string(24, 'x') + " HTTP/1.1\r\n";  // 40 bytes
  EXPECT_EQ(status_of(start + "Host: a\r\n\r\n", small), 0);
  EXPECT_EQ(status_of("P" + start + "Host: a\r\n\r\n", small), 414);
  EXPECT_EQ(status_of(std::string(41, 'x'), small), 414);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(68, 'x') + "\r\n\r\n", small), 0);  // 100 bytes
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(69, 'x') + "\r\n\r\n", small), 431);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(690, 'x'), small), 431);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\nY: b\r\n\r\n", small), 0);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\nY: b\r\nZ: c\r\n\r\n", small), 431);
  EXPECT_EQ(status_of(post("Content-Length: 10\r\n") + "1234567890", small), 0);
  EXPECT_EQ(status_of(post("Content-Length: 11\r\n"), small), 413);
  EXPECT_EQ(status_of(post("Content-Length: 18446744073709551615\r\n"), small), 413);
}

TEST(Request, has_limits_by_default) {
  EXPECT_EQ(status_of("GET /" + std::string(8192, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
  EXPECT_EQ(status_of(get("X: " + std::string(16384, 'x') + "\r\n")), 431);
  std::string fields;
  for (int count = 0; count < 100; ++count) fields += "X: a\r\n";
  EXPECT_EQ(status_of(get(fields)), 431);
  EXPECT_EQ(status_of(post("Content-Length: 1048577\r\n")), 413);
}

TEST(ChunkedRequest, is_put_together) {
  EXPECT_EQ(requests_of(chunked("3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n") + get("")),
            (Messages{"POST / 1.1|Host=a|Transfer-Encoding=chunked|keep|abc0123456789", "GET / 1.1|Host=a|keep|"}));
  EXPECT_EQ(requests_of(chunked("0\r\n\r\n")), (Messages{"POST / 1.1|Host=a|Transfer-Encoding=chunked|keep|"}));
  EXPECT_EQ(requests_of(post("Transfer-Encoding: ChunKed\r\n") + "2\r\n\r\n\r\n00\r\n\r\n"),
            (Messages{"POST / 1.1|Host=a|Transfer-Encoding=ChunKed|keep|\r\n"}));
}

TEST(ChunkedRequest, drops_extensions_and_trailers) {
  const Messages abc{"POST / 1.1|Host=a|Transfer-Encoding=chunked|keep|abc"};
  EXPECT_EQ(requests_of(chunked("3;x=y;z=\"a b\"\r\nabc\r\n0;end\r\n\r\n")), abc);
  EXPECT_EQ(requests_of(chunked("3 \t;x\r\nabc\r\n0\r\n\r\n")), abc);
  EXPECT_EQ(requests_of(chunked("0003\r\nabc\r\n000\r\n\r\n")), abc);
  EXPECT_EQ(requests_of(chunked("3\r\nabc\r\n0\r\nX: y\r\nContent-Length: 9\r\nZ:\r\n\r\n")), abc);
}

TEST(ChunkedRequest, keeps_trailers_apart_from_its_head) {
  const std::string bytes = chunked("3\r\nabc\r\n0\r\nX-Sum: 1 2 \r\nHost: b\r\nx-sum: 3\r\nZ:\r\n\r\n");
  for (const std::size_t piece : {bytes.size(), 1UZ}) {
    RequestParser parser;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      EXPECT_EQ(parser.trailer("X-Sum"), std::nullopt);
      ASSERT_TRUE(parser.feed(std::string_view(bytes).substr(at, piece)));
    }
    EXPECT_EQ(parser.trailer("x-Sum"), "1 2");
    EXPECT_EQ(parser.trailer("Z"), "");
    EXPECT_EQ(parser.trailer("X"), std::nullopt);
    EXPECT_EQ(parser.trailer(""), std::nullopt);
    EXPECT_EQ(parser.head().find("Host"), "a");
    EXPECT_EQ(parser.head().find("X-Sum"), std::nullopt);
    parser.reset();
    EXPECT_EQ(parser.trailer("X-Sum"), std::nullopt);
  }
}

TEST(ChunkedRequest, with_malformed_framing_is_refused) {
  using namespace std::string_view_literals;
  for (const std::string_view body : {"\r\n"sv,
                                      "g\r\n"sv,
                                      " 3\r\nabc\r\n"sv,
                                      "3 \r\nabc\r\n"sv,
                                      "3\nabc\r\n"sv,
                                      "3\rabc\r\n"sv,
                                      "0x3\r\nabc\r\n"sv,
                                      "+3\r\nabc\r\n"sv,
                                      "-3\r\nabc\r\n"sv,
                                      ";x\r\n"sv,
                                      "3 3\r\nabc\r\n"sv,
                                      "3;x\ny\r\nabc\r\n"sv,
                                      "3;x\"\n\"\r\nabc\r\n"sv,
                                      "3;x\0\r\nabc\r\n"sv,
                                      "3;x\ry\r\nabc\r\n"sv,
                                      "3\r\nabcd\r\n"sv,
                                      "3\r\nabc\n0\r\n\r\n"sv,
                                      "3\r\nabc\r0\r\n\r\n"sv,
                                      "3\r\nabc0\r\n\r\n"sv,
                                      "0\r\n\n"sv,
                                      "0\r\nX\r\n\r\n"sv,
                                      "0\r\n X: y\r\n\r\n"sv,
                                      "0\r\nX : y\r\n\r\n"sv,
                                      "0\r\n: y\r\n\r\n"sv,
                                      "0\r\nX: y\n\r\n"sv,
                                      "0\r\nX: y\rz\r\n\r\n"sv,
                                      "0\r\nX: \0\r\n\r\n"sv,
                                      "10000000000000000\r\n"sv,
                                      "0\r\nX: y\r\n\rz"sv}) {
    EXPECT_EQ(status_of(chunked(body)), 400) << body;
  }
}

TEST(ChunkedRequest, too_long_is_refused_before_the_chunk_arrives) {
  EXPECT_EQ(status_of(chunked("A\r\n0123456789\r\n0\r\n\r\n"), small), 0);
  EXPECT_EQ(status_of(chunked("B\r\n"), small), 413);
  EXPECT_EQ(status_of(chunked("5\r\n01234\r\n6\r\n"), small), 413);
  EXPECT_EQ(status_of(chunked("FFFFFFFFFFFFFFFF\r\n"), small), 413);
  const Limits vast{.body_bytes_max = SIZE_MAX};
  EXPECT_EQ(status_of(chunked("1\r\na\r\nFFFFFFFFFFFFFFFF\r\n"), vast), 400);
}

TEST(ChunkedRequest, that_is_mostly_framing_is_refused) {
  EXPECT_EQ(status_of(chunked("3;" + std::string(17000, 'x'))), 400);
  EXPECT_EQ(status_of(chunked("3 " + std::string(17000, ' '))), 400);
  EXPECT_EQ(status_of(chunked(std::string(17000, '0'))), 400);
  EXPECT_EQ(status_of(chunked("0\r\nX: " + std::string(17000, 'x'))), 400);
  EXPECT_EQ(status_of(chunked("0\r\n" + std::string(17000, 'x'))), 400);
  std::string many;
  for (int count = 0; count < 20000; ++count) many += "1\r\na\r\n";
  EXPECT_EQ(status_of(chunked(many + "0\r\n\r\n")), 0);
}

TEST(RequestParser, reports_that_the_client_expects_100_continue) {
  RequestParser parser;
  EXPECT_TRUE(parser.feed(post("Expect: 100-Continue\r\nContent-Length: 2\r\n")));
  EXPECT_TRUE(parser.head_done());
  EXPECT_TRUE(parser.expects_continue());
  EXPECT_TRUE(parser.feed("a"));
  EXPECT_FALSE(parser.expects_continue());
  EXPECT_TRUE(parser.feed("b"));
  EXPECT_TRUE(parser.done());

  const auto expects = [](std::string_view head) {
    RequestParser other;
    EXPECT_TRUE(other.feed(head));
    return other.expects_continue();
  };
  EXPECT_TRUE(expects(post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")));
  EXPECT_FALSE(expects(post("Content-Length: 2\r\n")));
  EXPECT_FALSE(expects(post("Expect: 100-continue\r\nContent-Length: 0\r\n")));
  EXPECT_FALSE(expects("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
  EXPECT_EQ(status_of(post("Expect: 200-ok\r\n")), 417);
}

TEST(RequestParser, takes_no_more_than_one_request) {
  RequestParser parser;
  const std::string two = get("") + get("");
  EXPECT_EQ(parser.feed(two), two.size() / 2);
  EXPECT_TRUE(parser.done());
  EXPECT_EQ(parser.feed(two), 0);
  parser.reset();
  EXPECT_FALSE(parser.started());
  EXPECT_EQ(parser.feed(two), two.size() / 2);
}

TEST(RequestParser, limits_the_whole_body_even_when_parts_are_taken_out) {
  RequestParser parser(small);
  EXPECT_TRUE(parser.feed(chunked("6\r\n012345\r\n")));
  EXPECT_EQ(std::exchange(parser.body(), {}), "012345");
  EXPECT_EQ(parser.feed("6\r\n").error().status, 413);
}

TEST(RequestParser, checks_each_character_at_every_position) {
  for (int octet = 0; octet < 256; ++octet) {
    const char c = static_cast<char>(octet);
    const bool visible = octet > ' ' && octet < 0x7F;
    const bool in_value = octet == '\t' || (octet >= ' ' && octet != 0x7F);
    for (std::size_t at = 0; at < 40; ++at) {
      std::string text(40, 'x');
      text[at] = c;
      RequestParser target;
      EXPECT_EQ(target.feed("GET /" + text + " HTTP/1.1\r\nHost: a\r\n\r\n").has_value(), visible) << octet << at;
      RequestParser value;
      EXPECT_EQ(value.feed(get("X: y" + text + "\r\n")).has_value(), in_value) << octet << at;
      if (in_value && c != ' ' && c != '\t') EXPECT_EQ(value.head().find("X"), "y" + text);
    }
  }
}

TEST(RequestParser, lends_the_bytes_until_they_are_to_be_kept) {
  const std::string input = post("X: y\r\nContent-Length: 3\r\n") + "ab";
  auto bytes = std::make_unique<std::string>(input);
  RequestParser parser;
  EXPECT_EQ(parser.feed_lent(*bytes), input.size());
  EXPECT_EQ(parser.head().target.data(), bytes->data() + 5) << "not copied";
  parser.keep();
  std::ranges::fill(*bytes, '?');
  bytes.reset();
  EXPECT_EQ(parser.feed_lent("c"), 1);
  EXPECT_EQ(text_of(parser.head()), "POST / 1.1|Host=a|X=y|Content-Length=3|keep");
  EXPECT_EQ(parser.body(), "abc");
}

TEST(RequestParser, has_started_after_an_empty_line) {
  RequestParser parser;
  EXPECT_TRUE(parser.feed("\r\n"));
  EXPECT_TRUE(parser.started());
  EXPECT_EQ(parser.feed("\r\n").error().status, 400);
}

TEST(RequestParser, starts_anew_after_a_reset) {
  RequestParser parser(small);
  EXPECT_TRUE(parser.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"));
  parser.reset();
  EXPECT_TRUE(parser.feed("GET /x HTTP/1.1\r\nHost: b\r\n\r\n"));
  EXPECT_EQ(text_of(parser.head()), "GET /x 1.1|Host=b|keep");
  EXPECT_EQ(parser.head().content_length, std::nullopt);
  EXPECT_EQ(parser.body(), "");
  parser.reset();
  EXPECT_FALSE(parser.feed("x\n"));
  parser.reset();
  EXPECT_TRUE(parser.feed(chunked("A\r\n0123456789\r\n0\r\n\r\n")));
  parser.reset();
  EXPECT_TRUE(parser.feed(chunked("A\r\n0123456789\r\n0\r\n\r\n")));
  EXPECT_TRUE(parser.done());
}

TEST(Head, finds_fields_and_tokens_whatever_their_case) {
  RequestParser parser;
  EXPECT_TRUE(parser.feed(get("Connection: keep-alive , Upgrade\r\nX: 1\r\nx: 2\r\nconnection: ,foo\r\n")));
  const Head& head = parser.head();
  EXPECT_EQ(head.find("x"), "1");
  EXPECT_EQ(head.find("HOST"), "a");
  EXPECT_EQ(head.find("Y"), std::nullopt);
  EXPECT_TRUE(head.has_token("Connection", "upgrade"));
  EXPECT_TRUE(head.has_token("connection", "FOO"));
  EXPECT_FALSE(head.has_token("connection", "up"));
  EXPECT_FALSE(head.has_token("connection", ""));
}

TEST(Response, has_a_status_line_and_fields) {
  EXPECT_EQ(responses_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.0 404 \r\nContent-Length: 0\r\n\r\n"),
            (Messages{"200 OK 1.1|Content-Length=2|keep|ab", "404  1.0|Content-Length=0|close|"}));
  EXPECT_EQ(responses_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
            (Messages{"200 OK 1.1|Transfer-Encoding=chunked|keep|a"}));
}

TEST(Response, may_lack_the_reason_and_the_space_before_it) {
  for (const std::string line : {"HTTP/1.1 200 \r\n", "HTTP/1.1 200\r\n"}) {
    EXPECT_EQ(responses_of(line + "Content-Length: 2\r\n\r\nab"), (Messages{"200  1.1|Content-Length=2|keep|ab"}))
        << line;
  }
  EXPECT_EQ(responses_of("HTTP/1.1 204\r\n\r\n"), (Messages{"204  1.1|keep|"}));
  for (const std::string line : {"HTTP/1.1 200\n", "HTTP/1.1 200\r\r\n", "HTTP/1.1 200OK\r\n", "HTTP/1.1 20\r\n"}) {
    EXPECT_TRUE(responses_of(line + "\r\n")[0].starts_with("502 ")) << line;
  }
}

TEST(Response, has_no_body_where_the_rfc_says_so) {
  EXPECT_EQ(
      responses_of("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not "
                   "Modified\r\nContent-Length: 5\r\n\r\n"),
      (Messages{"100 Continue 1.1|keep|", "204 No Content 1.1|keep|", "304 Not Modified 1.1|Content-Length=5|keep|"}));
  EXPECT_EQ(responses_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"),
            (Messages{"200 OK 1.1|Content-Length=5|keep|"}));
  EXPECT_EQ(responses_of("HTTP/1.1 200 OK\r\n\r\n", "CONNECT"), (Messages{"200 OK 1.1|keep|"}));
  EXPECT_EQ(responses_of("HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\na", "CONNECT"),
            (Messages{"403 No 1.1|Content-Length=1|keep|a"}));
}

TEST(Response, without_a_length_lasts_until_the_end) {
  EXPECT_EQ(responses_of("HTTP/1.1 200 OK\r\n\r\nabc\r\n\r\n"),
            (Messages{"until the end: 200 OK 1.1|close|abc\r\n\r\n"}));
  EXPECT_EQ(responses_of("HTTP/1.1 200 OK\r\n\r\n"), (Messages{"until the end: 200 OK 1.1|close|"}));
  EXPECT_EQ(responses_of("HTTP/1.1 200 OK\r\n\r\n01234567890", "GET", small),
            (Messages{"502 a body that is too long"}));
}

TEST(Response, that_is_cut_short_is_a_failure) {
  for (const char* input : {"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"}) {
    ResponseParser parser("GET");
    EXPECT_TRUE(parser.feed(std::string_view(input)));
    EXPECT_EQ(parser.finish().error().status, 502) << input;
  }
}

TEST(Response, that_is_malformed_is_a_failure) {
  for (const char* head :
       {"HTTP/1.1 200\tOK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 200 \x01\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"}) {
    const Messages messages = responses_of(head);
    ASSERT_EQ(messages.size(), 1) << head;
    EXPECT_TRUE(messages[0].starts_with("502 ")) << head << messages[0];
  }
}

TEST(Http1, of_random_words_does_not_depend_on_how_it_is_cut) {
  static constexpr std::array<std::string_view, 26> words{
      "GET ",
      "/ ",
      "HTTP/1.1",
      "\r\n",
      "\r\n",
      "\r\n",
      "Host: a\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\n",
      "X",
      ": ",
      " ",
      "\r",
      "\n",
      "Transfer-Encoding: chunked\r\n",
      "Content-Length: 2\r\n",
      "5\r\nabcde\r\n",
      "0\r\n\r\n",
      "ab",
      ";x",
      "1",
      "Connection: close\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\n",
      "HTTP/1.1 204 x\r\n\r\n",
      "\x80"};
  std::mt19937 random(coax::test::seed());
  for (int round = 0; round < 500; ++round) {
    std::string input;
    for (std::size_t count = random() % 12; count != 0; --count) input += words[random() % words.size()];
    requests_of(input, small);
    responses_of("HTTP/1.1 200 OK\r\n" + input, "GET", small);
  }
}

TEST(Http1, of_no_bytes_at_all_is_cut_short) {
  ResponseParser response("GET");
  EXPECT_EQ(response.feed(coax::BytesView()), 0U);
  EXPECT_FALSE(response.done());
  EXPECT_FALSE(response.finish());
}

}  // namespace http1_test
