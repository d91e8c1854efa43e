// Limits of request bodies over their time: the least rate, in virtual time, and the memory of all bodies at once.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "coax/test/sim.hpp"
#include "tests/support/http.hpp"

namespace coax::body_limits_test {
namespace {

using http::App;
using http::AppOptions;
using http::BodyReader;
using http::Request;
using http::Response;
using test::bare;
using test::outcome;
using test::read_all;
using test::serve_one;
using namespace std::chrono_literals;

class HttpBodyLimits : public test::QuietLog {
 protected:
  static void on_sim(std::function<Task<>()> body) {
    test::simulate(1, [&](SimNetwork&) { return body(); },
                   {.has_failed = [] { return ::testing::Test::HasFailure(); }});
  }
};

App app_of(AppOptions options) {
  App app = bare(std::move(options));
  app.post("/whole", [](Request& request) { return Response::text(std::to_string(request.body().size())); });
  app.post("/parts", [](Request&, BodyReader& body) -> Task<Response> {
    std::size_t size = 0;
    while (const BytesView part = co_await body.recv()) size += part.size();
    co_return Response::text(std::to_string(size));
  });
  app.post("/pausing", [](Request&, BodyReader& body) -> Task<Response> {
    std::size_t size = 0;
    for (; const BytesView part = co_await body.recv(); co_await sleep(10min)) size += part.size();
    co_return Response::text(std::to_string(size));
  });
  return app;
}

struct Drip {
  std::string_view path;
  std::size_t first_bytes;  // at once
  std::size_t piece_bytes;  // after each pause
  std::size_t pieces;
  Duration pause;
};

// Returns: the status, and the whole seconds until the response was there: "408 5".
Task<std::string> answer_to(Drip drip, AppOptions options = {}) {
  auto [server, client] = memory_stream_pair();
  const Handler handler = http::handler(app_of(std::move(options)));
  const TimePoint began = Loop::current().backend().now();
  const auto send = [&]() -> Task<> {
    co_await client->send(fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                                      drip.path, drip.first_bytes + drip.pieces * drip.piece_bytes));
    co_await client->send(std::string(drip.first_bytes, 'x'));
    for (std::size_t count = 0; count < drip.pieces; ++count) {
      co_await sleep(drip.pause);
      co_await client->send(std::string(drip.piece_bytes, 'x'));
    }
  };
  std::string status;
  Duration taken{};
  const auto read = [&]() -> Task<> {
    status = (co_await read_all(*client)).substr(9, 3);
    taken = Loop::current().backend().now() - began;
  };
  const auto send_and_wait = [&]() -> Task<> {
    co_await outcome(send());
    co_await sleep(30min);
  };
  co_await all(serve_one(*server, handler), race(read(), send_and_wait()));
  co_return fmt::format("{} {}", status, std::chrono::floor<std::chrono::seconds>(taken).count());
}

TEST_F(HttpBodyLimits, a_byte_a_second_is_408_after_the_grace) {
  on_sim([]() -> Task<> {
    for (const std::string_view path : {"/whole", "/parts"}) {
      const Drip drip{.path = path, .first_bytes = 0, .piece_bytes = 1, .pieces = 1000, .pause = 1s};
      EXPECT_EQ(co_await answer_to(drip), "408 5") << path;
    }
  });
}

TEST_F(HttpBodyLimits, the_least_rate_and_the_grace_are_options) {
  on_sim([]() -> Task<> {
    const Drip drip{.path = "/parts", .first_bytes = 0, .piece_bytes = 100, .pieces = 100, .pause = 1s};
    EXPECT_EQ(co_await answer_to(drip), "408 7");  // 5 s, and 100/240 s for each of 7 pieces
    EXPECT_EQ(co_await answer_to(drip, {.body_rate_min = 100}), "200 100");
    EXPECT_EQ(co_await answer_to(drip, {.body_rate_min = std::nullopt}), "200 100");
    EXPECT_EQ(co_await answer_to(drip, {.body_grace = 100s}), "200 100");
    EXPECT_THROW(App({.body_rate_min = 0}), Error);
  });
}

TEST_F(HttpBodyLimits, fast_bytes_make_up_for_a_pause_of_up_to_the_limit) {
  on_sim([]() -> Task<> {
    const Drip drip{.path = "/parts", .first_bytes = 48'000, .piece_bytes = 1, .pieces = 1, .pause = 59s};
    EXPECT_EQ(co_await answer_to(drip), "200 59");
    // The credit of many bytes is bounded, otherwise they could be followed by hours of single ones.
    const Drip hours{.path = "/parts", .first_bytes = 1'000'000, .piece_bytes = 1, .pieces = 1000, .pause = 1s};
    EXPECT_EQ(co_await answer_to(hours), "408 60");
  });
}

TEST_F(HttpBodyLimits, a_handler_that_does_not_read_uses_no_time_of_the_client) {
  on_sim([]() -> Task<> {
    const Drip drip{.path = "/pausing", .first_bytes = 1, .piece_bytes = 1, .pieces = 2, .pause = 3s};
    EXPECT_EQ((co_await answer_to(drip)).substr(0, 3), "200");
  });
}

// --- bodies_bytes_max ---

struct Uploader {
  explicit Uploader(const Handler& handler) : handler_(handler) {}
  Task<> begin(std::size_t announced, std::size_t sent) {
    co_await ends_.second->send(
        fmt::format("POST /whole HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", announced));
    co_await more(sent);
  }
  Task<> more(std::size_t bytes) {
    co_await ends_.second->send(std::string(bytes, 'x'));
    co_await sleep(1ms);  // virtual: until the server has received them
  }
  Task<int> status() { co_return std::stoi((co_await read_all(*ends_.second)).substr(9, 3)); }
  Task<> serve() { return serve_one(*ends_.first, handler_); }

 private:
  const Handler& handler_;
  std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> ends_ = memory_stream_pair();
};

TEST_F(HttpBodyLimits, announced_bytes_are_not_counted_before_they_arrive) {
  on_sim([]() -> Task<> {
    const Handler handler = http::handler(app_of({.bodies_bytes_max = 1000}));
    Uploader slow(handler), quick(handler);
    const auto ask = [&]() -> Task<> {
      co_await slow.begin(900, 1);
      co_await quick.begin(900, 900);
      EXPECT_EQ(co_await quick.status(), 200);
      co_await slow.more(899);
      EXPECT_EQ(co_await slow.status(), 200);
    };
    co_await all(slow.serve(), quick.serve(), ask());
  });
}

TEST_F(HttpBodyLimits, a_body_above_the_sum_is_503_and_the_others_are_read) {
  on_sim([]() -> Task<> {
    const Handler handler = http::handler(app_of({.bodies_bytes_max = 1000}));
    Uploader first(handler), second(handler), third(handler), last(handler);
    const auto ask = [&]() -> Task<> {
      co_await first.begin(900, 600);
      co_await second.begin(350, 300);
      co_await third.begin(200, 0);  // 900 are held: refused by its length, before it sends a body
      EXPECT_EQ(co_await third.status(), 503);
      co_await first.more(101);
      EXPECT_EQ(co_await first.status(), 503);
      co_await second.more(50);
      EXPECT_EQ(co_await second.status(), 200);
      co_await last.begin(1000, 1000);
      EXPECT_EQ(co_await last.status(), 200) << "the share of a refused body must be returned";
    };
    co_await all(first.serve(), second.serve(), third.serve(), last.serve(), ask());
  });
}

}  // namespace
}  // namespace coax::body_limits_test
