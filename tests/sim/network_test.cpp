// The promises of the simulated network: latency, ends and errors as in TCP, outages, and one run for one seed.
#include <gtest/gtest.h>

#include "coax/stream/lines.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

namespace network_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view here = "10.0.0.1";
constexpr std::string_view there = "10.0.0.2";

const SimConditions steady{.latency_min = 10ms, .latency_max = 10ms};

void on(const Simulation& body, SimConditions conditions = steady) { simulate(1, body, {.conditions = conditions}); }

// The client is `there`, the server `here`.
struct Ends {
  std::unique_ptr<SocketStream> client;
  std::unique_ptr<SocketStream> server;
};
Task<Ends> connected(SimNetwork& network) {
  SocketListener listener(*Endpoint::from_ip(here, 0));
  Ends ends;
  ends.client = co_await coax::test::connect(network, there, listener.local());
  const auto accepted = co_await listener.accept();
  ends.server = SocketStream::adopt(accepted.native);
  co_return ends;
}
Task<std::string> read_to_end(Stream& stream) {
  std::string all;
  while (const BytesView bytes = co_await stream.recv()) all.append(bytes.text());
  co_return all;
}
Task<> send_all(Stream& stream, BytesView bytes) { co_await stream.send(bytes); }
constexpr Duration slack = 1ms;  // a turn takes a microsecond

}  // namespace

// --- time ---

TEST(SimNetwork, connecting_takes_a_round_trip_and_bytes_one_way) {
  on([](SimNetwork& network) -> Task<> {
    const TimePoint begin = network.now();
    const Ends ends = co_await connected(network);
    EXPECT_GE(network.now() - begin, 30ms);  // to accept: there, back and there
    EXPECT_LT(network.now() - begin, 30ms + slack);
    const TimePoint sent = network.now();
    co_await ends.client->send("x");
    co_await ends.server->recv();
    EXPECT_GE(network.now() - sent, 10ms);
    EXPECT_LT(network.now() - sent, 10ms + slack);
  });
}

TEST(SimNetwork, a_sleep_of_days_takes_no_time) {
  on([](SimNetwork& network) -> Task<> {
    const TimePoint begin = network.now();
    co_await sleep(50min);
    EXPECT_GE(network.now() - begin, 50min);
    EXPECT_LT(network.now() - begin, 50min + slack);
  });
}

TEST(SimNetwork, an_endless_wait_reaches_the_limit_at_once) {
  EXPECT_EXIT(
      {
        try {
          on([](SimNetwork&) -> Task<> {
            Event never;
            co_await never.wait();
          });
        } catch (const Error& error) {
          std::exit(error.kind() == ErrorKind::timed_out ? 0 : 1);
        }
      },
      ::testing::ExitedWithCode(0), "the time limit of 1h has passed; COAX_SEED=1 repeats it");
}

TEST(SimNetwork, bytes_keep_their_order_however_long_each_packet_takes) {
  on(
      [](SimNetwork& network) -> Task<> {
        const Ends ends = co_await connected(network);
        std::string expected;
        for (int number = 0; number < 200; ++number) {
          const std::string bytes = fmt::format("{} ", number);
          expected += bytes;
          co_await ends.client->send(bytes);
          co_await ends.client->flush();
        }
        co_await ends.client->shutdown_send();
        EXPECT_EQ(co_await read_to_end(*ends.server), expected);
      },
      {.latency_min = 1ms, .latency_max = 100ms, .short_reads = 0.5, .short_writes = 0.5});
}

// --- connecting ---

TEST(SimNetwork, without_a_listener_a_connection_is_refused) {
  on([](SimNetwork& network) -> Task<> {
    const TimePoint begin = network.now();
    EXPECT_EQ(co_await outcome(coax::test::connect(network, there, *Endpoint::from_ip(here, 80))), "refused");
    EXPECT_GE(network.now() - begin, 20ms);
  });
}

TEST(SimNetwork, a_port_is_taken_once_on_a_host_and_by_the_wildcard_on_all) {
  on([](SimNetwork&) -> Task<> {
    const SocketListener first(*Endpoint::from_ip(here, 80));
    const SocketListener elsewhere(*Endpoint::from_ip(there, 80));
    EXPECT_THROW(SocketListener(*Endpoint::from_ip(here, 80)), Error);
    EXPECT_THROW(SocketListener(*Endpoint::from_ip("0.0.0.0", 80)), Error);
    EXPECT_NE(SocketListener(*Endpoint::from_ip(here, 0)).local().port(), 0);
    co_return;
  });
}

TEST(SimNetwork, a_listener_of_both_families_sees_ipv4_clients_mapped) {
  on([](SimNetwork& network) -> Task<> {
    SocketListener listener(*Endpoint::from_ip("::", 80));
    const auto client = co_await coax::test::connect(network, there, *Endpoint::from_ip(here, 80));
    const auto accepted = co_await listener.accept();
    EXPECT_EQ(accepted.peer.ip(), "::ffff:10.0.0.2");
    EXPECT_EQ(accepted.peer.port(), client->local().port());
    Loop::current().backend().discard(accepted.native);
    EXPECT_TRUE((co_await client->recv()).empty());
  });
}

TEST(SimNetwork, a_full_backlog_makes_clients_retry) {
  on([](SimNetwork& network) -> Task<> {
    SocketListener listener(*Endpoint::from_ip(here, 80), {.backlog = 0});
    const auto first = co_await coax::test::connect(network, there, listener.local());
    co_await sleep(100ms);
    EXPECT_EQ(co_await outcome(timeout(500ms, coax::test::connect(network, there, listener.local()))), "timed_out");
    const auto take = [](SocketListener& from) -> Task<> {
      co_await sleep(100ms);
      Loop::current().backend().discard((co_await from.accept()).native);
    };
    const TimePoint begin = network.now();
    co_await all(coax::test::connect(network, there, listener.local()), take(listener));
    EXPECT_GE(network.now() - begin, 1s);
  });
}

TEST(SimNetwork, pending_connections_are_reset_when_the_listener_closes) {
  on([](SimNetwork& network) -> Task<> {
    SocketListener listener(*Endpoint::from_ip(here, 80));
    const auto client = co_await coax::test::connect(network, there, listener.local());
    listener.close();
    EXPECT_EQ(co_await outcome(client->recv()), "disconnected");
  });
}

TEST(SimNetwork, without_descriptors_nothing_is_opened_or_accepted) {
  on([](SimNetwork& network) -> Task<> {
    SocketListener listener(*Endpoint::from_ip(here, 80));
    network.limit_descriptors(here, 1);
    const auto client = co_await coax::test::connect(network, there, listener.local());
    EXPECT_EQ((co_await listener.accept()).error, EMFILE);
    EXPECT_EQ(co_await outcome(coax::test::connect(network, here, listener.local())), "overloaded");
    EXPECT_THROW(SocketListener(*Endpoint::from_ip(here, 81)), Error);
    network.limit_descriptors(here, 2);
    const auto accepted = co_await listener.accept();
    EXPECT_EQ(accepted.error, 0);
    EXPECT_EQ(network.descriptors(here), 2U);
    Loop::current().backend().discard(accepted.native);
    EXPECT_EQ(network.descriptors(here), 1U);
  });
}

// --- ends ---

TEST(SimNetwork, closing_with_unread_bytes_resets) {
  on([](SimNetwork& network) -> Task<> {
    const Ends ends = co_await connected(network);
    co_await ends.server->send("last words");
    co_await ends.client->send("unread");
    co_await sleep(100ms);
    ends.server->close();
    EXPECT_EQ(co_await ends.client->recv_exactly(10), "last words");
    EXPECT_EQ(co_await outcome(ends.client->recv()), "disconnected");
    EXPECT_EQ(co_await outcome(ends.client->shutdown_send()), "disconnected");
  });
}

TEST(SimNetwork, bytes_after_a_close_are_answered_with_a_reset) {
  on([](SimNetwork& network) -> Task<> {
    const Ends ends = co_await connected(network);
    ends.server->close();
    EXPECT_EQ(co_await read_to_end(*ends.client), "");
    co_await ends.client->send("x");
    co_await sleep(30ms);
    EXPECT_EQ(co_await outcome(ends.client->shutdown_send()), "disconnected");
    EXPECT_EQ(co_await read_to_end(*ends.client), "");
  });
}

TEST(SimNetwork, a_reset_reaches_both_ends_after_the_sent_bytes) {
  on([](SimNetwork& network) -> Task<> {
    const Ends ends = co_await connected(network);
    co_await ends.client->send("before");
    co_await ends.client->flush();
    network.reset(ends.client->local());
    EXPECT_EQ(co_await ends.server->recv_exactly(6), "before");
    EXPECT_EQ(co_await outcome(ends.server->recv()), "disconnected");
    EXPECT_EQ(co_await outcome(ends.client->recv()), "disconnected");
    EXPECT_TRUE(ends.server->peer() == ends.client->local());
  });
}

TEST(SimNetwork, a_window_accepts_its_size_and_no_more) {
  on(
      [](SimNetwork& network) -> Task<> {
        const Ends ends = co_await connected(network);
        const std::string bytes(3001, 'x');
        TaskGroup group;
        group.spawn(send_all(*ends.client, bytes));
        co_await sleep(1s);
        EXPECT_EQ((co_await ends.server->recv()).size(), 1000U);
        co_await sleep(1s);
        EXPECT_EQ((co_await ends.server->recv()).size(), 1000U);
        EXPECT_EQ((co_await ends.server->recv_exactly(1001)).size(), 1001U);
        co_await group.join();
      },
      {.latency_min = 10ms, .latency_max = 10ms, .window_bytes = 1000});
}

// --- outages ---

TEST(SimNetwork, what_is_sent_during_a_short_partition_arrives_after_it) {
  on([](SimNetwork& network) -> Task<> {
    const Ends ends = co_await connected(network);
    network.partition(here, there);
    co_await ends.client->send("late");
    co_await ends.client->shutdown_send();
    EXPECT_EQ(co_await outcome(timeout(30s, ends.server->recv())), "timed_out");
    network.heal();
    EXPECT_EQ(co_await timeout(10s, read_to_end(*ends.server)), "late");
    co_await ends.server->send("answer");
    EXPECT_EQ(co_await ends.client->recv_exactly(6), "answer");
  });
}

TEST(SimNetwork, sending_across_a_long_partition_gives_up) {
  on([](SimNetwork& network) -> Task<> {
    const Ends ends = co_await connected(network);
    network.partition(there);
    const TimePoint begin = network.now();
    co_await ends.client->send("x");
    EXPECT_EQ(co_await outcome(ends.client->recv()), "timed_out");
    EXPECT_GE(network.now() - begin, 120s);
    EXPECT_EQ(co_await outcome(ends.client->shutdown_send()), "disconnected");
  });
}

TEST(SimNetwork, connecting_across_a_partition_fails) {
  on([](SimNetwork& network) -> Task<> {
    const SocketListener listener(*Endpoint::from_ip(here, 80));
    network.partition(here, there);
    EXPECT_EQ(co_await outcome(coax::test::connect(network, there, listener.local())), "timed_out");
    EXPECT_NE(co_await coax::test::connect(network, "10.0.0.3", listener.local()), nullptr);
    network.heal();
    EXPECT_NE(co_await coax::test::connect(network, there, listener.local()), nullptr);
  });
}

TEST(SimNetwork, a_server_finds_out_by_keep_alive_that_its_peer_has_vanished) {
  on([](SimNetwork& network) -> Task<> {
    const Ends ends = co_await connected(network);
    network.vanish(ends.client->local());
    ends.client->close();  // of which the peer is not notified
    const TimePoint begin = network.now();
    EXPECT_EQ(co_await outcome(ends.server->recv()), "timed_out");
    EXPECT_GE(network.now() - begin, 100s);
    EXPECT_LT(network.now() - begin, 125s);
  });
}

TEST(SimNetwork, a_client_that_only_listens_never_finds_out) {
  on([](SimNetwork& network) -> Task<> {
    const Ends ends = co_await connected(network);
    network.vanish(ends.client->local());
    ends.server->close();
    EXPECT_EQ(co_await outcome(timeout(50min, ends.client->recv())), "timed_out");
  });
}

TEST(SimNetwork, a_blocked_sender_gives_up_when_its_peer_vanished) {
  on(
      [](SimNetwork& network) -> Task<> {
        const Ends ends = co_await connected(network);
        const std::string bytes(5000, 'x');
        const auto vanish = [](SimNetwork& net, Endpoint client) -> Task<> {
          co_await sleep(1s);
          net.vanish(client);
        };
        TaskGroup group;
        group.spawn(vanish(network, ends.client->local()));
        EXPECT_EQ(co_await outcome(ends.client->send(bytes)), "timed_out");
        co_await group.join();
      },
      {.window_bytes = 1000});
}

// --- one run for one seed ---

namespace {

Task<> chatter(Stream& stream, SimRandom& random) {
  std::string bytes(3000, 'x');
  for (std::size_t times = random.below(20); times != 0; --times) {
    co_await stream.send(BytesView(bytes).first(1 + random.below(bytes.size())));
    if (random.chance(0.3)) co_await timeout(Duration(random.below(50'000'000)), stream.recv());
    if (random.chance(0.2)) co_await sleep(Duration(random.below(50'000'000)));
  }
  co_await stream.shutdown_send();
  co_await read_to_end(stream);
}
Task<> chatter_or_fail(Stream& stream, SimRandom& random) {
  try {
    co_await timeout(10min, chatter(stream, random));  // for guests whose peer has vanished
  } catch (const Error&) {
  }
}
Task<> crowd(SimNetwork& network) {
  for (int pair = 0; pair < 4; ++pair) {
    const Ends ends = co_await connected(network);
    if (network.random().chance(0.2)) network.vanish(ends.client->local());
    co_await all(chatter_or_fail(*ends.client, network.random()), chatter_or_fail(*ends.server, network.random()));
  }
}

}  // namespace

TEST(SimNetwork, the_same_seed_repeats_the_same_run) {
  const SimulateOptions options{
      .conditions = {.latency_max = 30ms, .short_reads = 0.3, .short_writes = 0.3, .resets = 0.01}};
  std::set<std::uint64_t> traces;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const std::uint64_t trace = simulate(seed, crowd, options);
    EXPECT_EQ(simulate(seed, crowd, options), trace) << "COAX_SEED=" << seed;
    traces.insert(trace);
  }
  EXPECT_EQ(traces.size(), 200U) << "and another seed another run";
}

TEST(SimNetwork, its_random_numbers_are_the_same_everywhere) {
  SimRandom random(1);
  EXPECT_EQ(random.next(), 12966619160104079557U);  // xoshiro256** with a state from splitmix64
  EXPECT_EQ(random.next(), 9600361134598540522U);
  EXPECT_FALSE(random.chance(0));
  EXPECT_TRUE(random.chance(1));
  for (int times = 0; times < 100; ++times) EXPECT_LT(random.below(3), 3U);
}

}  // namespace network_test
