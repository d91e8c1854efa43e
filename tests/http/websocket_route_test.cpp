// A route for WebSockets and a client's handshake, over one pair of streams in memory.
#include <gtest/gtest.h>

#include "coax/http/app.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/run.hpp"

namespace coax::websocket_route_test {
namespace {

using http::App;
using http::Request;
using test::run;

Task<> serve_one(Stream& stream, const Handler& handler) {
  Connection connection(stream, 1);
  co_await test::outcome(handler(connection));
  co_await test::outcome(stream.shutdown_send());  // the client may have left
}

}  // namespace

TEST(HttpWebSocket, a_websocket_sees_its_request_and_a_client_masks) {
  run([]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    App app;
    app.websocket("/rooms/{room}", [](ws::WebSocket& socket, Request& request) -> Task<> {
      co_await socket.recv();
      co_await socket.send_text(
          fmt::format("{} {} {}", request.path(), request.parameter("room"), request.header("Host")));
      while (const ws::Message message = co_await socket.recv()) co_await socket.send(message);
    });
    const Handler handler = http::handler(std::move(app));
    const auto ask = [&]() -> Task<> {
      const auto handshake = co_await ws::client_handshake(*client, "a.example", "/rooms/of%20mine?x=1");
      ws::WebSocket socket(*client, ws::Role::client, {}, handshake);
      co_await socket.send_text("hello");
      EXPECT_EQ((co_await socket.recv()).data.text(), "/rooms/of mine of mine a.example");
      const std::string long_one(100'000, 'x');
      co_await all(socket.send_binary(long_one), [&]() -> Task<> {
        const ws::Message message = co_await socket.recv();
        EXPECT_EQ(message.kind, ws::Opcode::binary);
        EXPECT_TRUE(message.data.text() == long_one);
      }());
      co_await socket.close();
      co_await socket.wait_closed();
      client->close();
    };
    co_await all(serve_one(*server, handler), ask());
  });
}

TEST(HttpWebSocket, the_first_protocol_of_the_route_that_is_offered_is_chosen) {
  struct Case {
    std::vector<std::string_view> offered;
    std::string chosen;
  };
  const std::vector<Case> cases{{{"b", "a"}, "a"}, {{"b", "x"}, "b"}, {{"x"}, ""}, {{}, ""}, {{"A"}, ""}};
  for (const Case& asked : cases) {
    run([&]() -> Task<> {
      auto [server, client] = memory_stream_pair();
      App app;
      const auto tell = [](ws::WebSocket& socket) -> Task<> { co_await socket.send_text(socket.protocol()); };
      app.websocket("/", tell, {.protocols = {"a", "b"}});
      const Handler handler = http::handler(std::move(app));
      const auto ask = [&]() -> Task<> {
        const auto handshake = co_await ws::client_handshake(*client, "a", "/", {.protocols = asked.offered});
        ws::WebSocket socket(*client, ws::Role::client, {}, handshake);
        EXPECT_EQ(socket.protocol(), asked.chosen);
        EXPECT_EQ((co_await socket.recv()).data.text(), asked.chosen);
        co_await socket.close();
        client->close();
      };
      co_await all(serve_one(*server, handler), ask());
    });
  }
}

TEST(HttpWebSocket, a_protocol_of_a_route_is_a_token) {
  App app;
  const auto end = [](ws::WebSocket&) -> Task<> { co_return; };
  try {
    app.websocket("/x", end, {.protocols = {"a b"}});
    ADD_FAILURE() << "it was accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "add the route /x: the subprotocol \"a b\" is not a token");
  }
}

TEST(HttpWebSocket, a_refused_websocket_reports_the_reason) {
  run([]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    const Handler handler = http::handler(App());
    const auto ask = [&]() -> Task<> {
      EXPECT_EQ(co_await test::text_of_error(ws::client_handshake(*client, "a", "/none")),
                "open a WebSocket at ws://a/none: the server answered 404 Not Found: no WebSocket has this path");
      client->close();
    };
    co_await all(serve_one(*server, handler), ask());
  });
}

TEST(HttpWebSocket, middleware_of_a_mounted_router_refuses_a_handshake) {
  run([]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    http::Router rooms;
    rooms.use([](http::Request&, http::Next) -> Task<http::Response> { throw http::StatusError(403, "log in first"); });
    rooms.websocket("/{name}", [](ws::WebSocket&) -> Task<> { co_return; });
    App app;
    app.mount("/rooms", std::move(rooms));
    const Handler handler = http::handler(std::move(app));
    const auto ask = [&]() -> Task<> {
      const std::string refused = co_await test::text_of_error(ws::client_handshake(*client, "a", "/rooms/tea"));
      EXPECT_TRUE(refused.contains("the server answered 403 Forbidden")) << refused;
      client->close();
    };
    co_await all(serve_one(*server, handler), ask());
  });
}

}  // namespace coax::websocket_route_test
