// Fields outside of the head: trailers in both directions (RFC 9110, section 6.5), and early hints (RFC 8297).
#include <gtest/gtest.h>

#include "tests/support/http.hpp"

namespace coax::trailers_test {
namespace {

using http::App;
using http::BodyReader;
using http::BodyWriter;
using http::Request;
using http::Response;
using test::answer;
using test::bare;
using test::body_of;
using test::outcome;

class HttpTrailers : public test::QuietLog {};
using HttpEarlyHints = HttpTrailers;

App app_with_trailer(std::optional<std::uint64_t> length = {}) {
  App app = bare();
  app.get("/", [=](Request&) {
    auto producer = [](BodyWriter& body) -> Task<> {
      co_await body.send("abc");
      const bool is_sent = body.trailer("X-Sum", "6");
      co_await body.send(is_sent ? "+" : "-");
      body.trailer("Server-Timing", "db;dur=5");
    };
    return Response{.body = http::StreamedBody{.producer = producer, .length = length}};
  });
  return app;
}

std::string get_body(App app, std::string_view fields, std::string_view protocol = "HTTP/1.1") {
  return body_of(answer(std::move(app), fmt::format("GET / {}\r\nHost: a\r\n{}\r\n", protocol, fields)));
}

}  // namespace

TEST_F(HttpTrailers, are_sent_to_clients_that_ask_for_them) {
  const std::string with = "3\r\nabc\r\n1\r\n+\r\n0\r\nX-Sum: 6\r\nServer-Timing: db;dur=5\r\n\r\n";
  const std::string without = "3\r\nabc\r\n1\r\n-\r\n0\r\n\r\n";
  EXPECT_EQ(get_body(app_with_trailer(), "Connection: TE\r\nTE: trailers\r\n"), with);
  EXPECT_EQ(get_body(app_with_trailer(), "TE: deflate;q=0.5, Trailers\r\n"), with);
  EXPECT_EQ(get_body(app_with_trailer(), ""), without);
  EXPECT_EQ(get_body(app_with_trailer(), "TE: deflate\r\n"), without);
  EXPECT_EQ(get_body(app_with_trailer(4), "TE: trailers\r\n"), "abc-");
  EXPECT_EQ(get_body(app_with_trailer(), "TE: trailers\r\n", "HTTP/1.0"), "abc-");
}

TEST_F(HttpTrailers, that_belong_into_the_head_are_refused) {
  for (const char* name : {"Content-Length", "transfer-encoding", "Content-Type", "Set-Cookie", "Trailer", "If-Match",
                           "Authorization", "a b", ""}) {
    App app = bare();
    std::string failure;
    app.get("/", [&](Request&) {
      return Response::stream("text/plain", [&](BodyWriter& body) -> Task<> {
        try {
          body.trailer(name, "1");
        } catch (const Error& error) {
          failure = error.what();
        }
        co_return;
      });
    });
    EXPECT_EQ(get_body(std::move(app), "TE: trailers\r\n"), "0\r\n\r\n");
    EXPECT_TRUE(failure.starts_with("write the ")) << name << failure;
  }
  App app = bare();
  app.get("/", [&](Request&) {
    return Response::stream("text/plain", [&](BodyWriter& body) -> Task<> {
      body.trailer("X", "1\r\nY: 2");
      co_return;
    });
  });
  EXPECT_EQ(get_body(std::move(app), "TE: trailers\r\n"), "");
}

TEST_F(HttpTrailers, of_a_request_are_there_after_its_body) {
  App app = bare();
  app.post("/", [](Request& request, BodyReader& body) -> Task<Response> {
    const bool is_early = body.trailer("X-Sum").has_value();
    const std::string all = co_await body.read_all(100);
    co_return Response::text(fmt::format("{} {} {} '{}' {}", is_early, all, body.trailer("x-sum").value_or("none"),
                                         request.header("X-Sum"), body.trailer("X-Other").value_or("none")));
  });
  const std::string text =
      answer(std::move(app),
             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n");
  EXPECT_EQ(body_of(text), "false abc 6 '' none");
}

TEST_F(HttpEarlyHints, come_before_the_response) {
  App app = bare();
  std::string failure;
  app.get("/", [&](Request& request) -> Task<Response> {
    const http::Pairs hints{{"Link", "</style.css>; rel=preload; as=style"}};
    co_await request.send_early_hints(hints);
    const http::Pairs framing{{"Content-Length", "3"}};
    failure = co_await outcome(request.send_early_hints(framing));
    co_return Response::text("abc");
  });
  app.get("/first", [](Request&) { return Response::text("1"); });
  const Handler handler = http::handler(std::move(app));
  test::run([&]() -> Task<> {
    const std::string modern =
        co_await test::ask(handler, "GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(body_of(modern),
              "1HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\nabc");
    EXPECT_EQ(failure, "invalid");
    const std::string old = co_await test::ask(handler, "GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(old.starts_with("HTTP/1.1 200 OK")) << old;
  });
}

}  // namespace coax::trailers_test
