// The requirements of RFC 9110, 9112 and 6455 for an origin server, one by one: literal requests, and what the answer
// must begin with and must or must not contain. Left out are requirements only for clients, caches, proxies or
// gateways, and those that the handler has to meet (WWW-Authenticate of 401, Content-Range of 206 and 416).
#include <gtest/gtest.h>

#include <regex>

#define main http_proxy_main
#include "examples/http_proxy.cpp"
#undef main

#include "coax/base/log.hpp"
#include "coax/http/app.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"

namespace coax::rules_test {
namespace {

using http::App;
using http::Request;
using http::Response;

App make_app(http::AppOptions options) {
  App app(std::move(options));
  app.get("/", [](Request&) { return Response::text("root"); });
  app.get("/hello", [](Request& request) { return Response::text("hello " + std::string(request.host())); });
  app.get("/of/{name}", [](Request& request) { return Response::text(std::string(request.parameter("name"))); });
  app.get("/path/{name}", [](Request& request) { return Response::text(std::string(request.path())); });
  app.post("/echo", [](Request& request) { return Response::text(std::move(request.body())); });
  app.post("/small", [](Request& request) { return Response::text(request.body()); }, {.body_bytes_max = 4});
  app.get("/framing", [](Request&) {
    return Response::text("body")
        .header("content-length", "99")
        .header("Transfer-Encoding", "chunked")
        .header("Date", "now")
        .header("Keep-Alive", "timeout=5")
        .header("Trailer", "X")
        .header("Content-Type", "text/other")
        .header("X-Own", "kept");
  });
  app.get("/dated", [](Request& request) {
    return Response::text("old", std::stoi(std::string(request.query("status"))))
        .header("date", std::string(request.query("date")));
  });
  app.get("/close", [](Request&) { return Response::text("bye").header("Connection", "close"); });
  app.get("/status/{code}", [](Request& request) {
    return Response{.status = std::stoi(std::string(request.parameter("code"))), .body = "content"};
  });
  app.get("/upgrade", [](Request&) { return Response::text("", 426).header("Upgrade", "h2c"); });
  app.file({.path = "/file", .content_type = "text/css", .body = "body {}"});
  app.websocket("/ws", [](ws::WebSocket& socket) -> Task<> { co_await socket.recv(); });
  return app;
}

// Whether the requests pass through the reverse proxy of the examples: CTest runs these tests both ways.
bool through_proxy() { return std::getenv("COAX_HTTP_PROXIED") != nullptr; }  // NOLINT(concurrency-mt-unsafe)

std::string answer(std::string_view request, http::AppOptions options = {.headers = {}}) {
  std::string result;
  test::run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    const auto serve_one = [&]() -> Task<> {
      test::Server upstream({}, http::handler(make_app(options)));
      const std::string where = (co_await upstream.address()).to_string();
      Connection connection(*server, 1);
      const Handler handler = http::handler(through_proxy() ? proxy(where) : make_app(options));
      co_await test::outcome(handler(connection));
      co_await server->shutdown_send();
      co_await upstream.stop();
    };
    const auto ask = [&]() -> Task<> {
      co_await client->send(request);
      co_await client->shutdown_send();
    };
    const auto read = [&]() -> Task<> {
      while (const BytesView bytes = co_await client->recv()) result.append(bytes.text());
    };
    co_await all(serve_one(), ask(), read());
  });
  return result;
}

// The request is sent as it is. The rest is about the answer.
struct Row {
  std::string_view section;  // of the RFC, and the rule
  std::string_view request;
  std::string_view begins;
  std::vector<std::string_view> has = {};
  std::vector<std::string_view> has_not = {};
  bool is_hop_by_hop = false;  // a proxy need not do the same on both of its connections: skipped through one
};

const std::vector<Row> rows{
    // --- RFC 9112: the message ---
    {"9112 2.2: an empty line before a request is ignored", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 "},
    {"9112 2.2: a bare CR is no line end", "GET / HTTP/1.1\rHost: a\r\n\r\n", "HTTP/1.1 400 "},
    {"9112 2.2: white space before the first field is refused", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "HTTP/1.1 400 "},
    {"9112 2.3: another major version is refused",
     "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
     "HTTP/1.1 505 ",
     {"Connection: close"}},
    {"9110 2.5: a higher minor version is served", "GET /hello HTTP/1.9\r\nHost: a\r\n\r\n", "HTTP/1.1 200 "},
    {"9112 3: a second space in the request line is refused", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 "},
    {"9110 9.1: the method is case-sensitive",
     "get / HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 405 ",
     {"Allow: GET, HEAD, OPTIONS"}},
    {"9110 9.3.6: a method that is not implemented gets 501", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
     "HTTP/1.1 501 "},
    {"9112 3.2: HTTP/1.1 without Host is refused", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
    {"9112 3.2: two Hosts are refused", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "HTTP/1.1 400 "},
    {"9112 3.2: an invalid Host is refused", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "HTTP/1.1 400 "},
    {"9110 7.2: an open bracket in Host is refused", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "HTTP/1.1 400 "},
    {"9110 7.2: a port above 65535 in Host is refused", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", "HTTP/1.1 400 "},
    {"9110 4.2.1: a port without a host is refused", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "HTTP/1.1 400 "},
    {"9110 7.2: an address and a port in Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "HTTP/1.1 200 "},
    {"3986 3.2.3: the port may be empty", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "HTTP/1.1 200 "},
    {"9110 7.2: Host may be empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "HTTP/1.1 200 "},
    {"9112 3.2.2: an invalid host in the target is refused", "GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 400 "},
    {"9112 3.2.1: the path is decoded, and the query is no part of it",
     "GET /of/%C3%BC?x HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 ",
     {"\r\n\r\n\xc3\xbc"}},
    {"9112 3.2.2: the host of the absolute form overrides Host",
     "GET http://b.example:81/hello HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 ",
     {"hello b.example:81"}},
    {"9112 3.2.2: absolute form without a path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 ", {"root"}},
    {"9112 3.2.2: absolute form with a query only", "GET HTTP://a?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 "},
    {"9110 4.2.4: a user in the target is refused", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 "},
    {"9112 3.2.4: OPTIONS * is for the whole server",
     "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 204 ",
     {"Allow: GET, HEAD, OPTIONS, POST"},
     {"Content-Length"}},
    {"9112 3.2.4: the asterisk is for OPTIONS only", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 "},
    {"9110 4.2.3: an encoded slash does not split a path segment",
     "GET /of/a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 ",
     {"\r\n\r\na/b"}},
    {"9110 4.2.3: an encoded slash stays encoded in path()",
     "GET /path/a%2fb HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 ",
     {"\r\n\r\n/path/a%2Fb"}},
    {"9110 4.2.3: nothing is decoded twice",
     "GET /of/a%252Fb HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 ",
     {"\r\n\r\na%2Fb"}},
    {"9112 5.1: white space before the colon is refused", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "HTTP/1.1 400 "},
    {"9112 5.2: a folded field is refused", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "HTTP/1.1 400 "},
    {"9110 5.5: NUL in a field is refused", std::string_view("GET / HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n", 34),
     "HTTP/1.1 400 "},
    {"9112 6.1: both Transfer-Encoding and Content-Length are refused",
     "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "HTTP/1.1 400 ",
     {"Connection: close"}},
    {"9112 6.1: an unknown transfer coding gets 501",
     "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501 "},
    {"9112 6.1: Transfer-Encoding in HTTP/1.0 is refused",
     "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
    {"9112 6.3: a transfer coding after chunked is refused",
     "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
     "HTTP/1.1 400 ",
     {"Connection: close"}},
    {"9112 6.3: an empty Transfer-Encoding is refused", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
     "HTTP/1.1 400 "},
    {"9112 6.3: an invalid Content-Length is refused",
     "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
     "HTTP/1.1 400 ",
     {"Connection: close"}},
    {"9112 6.3: a list of Content-Lengths is refused",
     "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", "HTTP/1.1 400 "},
    {"9112 7.1: trailer fields are not merged into the header fields",
     "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n",
     "HTTP/1.1 200 ",
     {"\r\n\r\na"}},
    {"9112 9.3: HTTP/1.0 closes by default", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 ", {"Connection: close"}},
    {"9112 9.3: HTTP/1.0 with keep-alive is kept open",
     "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "HTTP/1.1 200 ",
     {"Connection: keep-alive"}},
    {"9112 9.6: no request is answered after Connection: close",
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 ",
     {"Connection: close"},
     {"hello"}},
    {"9112 9.6: no request is answered after a handler's Connection: close",
     "GET /close HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 ",
     {"Connection: close\r\n"},
     {"hello"},
     true},
    // --- RFC 9110: semantics ---
    {"9110 6.6.1: every answer has a Date",
     "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 OK\r\nDate: ",
     {" GMT\r\n"}},
    {"9110 6.6.1: an error has a Date, too", "GET /none HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 404 Not Found\r\nDate: "},
    {"9110 6.6.1: the handler's own Date is kept",
     "GET /dated?status=200&date=Sun,%2006%20Nov%201994%2008:49:37%20GMT HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain",
     {"\r\n\r\nold"},
     {"\r\ndate: "}},
    {"9110 5.6.7: an obsolete form of a date is sent as IMF-fixdate",
     "GET /dated?status=404&date=Sun%20Nov%20%206%2008:49:37%201994 HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain",
     {"\r\n\r\nold"},
     {"\r\ndate: ", "1994\r\n"}},
    {"9110 7.8: Upgrade in HTTP/1.0 is ignored",
     "GET /ws HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 426 "},
    {"9110 7.8: Upgrade is named in Connection",
     "GET /upgrade HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 426 ",
     {"\r\nUpgrade: h2c\r\n", "\r\nConnection: Upgrade\r\n"}},
    {"9110 8.6: fields about framing are the server's, not the handler's",
     "GET /framing HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 OK\r\nDate: ",
     {"Content-Length: 4\r\n", "X-Own: kept\r\n"},
     {"content-length: 99", "Transfer-Encoding", "Date: now", "Keep-Alive", "Trailer", "text/other"}},
    {"9110 9.3.2: HEAD has the fields of GET and no content",
     "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {"Content-Length: 7\r\n"},
     {"hello"}},
    {"9110 9.3.2: HEAD of an error has no content either",
     "HEAD /none HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 404 ",
     {"Content-Length: 14"},
     {"404 Not Found\n"}},
    {"9110 10.1.1: an unknown expectation gets 417",
     "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\na", "HTTP/1.1 417 "},
    {"9110 10.1.1: no 100 Continue when the body is not read",
     "POST /none HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
     "HTTP/1.1 404 ",
     {"Connection: close"},
     {"100 Continue"}},
    {"9110 10.1.1: no 100 Continue for HTTP/1.0",
     "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
     "HTTP/1.1 200 ",
     {},
     {"100 Continue"}},
    {"9110 13.1.1: If-Match with another ETag gets 412", "GET /file HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n",
     "HTTP/1.1 412 "},
    {"9110 13.1.1: If-Match: * matches any", "GET /file HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\n\r\n", "HTTP/1.1 200 "},
    {"9110 13.1.1: a malformed If-Match matches nothing", "GET /file HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\", *\r\n\r\n",
     "HTTP/1.1 412 "},
    {"9110 13.1.2: a malformed If-None-Match matches nothing",
     "GET /file HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\", *\r\n\r\n", "HTTP/1.1 200 "},
    {"9110 5.3: If-Match may be several fields",
     "GET /file HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\nIf-Match: *\r\n\r\n", "HTTP/1.1 200 "},
    {"9110 13.1.3: If-Modified-Since is ignored without a date",
     "GET /file HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Fri, 01 Jan 2038 00:00:00 GMT\r\n\r\n", "HTTP/1.1 200 "},
    {"9110 13.1.4: If-Unmodified-Since is ignored without a date",
     "GET /file HTTP/1.1\r\nHost: a\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", "HTTP/1.1 200 "},
    {"9110 13.1.2: If-None-Match: * gets 304",
     "GET /file HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
     "HTTP/1.1 304 ",
     {"ETag: "},
     {"Content-Length", "body {}"}},
    {"9110 14.2: a Range may be ignored", "GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n", "HTTP/1.1 200 "},
    {"9110 15.2: a handler cannot answer with 1xx", "GET /status/101 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 500 "},
    {"9110 15.3.5: 204 has no content",
     "GET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 204 ",
     {},
     {"Content-Length", "content"}},
    {"9110 15.3.6: 205 has no content",
     "GET /status/205 HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 205 ",
     {"Content-Length: 0\r\n"},
     {"content"}},
    {"9110 15.4.5: 304 has no content",
     "GET /status/304 HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 304 ",
     {},
     {"content"}},
    {"9110 15.5.6: 405 has Allow",
     "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 405 ",
     {"Allow: GET, HEAD, OPTIONS\r\n"}},
    {"9110 15.5.6: 405 has Allow on a WebSocket route, too",
     "POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 405 ",
     {"Allow: GET, OPTIONS\r\n"}},
    {"9110 15.5.6: an upgrade by POST gets 405",
     "POST /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
     "HTTP/1.1 405 ",
     {"Allow: GET\r\n"}},
    {"9110 15.5.14: a body above the route's limit gets 413",
     "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
     "HTTP/1.1 413 ",
     {"Connection: close"}},
    {"9110 15.5.14: a chunked body above the route's limit gets 413",
     "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", "HTTP/1.1 413 "},
    {"9110 15.5.22: 426 has Upgrade",
     "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 426 ",
     {"\r\nUpgrade: websocket\r\n", "\r\nConnection: Upgrade\r\n"}},
    // --- RFC 6455: the handshake ---
    {"6455 4.2.2: another version gets 426 and the one that is spoken",
     "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
     "HTTP/1.1 426 ",
     {"Sec-WebSocket-Version: 13\r\n", "Connection: close, Upgrade\r\n"}},
    {"6455 4.2.1: a key that is not 16 bytes is refused",
     "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
     "HTTP/1.1 400 "},
    {"6455 4.2.1: Upgrade that Connection does not name is refused",
     "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
     "HTTP/1.1 400 ",
     {},
     {},
     true},
    {"6455 4.2.2: a valid handshake is accepted",
     "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n"
     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
     "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
     "HTTP/1.1 101 ",
     {"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
     {"Sec-WebSocket-Protocol"}},
    {"6455 5.1: a frame that is not masked ends with close code 1002",
     std::string_view("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                      "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x01"
                      "a"),
     "HTTP/1.1 101 ",
     {std::string_view("\x03\xea")}},
};

class HttpRules : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

TEST_F(HttpRules, each_row_is_followed) {
  for (const Row& row : rows) {
    SCOPED_TRACE(row.section);
    if (through_proxy() && row.is_hop_by_hop) continue;
    const std::string text = answer(row.request);
    EXPECT_TRUE(text.starts_with(row.begins)) << text;
    for (const std::string_view part : row.has) {
      if (through_proxy() && part.contains("Connection: close")) continue;  // hop-by-hop
      EXPECT_TRUE(text.contains(part)) << part << "\nis not in\n" << text;
    }
    for (const std::string_view part : row.has_not) EXPECT_FALSE(text.contains(part)) << part << "\nis in\n" << text;
  }
}

TEST_F(HttpRules, options_hosts_apply_to_host_and_absolute_form_but_not_to_its_absence) {
  const http::AppOptions local{.hosts = {"localhost"}};
  EXPECT_TRUE(answer("GET / HTTP/1.0\r\n\r\n", local).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(answer("GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n", local).starts_with("HTTP/1.1 421 "));
  EXPECT_TRUE(
      answer("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", local).starts_with("HTTP/1.1 421 "));
}

TEST_F(HttpRules, websocket_origin_is_compared_by_scheme_host_and_port) {
  const auto open = [](std::string_view host, std::string_view origins, std::vector<std::string> allowed = {}) {
    return answer(fmt::format("GET /ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
                              host, origins),
                  {.headers = {}, .origins = std::move(allowed)})
        .substr(9, 3);
  };
  EXPECT_EQ(open("a.example", "Origin: http://a.example\r\n"), "101");
  EXPECT_EQ(open("a.example:80", "Origin: http://a.example\r\n"), "101");
  EXPECT_EQ(open("a.example", "Origin: http://A.example:80\r\n"), "101");
  EXPECT_EQ(open("a.example:8080", "Origin: http://a.example\r\n"), "403");
  EXPECT_EQ(open("a.example", "Origin: https://a.example\r\n"), "403");
  EXPECT_EQ(open("a.example:443", "Origin: https://a.example\r\n"), "403");
  EXPECT_EQ(open("a.example", "Origin: ftp://a.example\r\n"), "403");
  EXPECT_EQ(open("a.example", "Origin: http://a.example\r\nOrigin: http://evil.example\r\n"), "403");
  EXPECT_EQ(open("a.example", "Origin: http://a.example/\r\n"), "403");
  EXPECT_EQ(open("127.0.0.1:9", "Origin: https://chat.example\r\n", {"chat.example"}), "101");
  EXPECT_EQ(open("127.0.0.1:9", "Origin: https://chat.example:8443\r\n", {"chat.example"}), "403");
  EXPECT_EQ(open("127.0.0.1:9", "Origin: https://chat.example:8443\r\n", {"chat.example:8443"}), "101");
}

TEST_F(HttpRules, input_that_is_not_http_is_answered_at_once) {
  // A TLS ClientHello gets the TLS alert unexpected_message.
  EXPECT_EQ(answer("\x16\x03\x01"), std::string("\x15\x03\x01\x00\x02\x02\x0a", 7));
  EXPECT_TRUE(answer("\x01").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(answer(" GET / HTTP/1.1\r\n").starts_with("HTTP/1.1 400 "));
}

TEST_F(HttpRules, an_error_from_the_head_does_not_wait_for_the_body) {
  test::run([]() -> Task<> {
    auto [server, client] = memory_stream_pair(1000);
    const auto serve_one = [](Stream& stream) -> Task<> {
      Connection connection(stream, 1);
      const Handler handler = http::handler(make_app({.headers = {}}));
      co_await handler(connection);
      co_await stream.shutdown_send();
    };
    const auto ask = [](Stream& stream) -> Task<> {  // the head alone is enough for the answer
      co_await stream.send("POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
      std::string text;
      while (const BytesView bytes = co_await stream.recv()) text.append(bytes.text());
      EXPECT_TRUE(text.starts_with("HTTP/1.1 404 ")) << text;
    };
    co_await all(serve_one(*server), ask(*client));
  });
}

TEST_F(HttpRules, bodies_bytes_max_limits_all_bodies_in_memory) {
  const std::string large = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n";
  if (!through_proxy()) EXPECT_TRUE(answer(large, {.bodies_bytes_max = 1000}).starts_with("HTTP/1.1 503 "));
  const std::string chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
  const std::string text = answer(chunked + chunked, {.message = {.body_bytes_max = 600}, .bodies_bytes_max = 1000});
  EXPECT_EQ(text.find("503"), std::string::npos) << "the first body's share must be returned before the second";
}

}  // namespace
}  // namespace coax::rules_test
