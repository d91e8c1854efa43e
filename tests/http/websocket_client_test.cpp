// A client from its URL: what it sends, what it refuses, and how it connects again.
#include "coax/http/websocket_client.hpp"

#include <gtest/gtest.h>

#include "coax/http/app.hpp"
#include "coax/http/prepared.hpp"
#include "coax/server/serve.hpp"
#include "coax/stream/memory.hpp"
#include "coax/task/future.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/http.hpp"
#include "tests/support/run.hpp"

namespace websocket_client_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

class WebSocketClient : public QuietLog {};

void on(const Simulation& body) {
  simulate(1, body, {.has_failed = [] { return ::testing::Test::HasFailure(); }});
}

// A connector to a peer that records the host it was for, and answers the request with these bytes.
struct Peer {
  std::string answer;
  std::string where = {};
  std::string request = {};
  std::unique_ptr<Stream> far = {};
  TaskGroup tasks = {};

  Connector connector() {
    return [this](std::string host_and_port) { return connect(std::move(host_and_port)); };
  }
  Task<std::unique_ptr<Stream>> connect(std::string host_and_port) {
    where = std::move(host_and_port);
    auto [near, other] = memory_stream_pair();
    far = std::move(other);
    tasks.spawn(serve());
    co_return std::move(near);
  }
  Task<> serve() {
    while (!request.contains("\r\n\r\n")) {
      const BytesView bytes = co_await far->recv();
      if (!bytes) co_return;
      request += bytes.text();
    }
    co_await far->send(answer);
  }
};

Task<std::string> error_of(std::string url, ws::ClientOptions options) {
  co_return co_await text_of_error(ws::connect(url, options));
}

http::App echo_app(const ws::Options& options = {}) {
  http::AppOptions of_app;
  of_app.websocket = options;
  http::App app(std::move(of_app));
  app.websocket("/echo",
                [](ws::WebSocket& socket) -> Task<> {
                  while (const ws::Message message = co_await socket.recv()) co_await socket.send(message);
                },
                {.protocols = {"echo"}});
  return app;
}

}  // namespace

TEST_F(WebSocketClient, asks_for_what_its_url_names) {
  struct Case {
    std::string url;
    std::string where;
    std::string line;
    std::string host;
  };
  const std::vector<Case> cases{
      {"ws://a.example", "a.example:80", "GET / HTTP/1.1", "a.example"},
      {"WS://a.example:80/x/y?z=1", "a.example:80", "GET /x/y?z=1 HTTP/1.1", "a.example"},
      {"ws://a.example:81?z", "a.example:81", "GET /?z HTTP/1.1", "a.example:81"},
      {"ws://[::1]:443/", "[::1]:443", "GET / HTTP/1.1", "[::1]:443"},
      {"wss://a.example/", "a.example:443", "GET / HTTP/1.1", "a.example"},
      {"wss://a.example:80/", "a.example:80", "GET / HTTP/1.1", "a.example:80"},
  };
  for (const Case& expected : cases) {
    on([&](SimNetwork&) -> Task<> {
      Peer peer{.answer = "HTTP/1.1 302 Found\r\nLocation: wss://other.example/\r\n\r\n"};
      ws::ClientOptions options{.headers = {{"Cookie", "a=1"}}};
      (expected.url.starts_with("wss") ? options.tls : options.connector) = peer.connector();
      const std::string target = expected.line.substr(4, expected.line.rfind(' ') - 4);
      EXPECT_EQ(co_await error_of(expected.url, options),
                "open a WebSocket at ws://" + expected.host + target +
                    ": the server answered 302 Found: connect to wss://other.example/");
      EXPECT_EQ(peer.where, expected.where);
      EXPECT_TRUE(peer.request.starts_with(expected.line + "\r\nHost: " + expected.host + "\r\n")) << peer.request;
      EXPECT_TRUE(peer.request.contains("\r\nCookie: a=1\r\n")) << peer.request;
      EXPECT_TRUE(peer.request.contains("\r\nSec-WebSocket-Extensions: permessage-deflate; ")) << peer.request;
      co_await peer.tasks.join();
    });
  }
}

TEST_F(WebSocketClient, header_host_replaces_that_of_the_url) {
  on([&](SimNetwork&) -> Task<> {
    Peer peer{.answer = "HTTP/1.1 404 Not Found\r\n\r\n"};
    const ws::ClientOptions options{.headers = {{"host", "b.example"}}, .connector = peer.connector()};
    EXPECT_EQ(co_await error_of("ws://a.example/", options),
              "open a WebSocket at ws://b.example/: the server answered 404 Not Found: no WebSocket has this path");
    EXPECT_EQ(peer.where, "a.example:80");
    EXPECT_TRUE(peer.request.starts_with("GET / HTTP/1.1\r\nHost: b.example\r\n")) << peer.request;
    EXPECT_FALSE(peer.request.contains("a.example")) << peer.request;
    co_await peer.tasks.join();
  });
}

TEST_F(WebSocketClient, refuses_urls_and_headers_that_are_wrong) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"http://a/", "a URL of a WebSocket begins with ws:// or wss://"},
      {"", "a URL of a WebSocket begins with ws:// or wss://"},
      {"ws://a/#b", "a URL of a WebSocket has no fragment (#)"},
      {"ws://ada:tea@a/", "a name and a password belong into the header Authorization"},
      {"ws://", "after :// there is HOST or HOST:PORT"},
      {"ws:///x", "after :// there is HOST or HOST:PORT"},
      {"ws://a:/", "after :// there is HOST or HOST:PORT"},
      {"ws://a:0/", "after :// there is HOST or HOST:PORT"},
      {"ws://a:65536/", "after :// there is HOST or HOST:PORT"},
      {"wss://a/", "wss needs TLS: set the option `tls`, to coax::tls::connector()"},
  };
  on([&](SimNetwork&) -> Task<> {
    for (const auto& [url, reason] : cases) {
      const std::string text = co_await error_of(url, {});
      EXPECT_EQ(text, "open a WebSocket at" + (url.empty() ? "" : " " + url) + ": " + reason);
    }
    Peer peer{.answer = ""};
    const ws::ClientOptions options{.headers = {{"X", "a\r\nY: b"}}, .connector = peer.connector()};
    EXPECT_EQ(co_await outcome(ws::connect("ws://a/", options)), "invalid");
    for (const char* name : {"connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Extensions", "Content-Length",
                             "Transfer-Encoding"}) {
      Peer each{.answer = ""};
      const std::string text = co_await error_of("ws://a/", {.headers = {{name, "5"}}, .connector = each.connector()});
      EXPECT_EQ(text, std::string("open a WebSocket with the header ") + name + ": the handshake itself sets it");
      co_await each.tasks.join();
    }
    co_await peer.tasks.join();
  });
}

TEST_F(WebSocketClient, has_one_time_limit_for_all_of_it) {
  on([&](SimNetwork&) -> Task<> {
    Peer peer{.answer = "HTTP/1.1 101 "};
    const ws::ClientOptions options{.open_limit = 3s, .connector = peer.connector()};
    EXPECT_EQ(co_await error_of("ws://a/", options), "open a WebSocket at ws://a/: no answer within 3s");
    co_await peer.tasks.join();
  });
}

TEST_F(WebSocketClient, talks_with_a_server_and_closes_when_it_is_destroyed) {
  on([&](SimNetwork&) -> Task<> {
    std::uint16_t code = 0;
    std::string reason;
    http::App app = echo_app();
    app.websocket("/gone", [&](ws::WebSocket& socket) -> Task<> {
      co_await socket.recv();
      code = socket.peer_close_code();
    });
    app.websocket("/bye", [&](ws::WebSocket& socket) -> Task<> { co_await socket.close(3001, "enough"); });
    const auto ask = [&]() -> Task<> {
      const ws::ClientOptions options{.protocols = {"x", "echo"}};
      {
        const auto socket = co_await ws::connect("ws://10.0.0.1:80/echo", options);
        EXPECT_EQ(socket->protocol(), "echo");
        for (const std::size_t size : {0UZ, 5UZ, 5000UZ, 500'000UZ}) {
          const std::string text(size, 'x');
          co_await socket->send_text(text);
          EXPECT_TRUE((co_await socket->recv()).data.text() == text);
        }
        co_await socket->close();
        co_await socket->wait_closed();
        EXPECT_EQ(socket->peer_close_code(), 1000);
      }
      {
        const auto socket = co_await ws::connect("ws://10.0.0.1/bye");
        EXPECT_FALSE(co_await socket->recv());
        EXPECT_EQ(socket->peer_close_code(), 3001);
        EXPECT_EQ(socket->peer_close_reason(), "enough");
      }
      {
        const auto socket = co_await ws::connect("ws://10.0.0.1/gone");
      }
      co_await sleep(1s);
      EXPECT_EQ(code, 1001);
    };
    co_await race(serve({.listen = "10.0.0.1:80"}, http::handler(std::move(app))), ask());
  });
}

TEST_F(WebSocketClient, connects_again_with_longer_and_longer_waits) {
  on([&](SimNetwork&) -> Task<> {
    std::vector<Duration> waits;
    TimePoint last = Loop::current().now();
    ws::ClientOptions options;
    options.connector = [&](std::string) -> Task<std::unique_ptr<Stream>> {
      waits.push_back(Loop::current().now() - last);
      last = Loop::current().now();
      throw Error(ErrorKind::refused, "connect to", "a", "no");
      co_return nullptr;
    };
    const auto session = [](ws::Client&) -> Task<> { co_return; };
    EXPECT_EQ(co_await outcome(timeout(100s, ws::keep_connected("ws://a/", options, session, {.longest = 10s}))),
              "timed_out");
    EXPECT_GE(waits.size(), 10U);
    Duration most = 1s;
    for (auto wait = waits.begin() + 1; wait != waits.end(); ++wait, most = std::min<Duration>(2 * most, 10s)) {
      EXPECT_GE(*wait, most / 2 - 2ms);
      EXPECT_LE(*wait, most + 2ms);
    }
    EXPECT_GT(std::set(waits.begin(), waits.end()).size(), waits.size() / 2);  // jitter
  });
}

TEST_F(WebSocketClient, connects_again_after_a_close_but_not_after_a_refusal) {
  on([&](SimNetwork&) -> Task<> {
    int sessions = 0;
    http::App app = echo_app();
    app.websocket("/bye", [](ws::WebSocket&) -> Task<> { co_return; });
    const auto session = [&](ws::Client& socket) -> Task<> {
      ++sessions;
      EXPECT_FALSE(co_await socket.recv());
      if (sessions == 3) throw std::runtime_error("enough");
    };
    const auto ask = [&]() -> Task<> {
      const ws::ClientOptions options;
      bool has_thrown = false;
      try {
        co_await ws::keep_connected("ws://10.0.0.1/bye", options, session);
      } catch (const std::runtime_error&) {
        has_thrown = true;
      }
      EXPECT_TRUE(has_thrown);
      EXPECT_EQ(sessions, 3);
      EXPECT_EQ(
          co_await text_of_error(ws::keep_connected("ws://10.0.0.1/none", options, session)),
          "open a WebSocket at ws://10.0.0.1/none: the server answered 404 Not Found: no WebSocket has this path");
    };
    co_await race(serve({.listen = "10.0.0.1:80"}, http::handler(std::move(app))), ask());
  });
}

TEST_F(WebSocketClient, gets_prepared_messages_in_the_form_that_it_has_agreed_to) {
  on([&](SimNetwork&) -> Task<> {
    const std::string text(5000, 'x');
    const ws::Prepared message(ws::Opcode::text, text);
    EXPECT_GT(message.frames()[0].size(), 5000U);
    EXPECT_LT(message.frames()[1].size(), 100U);
    const ws::Prepared short_one(ws::Opcode::binary, "x");
    EXPECT_EQ(short_one.frames()[0], short_one.frames()[1]);
    EXPECT_THROW(ws::Prepared(ws::Opcode::text, "\xff"), Error);
    std::vector<std::size_t> forms;
    http::AppOptions of_app;
    of_app.websocket.deflate.parameters.server.context_takeover = true;  // for clients that allow it
    http::App app(std::move(of_app));
    app.websocket("/", [&](ws::WebSocket& socket) -> Task<> {
      forms.push_back(socket.form());
      co_await socket.send_text(text);
      co_await socket.send(message);
      co_await socket.send(short_one);
      co_await socket.send_text(text);
    });
    const auto ask = [&]() -> Task<> {
      ws::ClientOptions options;
      for (int round = 0; round < 4; ++round) {
        options.websocket.deflate.enabled = round != 0;
        options.websocket.deflate.parameters.server.context_takeover = round == 2;
        options.websocket.deflate.parameters.server.window_bits = round == 3 ? 10 : 15;
        const auto socket = co_await ws::connect("ws://10.0.0.1/", options);
        std::string all;
        while (const ws::Message received = co_await socket->recv()) all += received.data.string();
        EXPECT_TRUE(all == text + text + "x" + text);
        EXPECT_EQ(co_await outcome(socket->send(message)), "invalid");
      }
    };
    co_await race(serve({.listen = "10.0.0.1:80"}, http::handler(std::move(app))), ask());
    EXPECT_EQ(forms, (std::vector<std::size_t>{0, 1, 0, 0}));
  });
}

}  // namespace websocket_client_test
