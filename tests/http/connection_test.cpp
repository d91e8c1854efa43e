// HTTP on a connection: literal bytes in, literal bytes out.
#include <gtest/gtest.h>

#include <regex>

#include "coax/http/app.hpp"
#include "coax/http/status_error.hpp"
#include "coax/server/serve.hpp"
#include "coax/stream/memory.hpp"
#include "coax/stream/socket_stream.hpp"
#include "tests/support/run.hpp"

namespace coax::connection_test {
namespace {

using http::App;
using http::Request;
using http::Response;
using test::run;
using namespace std::chrono_literals;

App make_app(http::AppOptions options = {}) {
  options.headers.clear();
  App app(std::move(options));
  app.get("/hello", [](Request&) { return Response::text("Hello world!"); });
  app.get("/hello/{name}", [](Request& request) { return Response::text(std::string(request.parameter("name"))); });
  app.get("/later", [](Request& request) -> Task<Response> {
    co_await sleep(1ms);
    co_return Response::text(std::string(request.query("x")));
  });
  app.post("/echo", [](Request& request) { return Response::text(std::move(request.body())); });
  app.get("/fails", [](Request&) -> Response { throw std::runtime_error("on purpose"); });
  app.get("/fails/later", [](Request&) -> Task<Response> {
    co_await sleep(1ms);
    throw std::runtime_error("on purpose");
  });
  app.get("/bad-header", [](Request&) { return Response::text("").header("X", "a\r\nY: b"); });
  app.get("/bad-type", [](Request&) { return Response{.content_type = "text/plain\r\nY: b"}; });
  app.get("/bad-status", [](Request&) { return Response{.status = 1000}; });
  app.get("/times/{count}/{word}", [](Request& request) {
    std::string text;
    for (int count = std::stoi(std::string(request.parameter("count"))); count != 0; --count) {
      text += request.parameter("word");
    }
    return Response::text(text);
  });
  app.file({.path = "/file", .content_type = "text/css", .body = "body {}"});
  app.get("/number", [](Request&) -> Response { throw 42; });
  app.websocket("/fails", [](ws::WebSocket& socket) -> Task<> {
    co_await socket.recv();
    co_await socket.send_text("\xff");
  });
  app.websocket("/fails/{kind}", [](ws::WebSocket& socket, const Request& request) -> Task<> {
    const std::string kind(request.parameter("kind"));
    co_await socket.recv();
    if (kind == "status") throw http::StatusError(404, "there is no such room");
    if (kind == "number") throw 42;
    for (const ErrorKind each : {ErrorKind::timed_out, ErrorKind::disconnected, ErrorKind::protocol}) {
      if (kind == to_string(each)) throw Error(each, "ask", "the database", "on purpose");
    }
    throw Error(ErrorKind::overloaded, "ask", "the database", "on purpose");
  });
  app.websocket("/echo", [](ws::WebSocket& socket) -> Task<> {
    while (auto message = co_await socket.recv()) co_await socket.send(message);
  });
  return app;
}

Task<std::string> read_all(Stream& stream) {
  std::string all;
  while (const BytesView bytes = co_await stream.recv()) all.append(bytes.text());
  co_return std::regex_replace(all, std::regex("Date: [^\r]*\r\n"), "");
}

// The answer to these bytes of a client, sent in pieces of that size, which then half-closes.
std::string answer(std::string_view request, std::size_t piece = SIZE_MAX, http::AppOptions options = {}) {
  std::string result;
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    const auto serve_one = [&]() -> Task<> {
      Connection connection(*server, 1);
      const Handler handler = http::handler(make_app(options));
      try {
        co_await handler(connection);
      } catch (const Cancelled&) {
        throw;
      } catch (...) {  // of a WebSocket's handler, on purpose
      }
      co_await server->shutdown_send();
    };
    const auto send = [&]() -> Task<> {
      for (std::size_t at = 0; at < request.size(); at += std::min(piece, request.size())) {
        co_await client->send(request.substr(at, piece));
        co_await test::next_turn();
      }
      co_await client->shutdown_send();
    };
    auto [served, sent, text] = co_await all(serve_one(), send(), read_all(*client));
    result = text;
  });
  return result;
}

TEST(Http, a_get_is_answered) {
  EXPECT_EQ(answer("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 12\r\n\r\nHello world!");
}

TEST(Http, however_the_bytes_are_cut) {
  const std::string_view two =
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /hello/%C3%BC HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string whole = answer(two);
  EXPECT_NE(whole.find("\r\n\r\nabcHTTP/1.1 200 OK"), std::string::npos);
  EXPECT_TRUE(whole.ends_with("\r\n\r\nü"));
  EXPECT_EQ(answer(two, 1), whole);
  EXPECT_EQ(answer(two, 7), whole);
}

TEST(Http, a_chunked_body_is_put_together) {
  EXPECT_TRUE(
      answer("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
          .ends_with("Content-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\nabc"));
}

TEST(Http, a_client_that_expects_100_continue_gets_it) {
  const std::string text =
      answer("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", 1);
  EXPECT_TRUE(text.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")) << text;
}

TEST(Http, a_handler_that_waits_holds_the_order) {
  const std::string text = answer("GET /later?x=1 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_LT(text.find("\r\n\r\n1"), text.find("Hello world!"));
}

TEST(Http, head_has_the_length_and_no_body) {
  const std::string text = answer("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(text.find("Content-Length: 12"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST(Http, http_1_0_and_connection_close_end_the_connection) {
  for (const std::string_view request :
       {"GET /hello HTTP/1.0\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"}) {
    const std::string text = answer(std::string(request) + "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_NE(text.find("Connection: close"), std::string::npos);
    EXPECT_EQ(text.find("HTTP/1.1", 1), std::string::npos) << "only one answer";
  }
}

TEST(Http, what_is_not_there_is_404_405_or_426) {
  EXPECT_TRUE(answer("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 404 Not Found\r\n"));
  const std::string wrong_method = answer("DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(wrong_method.starts_with("HTTP/1.1 405 "));
  EXPECT_NE(wrong_method.find("Allow: GET, HEAD, OPTIONS\r\n"), std::string::npos);
  EXPECT_TRUE(answer("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 426 "));
}

TEST(Http, a_pattern_that_no_request_can_match_is_refused) {
  const auto answer = [](Request&) { return Response::text("x"); };
  const std::vector patterns{"", "a", "/a?b", "/a#b", "/a/./b", "/..", "/of-{name}", "/{name}.txt", "/{}", "/{a}/{a}"};
  for (const char* pattern : patterns) {
    App app;
    EXPECT_THROW(app.get(pattern, answer), Error) << pattern;
  }
  App app;
  EXPECT_THROW(app.route("G T", "/", answer), Error);
  EXPECT_THROW(app.websocket("/", std::function<Task<>(ws::WebSocket&)>()), Error);
}

TEST(Http, a_handler_that_throws_is_500_and_keeps_the_connection) {
  const std::string text = answer("GET /fails HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 500 "));
  EXPECT_TRUE(text.ends_with("Hello world!"));
  EXPECT_EQ(text.find("on purpose"), std::string::npos) << "what went wrong is for the log alone";
}

TEST(Http, an_invalid_response_is_500_after_the_earlier_ones) {
  for (const std::string_view path : {"/bad-header", "/bad-type", "/bad-status", "/fails/later"}) {
    const std::string request = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    const std::string text = answer(request + fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", path) + request);
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
    EXPECT_NE(text.find("Hello world!HTTP/1.1 500 "), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("Hello world!")) << text;
    EXPECT_EQ(text.find("Y: b"), std::string::npos) << text;
  }
}

TEST(Http, a_pipeline_is_answered_in_order_whatever_the_answers_are) {
  std::string requests;
  std::vector<std::string> bodies;
  for (int number = 0; number < 300; ++number) {
    const int kind = number % 5;
    const int count = kind == 0 ? 1 : kind == 1 ? 900 : 3000;  // gathered, or sent without a copy
    const std::string word = std::to_string(1000 + number);
    if (kind == 4) {
      requests += fmt::format("GET /later?x={} HTTP/1.1\r\nHost: a\r\n\r\n", word);
      bodies.push_back(word);
      continue;
    }
    requests += fmt::format("GET /times/{}/{} HTTP/1.1\r\nHost: a\r\n\r\n", count, word);
    std::string& body = bodies.emplace_back();
    for (int times = 0; times < count; ++times) body += word;
  }
  std::string text = answer(requests);
  for (const std::string& body : bodies) {
    const std::size_t end = text.find("\r\n\r\n");
    ASSERT_NE(end, std::string::npos);
    EXPECT_TRUE(text.substr(0, end).ends_with(fmt::format("\r\nContent-Length: {}", body.size())));
    ASSERT_EQ(text.substr(end + 4, body.size()), body);
    text.erase(0, end + 4 + body.size());
  }
  EXPECT_EQ(text, "");
}

TEST(Http, head_of_a_long_body_has_only_its_length) {
  const std::string text = answer("HEAD /times/9000/x HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(text.find("Content-Length: 9000\r\n"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST(Http, what_was_answered_does_not_wait_for_a_handler) {
  std::string text;
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    Event go_on;
    App app({.headers = {}});
    app.get("/now", [](Request&) { return Response::text("now"); });
    app.get("/later", [&](Request&) -> Task<Response> {
      co_await go_on.wait();
      co_return Response::text("later");
    });
    const Handler handler = http::handler(std::move(app));
    Connection connection(*server, 1);
    const auto serve_one = [&]() -> Task<> {
      co_await handler(connection);
      co_await server->shutdown_send();
    };
    const auto ask = [&]() -> Task<> {
      co_await client->send("GET /now HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n");
      while (!text.ends_with("now")) text += (co_await client->recv()).text();
      go_on.set();
      co_await client->shutdown_send();
      text += co_await read_all(*client);
    };
    co_await all(serve_one(), ask());
  });
  EXPECT_TRUE(text.ends_with("later")) << text;
}

TEST(Http, an_empty_line_is_the_beginning_of_a_request) {
  EXPECT_TRUE(answer("\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 1).ends_with("Hello world!"));
  EXPECT_TRUE(answer("\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 2).starts_with("HTTP/1.1 400 "));
}

TEST(Http, each_answer_has_the_date) {
  std::string text;
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    Connection connection(*server, 1);
    const Handler handler = http::handler(make_app());
    co_await client->send("GET /hello HTTP/1.0\r\n\r\n");
    co_await handler(connection);
    text = std::string((co_await client->recv()).text());
  });
  static const std::regex date(
      "\r\nDate: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
      "[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\r\n");
  EXPECT_TRUE(std::regex_search(text, date)) << text;
}

TEST(Http, a_request_that_is_wrong_is_refused_and_the_connection_ends) {
  for (const auto& [request, status] :
       {std::pair("GET /hello HTTP/1.1\r\n\r\n", "400"), std::pair("GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", "505"),
        std::pair("GET hello HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        std::pair("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        std::pair("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n", "413"),
        std::pair("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400")}) {
    const std::string text = answer(std::string(request) + "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(text.starts_with(std::string("HTTP/1.1 ") + status)) << request << text;
    EXPECT_EQ(text.find("Hello"), std::string::npos) << request;
  }
}

TEST(Http, a_head_that_is_late_is_408) {
  std::string text;
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    const auto serve_one = [&]() -> Task<> {
      Connection connection(*server, 1);
      const Handler handler = http::handler(make_app({.head = 20ms}));
      co_await handler(connection);
      co_await server->shutdown_send();
    };
    co_await client->send("GET /hel");
    auto [served, got] = co_await all(serve_one(), read_all(*client));
    text = got;
  });
  EXPECT_TRUE(text.starts_with("HTTP/1.1 408 ")) << text;
}

TEST(Http, a_file_is_fetched_once) {
  const std::string text = answer("GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
  std::smatch etag;
  ASSERT_TRUE(std::regex_search(text, etag, std::regex("ETag: (\"[^\"]*\")")));
  EXPECT_TRUE(text.ends_with("body {}"));
  const std::string again = answer("GET /file HTTP/1.1\r\nHost: a\r\nIf-None-Match: " + etag[1].str() + "\r\n\r\n");
  EXPECT_TRUE(again.starts_with("HTTP/1.1 304 ")) << again;
  EXPECT_TRUE(again.ends_with("\r\n\r\n"));
}

TEST(Http, a_host_that_is_not_ours_is_421) {
  const http::AppOptions local{.hosts = {"localhost"}};
  const auto status = [&](std::string_view host) {
    return answer(fmt::format("GET /hello HTTP/1.1\r\nHost: {}\r\n\r\n", host), SIZE_MAX, local).substr(9, 3);
  };
  EXPECT_EQ(status("evil.example"), "421");
  EXPECT_EQ(status("localhost:8080"), "200");
  EXPECT_EQ(status("127.0.0.1:8080"), "200");
  EXPECT_EQ(status("[::1]:8080"), "200");
}

constexpr std::string_view upgrade =
    "GET /echo HTTP/1.1\r\nHost: a:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
constexpr std::string_view switching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

TEST(WebSocket, echoes_and_answers_the_close) {
  using namespace std::string_literals;
  // "Hello", masked (RFC 6455, section 5.7), then a ping "x", then close 1000; masks of zeros.
  const std::string frames =
      "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s + "\x89\x81\0\0\0\0x"s + "\x88\x82\0\0\0\0\x03\xe8"s;
  const std::string request = std::string(upgrade) + "\r\n" + frames;
  const std::string expected = std::string(switching) + "\x81\x05Hello"s + "\x8a\x01x"s + "\x88\x02\x03\xe8"s;
  EXPECT_EQ(answer(request), expected) << "frames that come with the request are not lost";
  EXPECT_EQ(answer(request, 1), expected);
}

TEST(WebSocket, a_handler_that_fails_closes_with_1011) {
  using namespace std::string_literals;
  std::string request(upgrade);
  request.replace(request.find("/echo"), 5, "/fails");
  const std::string text = answer(request + "\r\n" + "\x81\x81\0\0\0\0x"s);
  ASSERT_TRUE(text.starts_with(switching));
  EXPECT_EQ(text.substr(switching.size()), "\x88\x02\x03\xf3"s);
}

TEST(WebSocket, a_failure_of_something_else_than_the_connection_closes_with_1011) {
  using namespace std::string_literals;
  for (const std::string_view kind : {"timed_out", "disconnected", "protocol", "overloaded", "status", "number"}) {
    std::string request(upgrade);
    request.replace(request.find("/echo"), 5, fmt::format("/fails/{}", kind));
    const std::string text = answer(request + "\r\n" + "\x81\x81\0\0\0\0x"s);
    ASSERT_TRUE(text.starts_with(switching)) << kind;
    EXPECT_EQ(text.substr(switching.size()), "\x88\x02\x03\xf3"s) << kind;
  }
}

TEST(Http, a_handler_that_throws_what_is_no_exception_is_500) {
  EXPECT_TRUE(answer("GET /number HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 500 "));
}

TEST(WebSocket, a_frame_without_a_mask_is_closed_with_1002) {
  using namespace std::string_literals;
  const std::string text = answer(std::string(upgrade) + "\r\n" + "\x81\x05Hello"s);
  ASSERT_TRUE(text.starts_with(switching));
  EXPECT_EQ(text.substr(switching.size(), 1), "\x88"s);
  EXPECT_EQ(text.substr(switching.size() + 2, 2), "\x03\xea"s);
}

TEST(WebSocket, a_page_of_another_origin_is_refused) {
  EXPECT_TRUE(answer(std::string(upgrade) + "Origin: http://evil.example\r\n\r\n").starts_with("HTTP/1.1 403 "));
  EXPECT_TRUE(answer(std::string(upgrade) + "Origin: http://a:1\r\n\r\n").starts_with(switching));
  EXPECT_TRUE(answer(std::string(upgrade) + "Origin: null\r\n\r\n").starts_with("HTTP/1.1 403 "));
}

TEST(WebSocket, a_silent_peer_is_pinged_and_then_given_up) {
  using namespace std::string_literals;
  std::string got;
  run([&]() -> Task<> {
    Endpoint at;
    Event listening;
    ServeOptions options;
    options.on_listen = [&](const Address& here) { at = here.endpoint(); };
    options.on_ready = [&] { listening.set(); };
    const auto client = [&]() -> Task<> {
      co_await listening.wait();
      const auto stream = co_await connect(std::vector{at});
      const std::string request = std::string(upgrade) + "\r\n";
      co_await stream->send(request);
      got = co_await read_all(*stream);
    };
    // Both limits are checked once a second.
    co_await race(
        serve(options, http::handler(make_app({.websocket = {.ping_interval = 100ms, .silence_max = 1100ms}}))),
        client());
  });
  EXPECT_EQ(got, std::string(switching) + "\x89\x00"s) << "a ping, and then the end";
}

}  // namespace
}  // namespace coax::connection_test
