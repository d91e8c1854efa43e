// A route for WebSockets and a client's handshake, over one pair of streams in memory.
#include <gtest/gtest.h>

#include "coax/http/app.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/run.hpp"

namespace coax {
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
      ws::WebSocket socket(*client, ws::Role::client, {}, handshake.early);
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

TEST(HttpWebSocket, a_refused_websocket_reports_the_reason) {
  run([]() -> Task<> {
    auto [server, client] = memory_stream_pair();
    const Handler handler = http::handler(App());
    const auto ask = [&]() -> Task<> {
      EXPECT_EQ(co_await test::text_of_error(ws::client_handshake(*client, "a", "/none")),
                "open a WebSocket to memory: the server answered 404 Not Found");
      client->close();
    };
    co_await all(serve_one(*server, handler), ask());
  });
}

}  // namespace coax
