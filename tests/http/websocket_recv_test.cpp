// WebSocket::recv() is an operation: what it does while it waits for bytes, for room for a pong, for its next turn.
#include <gtest/gtest.h>

#include "coax/http/websocket.hpp"
#include "coax/stream/memory.hpp"
#include "coax/task/scope.hpp"
#include "coax/test/random.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

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
    EXPECT_FALSE(socket.close_sent());
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
