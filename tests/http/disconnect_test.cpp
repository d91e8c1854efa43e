// A handler whose response takes long notices that the client has left, through BodyReader::wait_disconnected().
#include <gtest/gtest.h>

#include "coax/base/log.hpp"
#include "coax/http/app.hpp"
#include "coax/stream/memory.hpp"
#include "coax/task/scope.hpp"
#include "coax/test/run.hpp"

namespace coax::disconnect_test {

using http::App;
using http::BodyReader;
using http::Request;
using http::Response;
using test::next_turn;
using test::outcome;
using test::run;

namespace {

class HttpDisconnect : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }

  // Answers when `answer_` is set, unless the client leaves before.
  Handler handler() {
    App app;
    app.post("/wait", [this](Request&, BodyReader& body) -> Task<Response> {
      const std::string question = co_await body.read_all(100);
      const auto first = co_await race(body.wait_disconnected(), answer_.wait());
      if (first == 0) ++left_;
      co_return Response::text(question);
    });
    app.post("/early", [](Request&, BodyReader& body) -> Task<Response> {
      co_return Response::text(co_await outcome(body.wait_disconnected()));
    });
    return http::handler(std::move(app));
  }
  static Task<> serve(Stream& stream, const Handler& handler) {
    Connection connection(stream, 1);
    co_await outcome(handler(connection));
    co_await outcome(stream.shutdown_send());
  }
  static Task<> some_turns() {
    for (int turn = 0; turn < 20; ++turn) co_await next_turn();
  }

  Event answer_;
  int left_ = 0;
};

std::string post(std::string_view path, std::string_view body) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

}  // namespace

TEST_F(HttpDisconnect, ends_when_the_client_leaves) {
  for (const bool is_reset : {false, true}) {
    run([&]() -> Task<> {
      left_ = 0;
      auto [server, client] = memory_stream_pair();
      const Handler handler = this->handler();
      const auto ask = [&]() -> Task<> {
        co_await client->send(post("/wait", "abc"));
        co_await some_turns();
        EXPECT_EQ(left_, 0);
        is_reset ? client->abort() : client->close();
      };
      co_await all(serve(*server, handler), ask());
      EXPECT_EQ(left_, 1);
    });
  }
}

TEST_F(HttpDisconnect, keeps_the_requests_that_follow) {
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    const Handler handler = this->handler();
    const auto ask = [&]() -> Task<> {
      const std::string second = post("/wait", "second");
      co_await client->send(post("/wait", "first") + second.substr(0, 20));
      co_await some_turns();
      co_await client->send(second.substr(20));
      co_await some_turns();
      answer_.set();
      std::string text;
      while (!text.ends_with("second")) text += (co_await client->recv()).text();
      EXPECT_NE(text.find("first"), std::string::npos) << text;
      client->close();
    };
    co_await all(serve(*server, handler), ask());
    EXPECT_EQ(left_, 0);
  });
}

TEST_F(HttpDisconnect, is_refused_before_the_body_is_read) {
  run([&]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    const Handler handler = this->handler();
    const auto ask = [&]() -> Task<> {
      co_await client->send(post("/early", "abc"));
      std::string text;
      while (!text.ends_with("invalid")) text += (co_await client->recv()).text();
      client->close();
    };
    co_await timeout(std::chrono::seconds(10), all(serve(*server, handler), ask()));
  });
}

}  // namespace coax::disconnect_test
