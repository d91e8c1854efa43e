// WebSocket::recv() is an operation: what it does while it waits for bytes, for room for a pong, for its next turn.
#include "coax/http/websocket.hpp"

#include <gtest/gtest.h>

#include "coax/http/app.hpp"
#include "coax/stream/memory.hpp"
#include "coax/task/scope.hpp"
#include "coax/test/random.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

namespace websocket_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr ws::Mask mask{1, 2, 3, 4};

void on(const Simulation& body) {
  simulate(1, body, {.has_failed = [] { return ::testing::Test::HasFailure(); }});
}
std::string frame(ws::Opcode opcode, std::string_view payload) {
  std::string bytes;
  ws::append_frame(bytes, opcode, payload, mask);
  return bytes;
}
Task<std::string> text_of(ws::WebSocket& socket) { co_return (co_await socket.recv()).data.string(); }
Task<> recv_into(ws::WebSocket& socket, std::string& text) { text = (co_await socket.recv()).data.string(); }

}  // namespace

TEST(WebSocketRecv, waits_for_room_for_pongs_and_reads_nothing_meanwhile) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair(1000);
    ws::WebSocket socket(*near, ws::Role::server);
    constexpr int pings = 200;
    std::string sent;
    for (int ping = 0; ping < pings; ++ping) sent += frame(ws::Opcode::ping, std::string(100, 'p'));
    sent += frame(ws::Opcode::text, "behind them");
    std::string text;
    std::size_t written = 0;
    const auto write = [&]() -> Task<> {
      for (; written < sent.size(); written += 100) {
        co_await far->send(BytesView(sent).from(written).first(std::min<std::size_t>(100, sent.size() - written)));
      }
    };
    TaskGroup group;
    group.spawn(recv_into(socket, text));
    group.spawn(write());
    co_await sleep(1s);
    EXPECT_TRUE(text.empty());
    EXPECT_LT(written, 4000U);  // both pipes are full, and what the socket lends
    const std::string pong = "\x8a\x64" + std::string(100, 'p');
    const std::string pongs = co_await far->recv_exactly(pings * pong.size());
    co_await group.join();
    for (int at = 0; at < pings; ++at) EXPECT_EQ(pongs.substr(at * pong.size(), pong.size()), pong);
    EXPECT_EQ(text, "behind them");
  });
}

TEST(WebSocketRecv, answers_a_close_when_there_is_room_again) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair(100);
    ws::WebSocket socket(*near, ws::Role::server);
    const std::string fill(300, 'x');
    TaskGroup group;
    const auto fill_up = [&]() -> Task<> { co_await near->send(fill); };
    std::string text = "nothing yet";
    group.spawn(fill_up());
    group.spawn(recv_into(socket, text));
    co_await far->send(frame(ws::Opcode::close, "\x03\xe9"));
    co_await sleep(1s);
    EXPECT_EQ(text, "nothing yet");
    EXPECT_EQ(co_await far->recv_exactly(304), fill + "\x88\x02\x03\xe9");
    co_await group.join();
    EXPECT_TRUE(socket.close_sent());
    EXPECT_EQ(text, "");
  });
}

TEST(WebSocketRecv, cancelled_while_a_pong_waits_for_room) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair(100);
    ws::WebSocket socket(*near, ws::Role::server);
    const std::string fill(200, 'x');
    TaskGroup group;
    const auto fill_up = [&]() -> Task<> { co_await near->send(fill); };
    group.spawn(fill_up());
    co_await far->send(frame(ws::Opcode::ping, "a"));
    EXPECT_EQ(co_await outcome(timeout(1s, socket.recv())), "timed_out");
    EXPECT_EQ(co_await far->recv_exactly(200), fill);
    co_await group.join();
    co_await far->send(frame(ws::Opcode::text, "b"));
    EXPECT_EQ((co_await socket.recv()).data.text(), "b");
  });
}

TEST(WebSocketRecv, fails_when_a_pong_cannot_be_sent) {
  on([](SimNetwork&) -> Task<> {
    const StreamPair pair = co_await tcp_pair();
    ws::WebSocket socket(*pair.near, ws::Role::server);
    co_await pair.far->send(frame(ws::Opcode::ping, "a"));
    co_await pair.near->shutdown_send();
    EXPECT_EQ(co_await outcome(socket.recv()), "disconnected");
  });
}

// At any moment: before the bytes are there, in the turn in which they arrive, between two pieces of a message.
TEST(WebSocketRecv, cancelled_loses_no_message) {
  Random random;
  on([&](SimNetwork& network) -> Task<> {
    network.set_conditions({.short_reads = 0.5});
    const StreamPair pair = co_await tcp_pair();
    ws::WebSocket socket(*pair.near, ws::Role::server);
    std::string expected;
    std::string got;
    for (int round = 0; round < 500; ++round) {
      const std::string text = std::to_string(round) + ";";
      expected += text;
      co_await pair.far->send(frame(ws::Opcode::text, text));
      const auto limit = std::chrono::microseconds(random.below(2500));
      if (random.below(2) == 0) {
        const auto result = co_await race(text_of(socket), sleep(limit));
        if (result.index() == 0) got += std::get<0>(result);
      } else {
        const auto result = co_await race(sleep(limit), text_of(socket));
        if (result.index() == 1) got += std::get<1>(result);
      }
    }
    while (got.size() < expected.size()) got += co_await timeout(10s, text_of(socket));
    EXPECT_EQ(got, expected);
  });
}

TEST(WebSocketRecv, lets_others_run_while_messages_are_buffered) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair(1_MiB);
    ws::WebSocket socket(*near, ws::Role::server);
    std::string sent;
    for (int message = 0; message < 5000; ++message) sent += frame(ws::Opcode::text, "x");
    co_await far->send(sent);
    int turns = 0;
    TaskGroup group;
    const auto count = [&]() -> Task<> {
      while (true) {
        co_await next_turn();
        ++turns;
      }
    };
    group.spawn(count());
    for (int message = 0; message < 5000; ++message) EXPECT_EQ((co_await socket.recv()).data.text(), "x");
    EXPECT_GT(turns, 10);
    EXPECT_EQ(co_await outcome(timeout(0s, socket.recv())), "timed_out");
    group.cancel();
    co_await group.join();
  });
}

// When the turn is used up, recv() waits for the next one, although a message is buffered.
TEST(WebSocketRecv, cancelled_while_it_waits_for_its_turn_loses_no_message) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair(1_MiB);
    ws::WebSocket socket(*near, ws::Role::server);
    std::string sent;
    constexpr int messages = 3000;
    for (int message = 0; message < messages; ++message) sent += frame(ws::Opcode::text, "x");
    co_await far->send(sent);
    int got = 0;
    int cancelled = 0;
    while (got < messages && cancelled < messages) {
      const auto result = co_await race(text_of(socket), next_turn());
      if (result.index() == 0) {
        ++got;
      } else {
        ++cancelled;
      }
    }
    EXPECT_EQ(got, messages);
    EXPECT_GT(cancelled, 0);
  });
}

// --- the end ---

TEST(WebSocketClose, tells_how_the_peer_has_closed) {
  struct Case {
    std::string sent;
    std::uint16_t code;
  };
  for (const Case& end :
       {Case{frame(ws::Opcode::close, "\x03\xe9reason"), 1001}, Case{frame(ws::Opcode::close, ""), 1005},
        Case{"", 1006}, Case{frame(ws::Opcode::text, "half").substr(0, 8), 1006}}) {
    on([&](SimNetwork&) -> Task<> {
      auto [near, far] = memory_stream_pair();
      ws::WebSocket socket(*near, ws::Role::server);
      EXPECT_EQ(socket.peer_close_code(), 1006);
      co_await far->send(end.sent);
      co_await far->shutdown_send();
      EXPECT_FALSE(co_await socket.recv());
      EXPECT_EQ(socket.peer_close_code(), end.code);
    });
  }
}

TEST(WebSocketClose, refuses_codes_and_reasons_that_must_not_be_sent) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    ws::WebSocket socket(*near, ws::Role::server);
    const auto close = [&](std::uint16_t code, std::string_view reason) -> Task<> {
      co_await socket.close(code, reason);
    };
    for (const std::uint16_t code : std::initializer_list<std::uint16_t>{0, 999, 1004, 1006, 1015, 2999, 5000}) {
      EXPECT_EQ(co_await outcome(close(code, "")), "invalid") << code;
    }
    EXPECT_EQ(co_await outcome(close(1000, "\xff")), "invalid");
    EXPECT_EQ(co_await outcome(close(3000, "reason")), "done");
    EXPECT_EQ(co_await far->recv_exactly(10), "\x88\x08\x0b\xb8reason");
  });
}

TEST(WebSocketClose, a_send_after_it_throws) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    ws::WebSocket socket(*near, ws::Role::server);
    co_await far->send(frame(ws::Opcode::close, "\x03\xe8"));
    EXPECT_FALSE(co_await socket.recv());
    EXPECT_EQ(co_await text_of_error(socket.send_text("late")), "send to memory: the WebSocket is closed");
    EXPECT_EQ(co_await outcome(socket.close()), "done");
  });
}

// A handler that reads in one task and sends in another ends when the client closes, and its connection ends in order.
TEST(WebSocketClose, ends_a_handler_that_sends_without_end) {
  on([](SimNetwork&) -> Task<> {
    auto [server, client] = memory_stream_pair();
    http::App app;
    app.websocket("/", [](ws::WebSocket& socket) -> Task<> {
      const auto read = [&]() -> Task<> {
        while (co_await socket.recv()) {
        }
      };
      const auto push = [&]() -> Task<> {
        while (true) {
          co_await socket.send_text("tick");
          co_await sleep(50ms);
        }
      };
      co_await all(read(), push());
    });
    const Handler handler = http::handler(std::move(app));
    Connection connection(*server, 1);
    const auto ask = [&]() -> Task<> {
      const auto handshake = co_await ws::client_handshake(*client, "a", "/");
      ws::WebSocket socket(*client, ws::Role::client, {}, handshake);
      EXPECT_EQ((co_await socket.recv()).data.text(), "tick");
      co_await socket.close(1001);
      co_await socket.wait_closed();
      EXPECT_EQ(socket.peer_close_code(), 1001);
    };
    std::string end;
    const auto serve = [&]() -> Task<> { end = co_await outcome(handler(connection)); };
    co_await timeout(5s, all(serve(), ask()));
    EXPECT_EQ(end, "done");
  });
}

TEST(WebSocketHandshake, has_a_time_limit) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    EXPECT_EQ(co_await outcome(ws::client_handshake(*near, "a", "/", {.limit = 3s})), "timed_out");
  });
}

TEST(WebSocketHandshake, refuses_malformed_targets_and_protocols) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    for (const std::string_view target : {"", "a", "/a b", "/\r\nX: y", "/\x7f"}) {
      EXPECT_EQ(co_await outcome(ws::client_handshake(*near, "a", target)), "invalid") << target;
    }
    const std::array<std::string_view, 1> protocols{"c d"};
    EXPECT_EQ(co_await outcome(ws::client_handshake(*near, "a", "/", {.protocols = protocols})), "invalid");
  });
}

// RFC 6455, section 5.5.1. A send that waits for room when the close is sent precedes it, and no other follows it.
TEST(WebSocketClose, nothing_follows_the_close_frame) {
  for (const bool peer_closes : {false, true}) {
    on([&](SimNetwork&) -> Task<> {
      auto [near, far] = memory_stream_pair(1000);
      ws::WebSocket socket(*near, ws::Role::server);
      const std::string text(300, 'x');
      const auto push = [&]() -> Task<> {
        while (true) co_await socket.send_text(text);
      };
      const auto pushed = [&]() -> Task<> { EXPECT_EQ(co_await outcome(push()), "disconnected"); };
      const auto read = [&]() -> Task<> {
        while (co_await socket.recv()) {
        }
      };
      const auto close = [&]() -> Task<> {
        co_await sleep(10ms);
        if (!peer_closes) co_await socket.close(1000);
      };
      const auto finish = [&]() -> Task<> {
        co_await all(pushed(), pushed(), read(), close());
        near->close();
      };
      std::string got;
      const auto ask = [&]() -> Task<> {
        co_await sleep(100ms);
        co_await far->send(frame(ws::Opcode::close, "\x03\xe8"));
        while (const auto bytes = co_await far->recv()) got += bytes.text();
      };
      co_await timeout(1min, all(finish(), ask()));
      const std::string close_frame = "\x88\x02\x03\xe8";
      EXPECT_EQ(got.find(close_frame), got.size() - close_frame.size());
    });
  }
}

}  // namespace websocket_test
