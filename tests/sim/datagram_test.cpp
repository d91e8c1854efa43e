// Datagrams on the simulated network: loss, duplicates, reordering, outages, full buffers, and one run for one seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "coax/test/sim.hpp"
#include "tests/support/datagrams.hpp"

namespace datagram_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view here = "10.0.0.1";
constexpr std::string_view there = "10.0.0.2";
const SimConditions steady{.latency_min = 10ms, .latency_max = 10ms};

void on(const Simulation& body, SimConditions conditions = steady) { simulate(1, body, {.conditions = conditions}); }

Endpoint at(std::string_view host, std::uint16_t port = 5000) { return *Endpoint::from_ip(host, port); }

Task<> keep_numbers(DatagramTransport& transport, std::vector<int>& into) {
  while (true) into.push_back(std::stoi((co_await transport.recv_from()).bytes.string()));
}

// The numbers of the datagrams received until no more arrive.
Task<std::vector<int>> numbers_of(DatagramTransport& transport) {
  std::vector<int> numbers;
  co_await race(keep_numbers(transport, numbers), sleep(10s));
  co_return numbers;
}

Task<> send_numbers(DatagramTransport& transport, Endpoint to, int count) {
  for (int number = 0; number != count; ++number) {
    co_await transport.send_to(std::to_string(number), to);
    co_await sleep(1ms);
  }
}

// From one host to another.
Task<std::vector<int>> send_a_thousand(std::uint16_t port = 5000) {
  DatagramTransport near(at(here, port));
  DatagramTransport far(at(there, port));
  TaskGroup group;
  group.spawn(send_numbers(near, at(there, port), 1000));
  std::vector<int> numbers = co_await numbers_of(far);
  co_await group.join();
  co_return numbers;
}

}  // namespace

TEST(SimDatagrams, take_their_time_and_keep_their_order) {
  on([](SimNetwork& network) -> Task<> {
    DatagramTransport near(at(here));
    DatagramTransport far(at(there));
    const TimePoint begin = network.now();
    co_await near.send_to("x", far.local());
    EXPECT_EQ((co_await far.recv_from()).from, near.local());
    EXPECT_GE(network.now() - begin, 10ms);
    EXPECT_LT(network.now() - begin, 11ms);
    network.set_conditions({.latency_min = 1ms, .latency_max = 100ms});
    const std::vector<int> numbers = co_await send_a_thousand(6000);
    EXPECT_EQ(numbers.size(), 1000U);
    EXPECT_TRUE(std::ranges::is_sorted(numbers));
  });
}

TEST(SimDatagrams, are_lost_as_often_as_it_is_said) {
  on(
      [](SimNetwork&) -> Task<> {
        const std::vector<int> numbers = co_await send_a_thousand();
        EXPECT_GT(numbers.size(), 700U);
        EXPECT_LT(numbers.size(), 900U);
        EXPECT_TRUE(std::ranges::is_sorted(numbers));
      },
      {.loss = 0.2});
}

TEST(SimDatagrams, are_duplicated_with_the_given_probability) {
  on(
      [](SimNetwork&) -> Task<> {
        const std::vector<int> numbers = co_await send_a_thousand();
        EXPECT_GT(numbers.size(), 1100U);
        EXPECT_LT(numbers.size(), 1300U);
        EXPECT_EQ(std::set(numbers.begin(), numbers.end()).size(), 1000U);
      },
      {.duplication = 0.2});
}

TEST(SimDatagrams, overtake_each_other_as_often_as_it_is_said) {
  on(
      [](SimNetwork&) -> Task<> {
        std::vector<int> numbers = co_await send_a_thousand();
        EXPECT_EQ(numbers.size(), 1000U);
        EXPECT_FALSE(std::ranges::is_sorted(numbers));
        EXPECT_EQ(std::set(numbers.begin(), numbers.end()).size(), 1000U);
      },
      {.latency_min = 5ms, .latency_max = 20ms, .reordering = 0.1});
}

TEST(SimDatagrams, are_lost_in_an_outage) {
  on([](SimNetwork& network) -> Task<> {
    DatagramTransport near(at(here));
    DatagramTransport far(at(there));
    network.partition(here, there);
    co_await near.send_to("1", far.local());
    co_await sleep(1s);
    network.heal();
    co_await near.send_to("2", far.local());
    co_await near.flush();
    network.partition(there);  // while it is under way
    co_await sleep(1s);
    network.heal();
    co_await near.send_to("3", far.local());
    EXPECT_EQ(co_await numbers_of(far), std::vector<int>{3});
  });
}

TEST(SimDatagrams, longer_than_a_path_allows_do_not_arrive) {
  on(
      [](SimNetwork&) -> Task<> {
        DatagramTransport near(at(here));
        DatagramTransport far(at(there));
        co_await near.send_to(std::string(1201, '1'), far.local());
        co_await near.send_to("2", far.local());
        EXPECT_EQ(co_await numbers_of(far), std::vector<int>{2});
      },
      {.datagram_bytes_max = 1200});
}

TEST(SimDatagrams, what_does_not_fit_to_the_buffer_of_a_slow_reader_is_lost) {
  on([](SimNetwork&) -> Task<> {
    DatagramTransport near(at(here));
    DatagramTransport far(at(there), {.receive_buffer = 4096});
    for (int number = 0; number != 100; ++number) co_await near.send_to(std::to_string(number), far.local());
    co_await sleep(1s);
    const std::vector<int> numbers = co_await numbers_of(far);
    EXPECT_EQ(numbers.size(), 15U) << "8192 bytes, each counts as 512 more";
    EXPECT_EQ(numbers.back(), 14) << "the first ones are there";
    co_await near.send_to("100", far.local());
    EXPECT_EQ(co_await numbers_of(far), std::vector<int>{100});
  });
}

TEST(SimDatagrams, a_connected_sender_is_refused_after_a_round_trip) {
  on([](SimNetwork& network) -> Task<> {
    network.connect_from(here);
    DatagramTransport near = DatagramTransport::connect(at(there));
    EXPECT_EQ(near.local().endpoint().ip(), here);
    const TimePoint begin = network.now();
    co_await near.send("x");
    EXPECT_EQ(co_await outcome(near.recv_from()), "refused");
    EXPECT_GE(network.now() - begin, 20ms);
    network.partition(here, there);
    co_await near.send("x");
    EXPECT_EQ(co_await outcome(timeout(1min, near.recv_from())), "timed_out") << "no host is there to report it";
  });
}

TEST(SimDatagrams, a_host_runs_out_of_descriptors) {
  on([](SimNetwork& network) -> Task<> {
    network.limit_descriptors(here, 1);
    const DatagramTransport first(at(here));
    EXPECT_EQ(network.descriptors(here), 1U);
    EXPECT_EQ(text_of([] { DatagramTransport(at(here, 5001)); }), "receive at 10.0.0.1:5001: Too many open files");
    network.connect_from(here);
    EXPECT_THROW(DatagramTransport::connect(at(there)), Error);
    co_return;
  });
}

TEST(SimDatagrams, reach_the_members_of_a_group_each_by_its_own_path) {
  on([](SimNetwork& network) -> Task<> {
    network.connect_from("10.0.0.3");
    DatagramTransport third("0.0.0.0:5000");
    network.connect_from(there);
    DatagramTransport second("0.0.0.0:5000");
    DatagramTransport near(at(here));
    const Endpoint group = at("224.0.0.9");
    for (DatagramTransport* each : {&second, &third}) each->join(group);
    network.partition(here, "10.0.0.3");
    co_await near.send_to("1", group);
    co_await sleep(1s);
    network.heal();
    co_await near.send_to("2", group);
    EXPECT_EQ(co_await numbers_of(second), (std::vector<int>{1, 2}));
    EXPECT_EQ(co_await numbers_of(third), std::vector<int>{2});
  });
}

TEST(SimDatagrams, the_same_seed_is_the_same_run) {
  const SimConditions bad{.latency_max = 50ms, .loss = 0.2, .duplication = 0.1, .reordering = 0.2};
  std::set<std::uint64_t> traces;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::vector<int> numbers;
    const auto body = [&](SimNetwork&) -> Task<> { numbers = co_await send_a_thousand(); };
    const std::uint64_t first = simulate(seed, body, {.conditions = bad});
    const std::vector<int> before = numbers;
    EXPECT_EQ(simulate(seed, body, {.conditions = bad}), first);
    EXPECT_EQ(numbers, before);
    traces.insert(first);
  }
  EXPECT_EQ(traces.size(), 20U);
}

}  // namespace datagram_test
