// serve() and an HTTP app in memory: limits of minutes, resets at any moment, and machines that run out of descriptors.
#include "coax/server/serve.hpp"

#include <gtest/gtest.h>

#include "coax/base/log.hpp"
#include "coax/codec/websocket.hpp"
#include "coax/http/app.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"

namespace serve_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view here = "10.0.0.1";
const SimulateOptions checked{.has_failed = ::testing::Test::HasFailure};

Task<> echo(Stream& peer) {
  while (const auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}
Task<std::string> ask(Stream& stream, std::string question) {
  co_await stream.send(question);
  co_return co_await stream.recv_exactly(question.size());
}
Task<std::string> read_to_end(Stream& stream) {
  std::string all;
  while (const BytesView bytes = co_await stream.recv()) all.append(bytes.text());
  co_return all;
}
ServeOptions listening_here() { return {.listen = fmt::format("{}:0", here)}; }
Duration up_to(SimRandom& random, Duration most) {
  return Duration(random.below(static_cast<std::size_t>(most.count())));
}

class SimServe : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

// Connects, sends a request, and ends in one of many ways.
Task<> visit(SimNetwork& network, std::string host, Endpoint where) {
  SimRandom& random = network.random();
  co_await sleep(up_to(random, 1s));
  const auto stream = co_await coax::test::connect(network, host, where);
  switch (random.below(6)) {
    case 0: network.reset(stream->local()); break;
    case 1: network.vanish(stream->local()); break;
    case 2: co_return;
    case 3: co_await stream->shutdown_send(); break;
    default: break;
  }
  std::string question(1 + random.below(5000), '?');
  co_await timeout(5min, ask(*stream, std::move(question)));
}
Task<> visit_somehow(SimNetwork& network, std::string host, Endpoint where) {
  try {
    co_await visit(network, std::move(host), where);
  } catch (const Error&) {
  }
}

}  // namespace

TEST_F(SimServe, a_place_is_released_however_a_visitor_ends) {
  for_each_seed(
      200,
      [](SimNetwork& network) -> Task<> {
        network.set_conditions({.latency_max = 20ms, .short_reads = 0.2, .short_writes = 0.2, .resets = 0.05});
        ServeOptions options = listening_here();
        options.limits.connections_max = 5;
        Server server(std::move(options), echo);
        const Endpoint where = co_await server.address();
        TaskGroup visits;
        for (int number = 0; number < 40; ++number) {
          visits.spawn(visit_somehow(network, fmt::format("10.0.1.{}", number % 7), where));
        }
        co_await visits.join();
        co_await sleep(10min);  // vanished connections are given up
        network.set_conditions({});
        std::vector<std::unique_ptr<SocketStream>> clients;
        for (int number = 0; number < 5; ++number) {
          clients.push_back(co_await coax::test::connect(network, "10.0.2.1", where));
          EXPECT_EQ(co_await ask(*clients.back(), "is there room?"), "is there room?");
        }
        EXPECT_EQ(network.descriptors(here), 6U);
        clients.clear();
        EXPECT_EQ(co_await server.stop(), "cancelled");
        EXPECT_EQ(network.descriptors(here), 0U);
      },
      checked);
}

TEST_F(SimServe, drains_in_time_whatever_its_clients_are_doing) {
  for_each_seed(
      200,
      [](SimNetwork& network) -> Task<> {
        network.set_conditions({.latency_max = 50ms, .short_reads = 0.2, .resets = 0.02, .window_bytes = 1000});
        ServeOptions options = listening_here();
        options.drain = 3s;
        Server server(std::move(options), echo);
        const Endpoint where = co_await server.address();
        TaskGroup visits;
        for (int number = 0; number < 20; ++number) {
          visits.spawn(visit_somehow(network, fmt::format("10.0.1.{}", number), where));
        }
        co_await sleep(up_to(network.random(), 1s));
        if (network.random().chance(0.2)) network.partition(here);
        const TimePoint begin = network.now();
        EXPECT_EQ(co_await server.stop(), "cancelled");
        EXPECT_LE(network.now() - begin, 3s + 600ms);
        EXPECT_EQ(network.descriptors(here), 0U);
        co_await visits.join();
        EXPECT_EQ(Loop::current().backend().buffers().lent(), 0U);
      },
      checked);
}

TEST_F(SimServe, without_descriptors_new_connections_wait_for_one) {
  simulate(1, [](SimNetwork& network) -> Task<> {
    Server server(listening_here(), echo);
    const Endpoint where = co_await server.address();
    network.limit_descriptors(here, 3);  // the listener and two clients
    std::vector<std::unique_ptr<SocketStream>> clients;
    for (int number = 0; number < 6; ++number) {
      clients.push_back(co_await coax::test::connect(network, "10.0.1.1", where));
    }
    EXPECT_EQ(co_await ask(*clients[0], "one"), "one");
    EXPECT_EQ(co_await ask(*clients[1], "two"), "two");
    EXPECT_EQ(co_await outcome(timeout(5min, ask(*clients[2], "three"))), "timed_out");
    EXPECT_EQ(co_await ask(*clients[0], "still served"), "still served");
    clients[0]->close();
    EXPECT_EQ(co_await timeout(1s, clients[2]->recv_exactly(5)), "three");
    network.limit_descriptors(here, 100);
    for (std::size_t number = 3; number < 6; ++number) {
      EXPECT_EQ(co_await timeout(1s, ask(*clients[number], "me too")), "me too");
    }
    co_await server.stop();
  });
}

TEST_F(SimServe, an_idle_connection_ends_after_ten_minutes) {
  simulate(1, [](SimNetwork& network) -> Task<> {
    Server server(listening_here(), echo);
    const auto client = co_await coax::test::connect(network, "10.0.1.1", co_await server.address());
    EXPECT_EQ(co_await ask(*client, "x"), "x");
    const TimePoint begin = network.now();
    EXPECT_EQ(co_await read_to_end(*client), "");
    EXPECT_GE(network.now() - begin, 10min);
    EXPECT_LE(network.now() - begin, 10min + 2s);  // the limit is checked once a second
    co_await server.stop();
  });
}

TEST_F(SimServe, a_truncated_connection_is_no_clean_end) {
  simulate(
      1,
      [](SimNetwork& network) -> Task<> {
        network.set_conditions({.window_bytes = 1000});
        ServeOptions options = listening_here();
        options.drain = 1s;
        Server server(std::move(options), [](Stream& peer) -> Task<> {
          const std::string much(4000, 'x');
          co_await peer.send(much);
        });
        const Endpoint where = co_await server.address();
        const auto late = co_await coax::test::connect(network, "10.0.1.1", where);
        co_await sleep(5min);  // after thirty seconds without progress it was given up
        EXPECT_EQ(co_await outcome(read_to_end(*late)), "disconnected");
        const auto drained = co_await coax::test::connect(network, "10.0.1.1", where);
        co_await sleep(1s);
        EXPECT_EQ(co_await server.stop(), "cancelled");
        EXPECT_EQ(co_await outcome(read_to_end(*drained)), "disconnected");
      },
      checked);
}

TEST_F(SimServe, a_peer_that_does_not_read_is_given_up_after_thirty_seconds) {
  simulate(1, [](SimNetwork& network) -> Task<> {
    TimePoint ended;
    Server server(listening_here(), [&](Stream& peer) -> Task<> {
      const std::string much(10_MiB, 'x');
      const std::string end = co_await outcome(peer.send(much));
      EXPECT_EQ(end, "cancelled");
      ended = network.now();
    });
    const TimePoint begin = network.now();
    const auto client = co_await coax::test::connect(network, "10.0.1.1", co_await server.address());
    co_await sleep(1min);
    EXPECT_GE(ended - begin, 30s);
    EXPECT_LE(ended - begin, 32s);
    co_await server.stop();
  });
}

// --- HTTP and WebSockets ---

namespace {

http::App echoing_app() {
  http::App app({.headers = {}});
  app.post("/echo", [](http::Request& request) { return http::Response::text(std::move(request.body())); });
  app.websocket("/echo", [](ws::WebSocket& socket) -> Task<> {
    while (auto message = co_await socket.recv()) co_await socket.send(message);
  });
  return app;
}

Task<> ask_by_http(SimNetwork& network, Endpoint where, int number) {
  const auto stream = co_await coax::test::connect(network, fmt::format("10.0.1.{}", number), where);
  for (std::size_t times = 1 + network.random().below(4); times != 0; --times) {
    const std::string body(1 + network.random().below(20'000), static_cast<char>('a' + number));
    const std::string request =
        fmt::format("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
    co_await stream->send(request);
    std::string answer;
    while (!answer.ends_with("\r\n\r\n")) answer += co_await stream->recv_exactly(1);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_TRUE(co_await stream->recv_exactly(body.size()) == body);
  }
  co_await stream->shutdown_send();
  EXPECT_EQ(co_await read_to_end(*stream), "");
}

Task<> ask_by_websocket(SimNetwork& network, Endpoint where, int number) {
  using namespace std::string_literals;
  const auto stream = co_await coax::test::connect(network, fmt::format("10.0.1.{}", number), where);
  // A text in two fragments with a ping between them, masked with zeros; then a close.
  const std::string request =
      "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"s +
      "\x01\x83\0\0\0\0Hel"s + "\x89\x81\0\0\0\0x"s + "\x80\x82\0\0\0\0lo"s + "\x88\x82\0\0\0\0\x03\xe8"s;
  co_await stream->send(request);
  const std::string answer = co_await read_to_end(*stream);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n\x8a\x01x\x81\x05Hello\x88\x02\x03\xe8"s)) << answer;
}

}  // namespace

TEST_F(SimServe, http_and_websockets_do_not_care_how_bytes_are_cut) {
  for_each_seed(
      200,
      [](SimNetwork& network) -> Task<> {
        network.set_conditions({.latency_max = 30ms,
                                .short_reads = 0.5,
                                .short_writes = 0.5,
                                .window_bytes = 500 + network.random().below(5000)});
        Server server(listening_here(), http::handler(echoing_app()));
        const Endpoint where = co_await server.address();
        TaskGroup clients;
        for (int number = 1; number <= 4; ++number) clients.spawn(ask_by_http(network, where, number));
        for (int number = 5; number <= 8; ++number) clients.spawn(ask_by_websocket(network, where, number));
        co_await clients.join();
        EXPECT_EQ(co_await server.stop(), "cancelled");
        EXPECT_EQ(network.descriptors(here), 0U);
      },
      checked);
}

}  // namespace serve_test
