// The whole process is stopped for a while (SIGSTOP, suspend): no peer is disconnected for that. And errors of
// accept(2), and addresses that do not exist, on the simulated network.
#include <gtest/gtest.h>

#include "coax/base/log.hpp"
#include "coax/http/websocket.hpp"
#include "coax/server/serve.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"

namespace pause_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

void on(const Simulation& body) {
  log::set_level(log::Level::off);
  simulate(1, body, {.has_failed = [] { return ::testing::Test::HasFailure(); }});
  log::set_level(log::Level::info);
}
Task<> echo(Stream& peer) {
  while (const auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}
Task<std::string> ask(Stream& stream, std::string question) {
  co_await stream.send(question);
  co_return co_await stream.recv_exactly(question.size());
}

}  // namespace

TEST(Pause, input_that_arrived_in_time_beats_the_time_limit) {
  on([](SimNetwork& network) -> Task<> {
    std::string got;
    Server server({}, [&](Stream& peer) -> Task<> {
      co_await peer.send("?");
      got = co_await timeout(10s, peer.recv_exactly(4));
      co_await peer.send("!");
    });
    const auto client = co_await server.connect();
    EXPECT_EQ(co_await client->recv_exactly(1), "?");
    co_await client->send("ni");
    co_await client->send("ck");
    co_await client->flush();
    network.stop_process(33s);
    EXPECT_EQ(co_await client->recv_exactly(1), "!");
    EXPECT_EQ(got, "nick");
    co_await server.stop();
  });
}

TEST(Pause, a_limit_applies_without_input) {
  on([](SimNetwork& network) -> Task<> {
    std::string end;
    Server server({}, [&](Stream& peer) -> Task<> {
      co_await peer.send("?");
      end = co_await outcome(timeout(10s, peer.recv_exactly(4)));
    });
    const auto client = co_await server.connect();
    EXPECT_EQ(co_await client->recv_exactly(1), "?");
    network.stop_process(33s);
    EXPECT_TRUE((co_await client->recv()).empty());
    EXPECT_EQ(end, "timed_out");
    co_await server.stop();
  });
}

TEST(Pause, counts_as_little_time_for_idle_connections) {
  on([](SimNetwork& network) -> Task<> {
    Server server({.limits = {.idle = 10s}}, echo);
    const auto client = co_await server.connect();
    EXPECT_EQ(co_await ask(*client, "1"), "1");
    network.stop_process(33s);
    co_await sleep(5s);
    EXPECT_EQ(co_await ask(*client, "2"), "2");
    const TimePoint before = Loop::current().now();
    EXPECT_TRUE((co_await client->recv()).empty());
    EXPECT_LE(Loop::current().now() - before, 12s);
    EXPECT_GE(Loop::current().now() - before, 10s);
    co_await server.stop();
  });
}

TEST(Pause, a_websocket_is_pinged_before_its_limit_applies) {
  on([](SimNetwork& network) -> Task<> {
    const ws::Options options;
    std::string end;
    const auto echo_messages = [](ws::WebSocket& socket) -> Task<> {
      while (const ws::Message message = co_await socket.recv()) co_await socket.send(message);
    };
    Server server({}, [&](Stream& stream) -> Task<> {
      ws::WebSocket socket(stream, ws::Role::server, options);
      end = co_await outcome(echo_messages(socket));
    });
    const std::string question("\x81\x81\0\0\0\0x", 7);
    const std::string pong("\x8A\x80\0\0\0\0", 6);
    const auto client = co_await server.connect();
    for (int times = 0; times < 3; ++times) {
      co_await client->send(question);
      EXPECT_EQ(co_await client->recv_exactly(3), "\x81\x01x");
      network.stop_process(33s);
      EXPECT_EQ(co_await client->recv_exactly(2), std::string("\x89\0", 2));
      co_await client->send(pong);
    }
    network.stop_process(33s);
    EXPECT_EQ(co_await client->recv_exactly(2), std::string("\x89\0", 2));
    EXPECT_EQ(co_await outcome(client->recv_exactly(1)), "disconnected");
    EXPECT_EQ(end, "timed_out");
    co_await server.stop();
  });
}

TEST(Pause, a_handler_that_does_not_receive_keeps_its_websocket) {
  on([](SimNetwork&) -> Task<> {
    const ws::Options options;
    Server server({}, [&](Stream& stream) -> Task<> {
      ws::WebSocket socket(stream, ws::Role::server, options);
      co_await socket.recv();
      co_await sleep(50s);  // blocked by its own consumer
      while (const ws::Message message = co_await socket.recv()) co_await socket.send(message);
    });
    const std::string question("\x81\x81\0\0\0\0x", 7);
    const auto client = co_await server.connect();
    co_await client->send(question);
    co_await client->send(question);
    EXPECT_EQ(co_await client->recv_exactly(3), "\x81\x01x");
    co_await server.stop();
  });
}

// --- accept(2) ---

TEST(AcceptErrors, do_not_end_a_server_unless_they_are_fatal) {
  on([](SimNetwork& network) -> Task<> {
    Server server({.listen = "10.0.0.1:80"}, echo);
    for (const int reason : {ECONNABORTED, EPROTO, EPERM, ENONET, EHOSTDOWN, ENOPROTOOPT, EOPNOTSUPP, ENETDOWN}) {
      network.fail_accepts("10.0.0.1", reason, 1);
      const auto gone = co_await server.connect();
      EXPECT_EQ(co_await outcome(gone->recv_exactly(1)), "disconnected") << reason;
      const auto next = co_await server.connect();
      EXPECT_EQ(co_await ask(*next, "x"), "x") << reason;
    }
    for (const int reason : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
      network.fail_accepts("10.0.0.1", reason, 3);
      const auto client = co_await server.connect();
      EXPECT_EQ(co_await ask(*client, "x"), "x") << reason;
    }
    EXPECT_EQ(co_await server.stop(), "cancelled");
  });
}

TEST(Addresses, that_this_machine_lacks_are_left_out) {
  on([](SimNetwork& network) -> Task<> {
    network.take_address_away("::1");
    network.take_address_away("10.0.0.9");
    Server server({.listen = "localhost:80"}, echo);
    EXPECT_EQ(co_await server.address(), *Endpoint::parse("127.0.0.1:80"));
    const auto client = co_await server.connect();
    EXPECT_EQ(co_await ask(*client, "x"), "x");
    co_await server.stop();
    EXPECT_EQ(co_await outcome(serve({.listen = "10.0.0.9:80"}, echo)), "address");
  });
}

}  // namespace pause_test
