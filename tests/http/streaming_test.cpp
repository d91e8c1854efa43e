// Streamed bodies in both directions, and middleware: literal bytes in, literal bytes out.
#include <gtest/gtest.h>

#include <regex>

#include "coax/base/log.hpp"
#include "coax/http/app.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/http.hpp"
#include "tests/support/run.hpp"

namespace coax::streaming_test {
namespace {

using http::App;
using http::BodyReader;
using http::BodyWriter;
using http::Request;
using http::Response;
using http::Router;
using test::answer;
using test::bare;
using test::body_of;
using test::get;
using test::next_turn;
using test::outcome;
using test::read_all;
using test::run;
using test::serve_one;
using namespace std::chrono_literals;

class HttpStreaming : public test::QuietLog {};
using HttpMiddleware = HttpStreaming;

// Answers with the number of parts and bytes, and the end of the body.
App counting_app(http::RouteOptions options = {}) {
  App app = bare();
  app.post(
      "/count",
      [](Request& request, BodyReader& body) -> Task<Response> {
        std::string all;
        while (const BytesView part = co_await body.recv()) all.append(part.text());
        co_return Response::text(fmt::format("{} {} {}", request.path(), all.size(), all));
      },
      options);
  app.post("/ignore", [](Request&, BodyReader&) -> Task<Response> { co_return Response::text("ignored"); });
  app.post("/all",
           [](Request&, BodyReader& body) -> Task<Response> { co_return Response::text(co_await body.read_all(4)); });
  app.get("/hello", [](Request&) { return Response::text("hello"); });
  return app;
}

}  // namespace

// --- the body of a request ---

TEST_F(HttpStreaming, a_body_is_read_however_it_is_cut_and_framed) {
  const std::string sized = "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde";
  const std::string chunked =
      "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
  const std::string next = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const std::string& request : {sized, chunked}) {
    for (const std::size_t piece : {SIZE_MAX, 1UZ, 3UZ, 70UZ}) {
      const std::string text = answer(counting_app(), request + next, piece);
      EXPECT_NE(text.find("/count 5 abcde"), std::string::npos) << text;
      EXPECT_TRUE(text.ends_with("\r\n\r\nhello")) << text;
    }
  }
  EXPECT_TRUE(answer(counting_app(), "POST /count HTTP/1.1\r\nHost: a\r\n\r\n" + next).find("/count 0 HTTP") !=
              std::string::npos);
}

TEST_F(HttpStreaming, the_client_gets_100_continue_when_the_body_is_read) {
  const std::string head = "POST /{} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
  const auto ask = [&](std::string_view path) {
    return answer(counting_app(), fmt::format(fmt::runtime(head), path) + "x", 1);
  };
  EXPECT_TRUE(ask("count").starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")) << ask("count");
  EXPECT_TRUE(ask("ignore").starts_with("HTTP/1.1 200 OK")) << ask("ignore");
}

TEST_F(HttpStreaming, a_body_that_is_not_read_to_its_end_closes_the_connection) {
  const std::string text = answer(
      counting_app(), "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nGET /hello HTTP/1.1\r\n\r\n");
  EXPECT_NE(text.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\n\r\nignored")) << text;
}

TEST_F(HttpStreaming, a_body_above_the_limit_is_413) {
  const std::string_view chunked =
      "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n";
  EXPECT_TRUE(answer(counting_app({.body_bytes_max = 4}), chunked, 1).starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(answer(counting_app({.body_bytes_max = 6}), chunked, 1).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(
      answer(counting_app({.body_bytes_max = 4}), "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
          .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(answer(counting_app(), "POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde")
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_EQ(body_of(answer(counting_app(), "POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd")), "abcd");
}

TEST_F(HttpStreaming, a_malformed_body_is_400_and_a_truncated_one_unanswered) {
  const std::string head = "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_TRUE(answer(counting_app(), head + "2\r\nab\r\nx\r\n", 1).starts_with("HTTP/1.1 400 "));
  EXPECT_EQ(answer(counting_app(), head + "2\r\na", 1), "");
}

TEST_F(HttpStreaming, a_body_that_stops_coming_is_408) {
  run([]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    App app = bare({.body = 10ms});
    app.post("/", [](Request&, BodyReader& body) -> Task<Response> {
      while (co_await body.recv()) {
      }
      co_return Response::text("all");
    });
    const Handler handler = http::handler(std::move(app));
    const auto ask = [&]() -> Task<> {
      co_await client->send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx");
      EXPECT_TRUE((co_await read_all(*client)).starts_with("HTTP/1.1 408 "));
    };
    co_await all(serve_one(*server, handler), ask());
  });
}

TEST_F(HttpStreaming, a_handler_that_does_not_read_slows_the_client) {
  run([]() -> Task<> {
    auto [server, client] = memory_stream_pair(1000);
    Event go_on;
    App app = bare();
    app.post("/",
             [&](Request&, BodyReader& body) -> Task<Response> {
               co_await go_on.wait();
               std::size_t count = 0;
               while (const BytesView part = co_await body.recv()) {
                 EXPECT_LE(part.size(), 1000U);
                 count += part.size();
               }
               co_return Response::text(std::to_string(count));
             },
             {.body_bytes_max = SIZE_MAX});
    const Handler handler = http::handler(std::move(app));
    std::size_t sent = 0;
    const auto ask = [&]() -> Task<> {
      co_await client->send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
      const std::string part(500, 'x');
      for (; sent < 100'000; sent += part.size()) co_await client->send(part);
      co_await client->shutdown_send();
    };
    const auto watch = [&]() -> Task<> {
      for (int turn = 0; turn < 100; ++turn) co_await next_turn();
      EXPECT_LE(sent, 3000U);
      go_on.set();
      EXPECT_EQ(body_of(co_await read_all(*client)), "100000");
    };
    co_await all(serve_one(*server, handler), ask(), watch());
  });
}

// --- the body of a response ---

namespace {

App producing_app() {
  App app = bare();
  app.get("/parts", [](Request&) {
    return Response::stream(Response::text_type, [](BodyWriter& body) -> Task<> {
      co_await body.send("Hello ");
      co_await body.send("");
      co_await next_turn();
      co_await body.send("world!");
    });
  });
  app.get("/length/{announced}", [](Request& request) -> Task<Response> {
    const auto length = std::stoul(std::string(request.parameter("announced")));
    co_return Response{.body =
                           http::StreamedBody{.producer = [](BodyWriter& body) -> Task<> { co_await body.send("abc"); },
                                              .length = length}};
  });
  app.get("/fails", [](Request&) {
    return Response::stream(Response::text_type, [](BodyWriter& body) -> Task<> {
      co_await body.send("abc");
      throw std::runtime_error("on purpose");
    });
  });
  app.get("/hello", [](Request&) { return Response::text("hello"); });
  return app;
}

}  // namespace

TEST_F(HttpStreaming, a_produced_body_is_chunked_and_the_next_request_is_answered) {
  EXPECT_EQ(get(producing_app(), "/parts"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
            "6\r\nHello \r\n6\r\nworld!\r\n0\r\n\r\n");
  const std::string twice =
      answer(producing_app(), "GET /parts HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(twice.ends_with("hello")) << twice;
}

TEST_F(HttpStreaming, a_produced_body_of_http_1_0_ends_with_the_connection) {
  EXPECT_EQ(answer(producing_app(), "GET /parts HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /hello HTTP/1.0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nHello world!");
}

TEST_F(HttpStreaming, head_of_a_produced_body_does_not_produce_it) {
  const std::string text = answer(producing_app(),
                                  "HEAD /fails HTTP/1.1\r\nHost: a\r\n\r\nHEAD /length/7 HTTP/1.1\r\nHost: a\r\n\r\n"
                                  "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(text.find("Content-Length: 7\r\n\r\nHTTP/1.1 200"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("hello")) << text;
}

TEST_F(HttpStreaming, a_produced_body_has_exactly_the_announced_length) {
  EXPECT_EQ(get(producing_app(), "/length/3"), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(get(producing_app(), "/length/2"), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(get(producing_app(), "/length/4"), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc") << "and the end";
}

TEST_F(HttpStreaming, a_producer_that_fails_leaves_the_body_without_its_end) {
  const std::string text =
      answer(producing_app(), "GET /fails HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(text.ends_with("\r\n\r\n3\r\nabc\r\n")) << text;
}

TEST_F(HttpStreaming, a_producer_waits_for_a_client_that_does_not_read) {
  run([]() -> Task<> {
    auto [server, client] = memory_stream_pair(1000);
    std::size_t produced = 0;
    App app = bare();
    app.get("/", [&](Request&) {
      return Response::stream(Response::text_type, [&](BodyWriter& body) -> Task<> {
        const std::string part(500, 'x');
        for (; produced < 100'000; produced += part.size()) co_await body.send(part);
      });
    });
    const Handler handler = http::handler(std::move(app));
    const auto ask = [&]() -> Task<> {
      co_await client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      for (int turn = 0; turn < 100; ++turn) co_await next_turn();
      EXPECT_LE(produced, 3000U);
      co_await client->shutdown_send();
      EXPECT_TRUE((co_await read_all(*client)).ends_with("\r\n0\r\n\r\n"));
    };
    co_await all(serve_one(*server, handler), ask());
    EXPECT_EQ(produced, 100'000U);
  });
}

TEST_F(HttpStreaming, a_producer_can_wait_until_the_client_has_left) {
  run([]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    bool has_left = false;
    App app = bare();
    app.get("/", [&](Request&) {
      return Response::stream(Response::text_type, [&](BodyWriter& body) -> Task<> {
        co_await body.wait_disconnected();
        has_left = true;
      });
    });
    const Handler handler = http::handler(std::move(app));
    const auto ask = [&]() -> Task<> {
      co_await client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      for (int turn = 0; turn < 20; ++turn) co_await next_turn();
      EXPECT_FALSE(has_left);
      client->close();
    };
    co_await all(serve_one(*server, handler), ask());
    EXPECT_TRUE(has_left);
  });
}

TEST_F(HttpStreaming, a_client_that_has_left_is_noticed_after_its_next_request) {
  for (const std::string_view more : {"G", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"}) {
    for (const bool is_reset : {false, true}) {
      run([&]() -> Task<> {
        auto [server, client] = memory_stream_pair();
        int ended = 0;
        App app = bare();
        app.get("/wait", [&](Request&) {
          return Response::stream(Response::text_type, [&](BodyWriter& body) -> Task<> {
            co_await body.send("x");
            co_await body.wait_disconnected();
            ++ended;
          });
        });
        const Handler handler = http::handler(std::move(app));
        const auto ask = [&]() -> Task<> {
          co_await client->send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(more));
          for (int turn = 0; turn < 20; ++turn) co_await next_turn();
          EXPECT_EQ(ended, 0);
          is_reset ? client->abort() : client->close();
        };
        co_await all(serve_one(*server, handler), ask());
        EXPECT_EQ(ended, 1);
      });
    }
  }
}

TEST_F(HttpStreaming, requests_during_a_streamed_response_wait_for_its_end) {
  run([]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    Event has_sent;
    App app = bare();
    app.get("/wait", [&](Request&) {
      return Response::stream(Response::text_type, [&](BodyWriter& body) -> Task<> {
        co_await race(body.wait_disconnected(), has_sent.wait());
        co_await body.send("x");
      });
    });
    app.get("/hello", [](Request&) { return Response::text("hello"); });
    const Handler handler = http::handler(std::move(app));
    const auto ask = [&]() -> Task<> {
      co_await client->send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\nGET /he");
      for (int turn = 0; turn < 20; ++turn) co_await next_turn();
      co_await client->send("llo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      for (int turn = 0; turn < 20; ++turn) co_await next_turn();
      has_sent.set();
      const std::string text = co_await read_all(*client);
      EXPECT_NE(text.find("1\r\nx\r\n0\r\n\r\nHTTP/1.1 200 OK"), std::string::npos) << text;
      EXPECT_TRUE(text.ends_with("hello")) << text;
    };
    co_await all(serve_one(*server, handler), ask());
  });
}

TEST_F(HttpStreaming, a_body_without_a_producer_is_500) {
  App app = bare();
  app.get("/", [](Request&) { return Response{.body = http::StreamedBody{}}; });
  EXPECT_TRUE(get(std::move(app), "/").starts_with("HTTP/1.1 500 "));
}

TEST_F(HttpStreaming, an_upgrade_needs_the_whole_request) {
  const auto make = [] {
    App app = bare();
    app.post("/up", [](Request&, BodyReader&) -> Task<Response> {
      Response response{.status = 101, .headers = {{"Upgrade", "shout"}}};
      response.body = http::Upgrade{[](Connection& connection, std::string early) -> Task<> {
        const std::string text = early + "!";
        co_await connection.stream().send(text);
      }};
      co_return response;
    });
    return app;
  };
  const std::string head = "POST /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shout\r\nContent-Length: ";
  EXPECT_TRUE(answer(make(), head + "5\r\n\r\nhe").starts_with("HTTP/1.1 500 "));
  EXPECT_EQ(answer(make(), head + "0\r\n\r\nhe"),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: Upgrade\r\n\r\nhe!");
}

// RFC 9110, section 7.8: a server ignores Upgrade in HTTP/1.0, and does not upgrade without one.
TEST_F(HttpStreaming, an_upgrade_that_was_not_requested_is_426) {
  const auto make = [] {
    App app = bare();
    app.get("/up", [](Request&) {
      Response response{.status = 101, .headers = {{"Upgrade", "shout"}}};
      response.body = http::Upgrade{[](Connection&, std::string) -> Task<> { co_return; }};
      return response;
    });
    return app;
  };
  for (const std::string_view request :
       {"GET /up HTTP/1.1\r\nHost: a\r\n\r\n", "GET /up HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n"}) {
    const std::string text = answer(make(), std::string(request));
    EXPECT_TRUE(text.starts_with("HTTP/1.1 426 ")) << text;
    EXPECT_NE(text.find("\r\nUpgrade: shout\r\n"), std::string::npos) << text;
  }
}

TEST_F(HttpStreaming, close_among_the_options_of_connection_closes) {
  App app = bare();
  app.get("/", [](Request&) { return Response::text("x").header("Connection", "X-Foo, close"); });
  EXPECT_NE(get(std::move(app), "/").find("\r\nConnection: close\r\n"), std::string::npos);
}

// --- middleware ---

// Before any byte of the body is accepted, and without 100 Continue.
TEST_F(HttpStreaming, a_middleware_refuses_before_the_body_is_read) {
  const auto make = [](bool is_async) {
    App app = bare();
    app.use([](Request& request, http::Next next) -> Task<Response> {
      EXPECT_EQ(request.body(), "");
      if (request.header("X-Key").empty()) co_return Response::text("no key\n", 403);
      Response response = co_await next(request);
      EXPECT_EQ(request.body(), "abc");
      co_return response;
    });
    if (is_async) {
      app.post("/", [](Request& request) -> Task<Response> { co_return Response::text(request.body()); });
    } else {
      app.post("/", [](Request& request) { return Response::text(request.body()); });
    }
    return app;
  };
  for (const bool is_async : {false, true}) {
    const auto ask = [&](std::string_view fields, std::string_view body) {
      return answer(make(is_async),
                    fmt::format("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n{}\r\n{}", fields, body));
    };
    const std::string refused = ask("Expect: 100-continue\r\n", "");
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 403 ")) << refused;
    EXPECT_NE(refused.find("\r\nConnection: close\r\n"), std::string::npos) << refused;
    EXPECT_TRUE(ask("", "abc").starts_with("HTTP/1.1 403 "));
    for (const std::string_view fields : {"X-Key: k\r\n", "X-Key: k\r\nExpect: 100-continue\r\n"}) {
      const std::string accepted = ask(fields, "abc");
      EXPECT_TRUE(accepted.starts_with("HTTP/1.1 ") && accepted.ends_with("\r\n\r\nabc")) << accepted;
    }
  }
}

namespace {

http::Middleware mark(std::string name) {
  return [name](Request& request, http::Next next) -> Task<Response> {
    Response response = co_await next(request);
    response.header("X-Mark", name);
    co_return response;
  };
}
std::string marks_of(std::string_view response) {
  std::string marks;
  for (std::size_t at = 0; (at = response.find("X-Mark: ", at)) != std::string_view::npos; at += 8) {
    marks += response[at + 8];
  }
  return marks;
}

}  // namespace

TEST_F(HttpMiddleware, runs_from_the_outside_in_and_sees_what_no_route_answers) {
  const auto make = [] {
    Router inner;
    inner.get("/x", [](Request&) { return Response::text("x"); });
    inner.use(mark("c"));
    App app = bare();
    app.use(mark("a")).use(mark("b"));
    app.get("/own", [](Request&) -> Task<Response> { co_return Response::text("own"); });
    app.mount("/inner", std::move(inner));
    return app;
  };
  EXPECT_EQ(marks_of(get(make(), "/own")), "ba");
  EXPECT_EQ(marks_of(get(make(), "/inner/x")), "cba");
  EXPECT_EQ(marks_of(get(make(), "/none")), "ba");
  EXPECT_TRUE(get(make(), "/none").starts_with("HTTP/1.1 404 "));
  const std::string text = answer(make(), "POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 404 ")) << "the body is not read";
  EXPECT_EQ(marks_of(text), "ba");
}

TEST_F(HttpMiddleware, may_answer_by_itself_also_instead_of_a_websocket) {
  App app = bare();
  bool called = false;
  app.use([](Request& request, http::Next next) -> Task<Response> {
    if (request.header("Authorization").empty()) co_return Response::text("who are you?\n", 401);
    co_return co_await next(request);
  });
  app.websocket("/ws", [&](ws::WebSocket&) -> Task<> {
    called = true;
    co_return;
  });
  const std::string text = answer(std::move(app),
                                  "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 401 ")) << text;
  EXPECT_FALSE(called);
}

TEST_F(HttpMiddleware, passes_a_streamed_body_on) {
  App app = counting_app();
  app.use(mark("a"));
  const std::string text = answer(std::move(app), "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 1);
  EXPECT_EQ(marks_of(text), "a");
  EXPECT_TRUE(text.ends_with("/count 3 abc")) << text;
}

TEST_F(HttpMiddleware, that_throws_is_500) {
  App app = counting_app();
  app.use([](Request&, http::Next) -> Task<Response> { throw std::runtime_error("on purpose"); });
  EXPECT_TRUE(get(std::move(app), "/hello").starts_with("HTTP/1.1 500 "));
}

}  // namespace coax::streaming_test
