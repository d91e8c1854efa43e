// Server-sent events: literal bytes, which the HTML standard (section 9.2.6) interprets as each test says.
#include "coax/http/events.hpp"

#include <gtest/gtest.h>

#include "coax/test/sim.hpp"
#include "tests/support/http.hpp"

namespace coax::events_test {
namespace {

using http::App;
using http::EventWriter;
using http::Request;
using http::Response;
using http::ServerSentEvent;
using test::answer;
using test::bare;
using test::header_of;
using namespace std::chrono_literals;
using namespace std::string_view_literals;

class HttpEvents : public test::QuietLog {};

std::string bytes_of(const ServerSentEvent& event) {
  std::string out = "before|";
  http::append_event(out, event);
  return out.substr(7);
}

App app_of(Task<> (*producer)(EventWriter&), http::EventOptions options = {}) {
  App app = bare();
  app.get("/", [=](Request& request) { return http::events(request, producer, options); });
  return app;
}

constexpr std::string_view head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";

}  // namespace

TEST_F(HttpEvents, literal_bytes_of_events) {
  EXPECT_EQ(bytes_of({.data = "This is the first message."}), "data: This is the first message.\n\n");
  EXPECT_EQ(bytes_of({.data = "two\nlines"}), "data: two\ndata: lines\n\n");
  EXPECT_EQ(bytes_of({.data = "a\rb\r\nc\n\rd"}), "data: a\ndata: b\ndata: c\ndata: \ndata: d\n\n");
  EXPECT_EQ(bytes_of({.data = "ends with a line end\n"}), "data: ends with a line end\ndata: \n\n");
  EXPECT_EQ(bytes_of({.data = " a space stays"}), "data:  a space stays\n\n");
  EXPECT_EQ(bytes_of({.data = ""}), "data: \n\n");
  EXPECT_EQ(bytes_of({.data = "id: 1\n\nevent: x"}), "data: id: 1\ndata: \ndata: event: x\n\n");
  EXPECT_EQ(bytes_of({.id = "1", .event = "add", .data = "73857293", .retry = 2500ms}),
            "id: 1\nevent: add\nretry: 2500\ndata: 73857293\n\n");
  EXPECT_EQ(bytes_of({.id = "", .data = "x"}), "id: \ndata: x\n\n");
  EXPECT_EQ(bytes_of({.retry = 0ms}), "retry: 0\n\n");
  EXPECT_EQ(bytes_of({.data = "\xE2\x82\xAC\0"sv}), "data: \xE2\x82\xAC\0\n\n"sv);
}

TEST_F(HttpEvents, texts_that_would_start_another_field_are_refused) {
  for (const ServerSentEvent& event :
       {ServerSentEvent{.id = "1\n2"}, ServerSentEvent{.id = "1\r"}, ServerSentEvent{.id = "a\0"sv},
        ServerSentEvent{.event = "a\ndata: b"}, ServerSentEvent{.event = "a\r"}, ServerSentEvent{.retry = -1ms}}) {
    std::string out = "before";
    EXPECT_THROW(http::append_event(out, event), Error);
    EXPECT_EQ(out, "before");
  }
}

TEST_F(HttpEvents, response_is_neither_stored_nor_buffered) {
  const auto producer = [](EventWriter& events) -> Task<> {
    co_await events.send("after " + events.last_event_id());
    co_await events.comment("two\nlines");
  };
  EXPECT_EQ(answer(app_of(producer), std::string(head) + "Last-Event-ID: 7\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            "X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            "f\r\ndata: after 7\n\n\r\n"
            "e\r\n: two\n: lines\n\r\n"
            "0\r\n\r\n");
  EXPECT_TRUE(answer(app_of(producer), std::string(head) + "\r\n").contains("data: after \n\n"));
  EXPECT_TRUE(answer(app_of(producer, {.keep_alive = 0s}), std::string(head) + "\r\n").starts_with("HTTP/1.1 500 "));
}

TEST_F(HttpEvents, comments_keep_a_silent_stream_alive) {
  test::simulate(1, [](SimNetwork&) -> Task<> {
    const auto ask = [](http::EventOptions options) -> Task<std::string> {
      const auto producer = [](EventWriter& events) -> Task<> {
        co_await sleep(40s);
        co_await events.send("x");
      };
      auto [server, client] = memory_stream_pair();
      const Handler handler = http::handler(app_of(producer, options));
      co_await client->send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      auto [served, text] = co_await all(test::serve_one(*server, handler), test::read_all(*client));
      co_return test::body_of(text);
    };
    EXPECT_EQ(co_await ask({}), "2\r\n:\n\r\n2\r\n:\n\r\n9\r\ndata: x\n\n\r\n0\r\n\r\n");
    EXPECT_EQ(co_await ask({.keep_alive = 39s}), "2\r\n:\n\r\n9\r\ndata: x\n\n\r\n0\r\n\r\n");
    EXPECT_EQ(co_await ask({.keep_alive = std::nullopt}), "9\r\ndata: x\n\n\r\n0\r\n\r\n");
  });
}

TEST_F(HttpEvents, producer_is_cancelled_when_the_client_has_left) {
  test::run([]() -> Task<> {
    bool is_cancelled = false;
    App app = bare();
    app.get("/", [&](Request& request) {
      return http::events(request, [&](EventWriter& events) -> Task<> {
        co_await events.send("x");
        try {
          co_await sleep(1h);
        } catch (const Cancelled&) {
          is_cancelled = true;
          throw;
        }
      });
    });
    auto [server, client] = memory_stream_pair();
    const Handler handler = http::handler(std::move(app));
    const auto leave = [&]() -> Task<> {
      co_await client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      co_await client->recv();
      client->close();
    };
    co_await all(test::serve_one(*server, handler), leave());
    EXPECT_TRUE(is_cancelled);
  });
}

}  // namespace coax::events_test
