// Connecting to hosts with several addresses (Happy Eyeballs, RFC 8305), at exact times: when each address is tried,
// which one wins, and that the other attempts leave nothing behind.
#include <gtest/gtest.h>

#include "coax/test/sim.hpp"
#include "tests/support/run.hpp"

namespace connect_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view home_v4 = "10.0.0.1";
constexpr std::string_view home_v6 = "fd00::1";
constexpr Duration slack = 8ms;  // a timer may be a millisecond late, and each address has one

enum class Answer { yes, refused, none };

// The addresses of a host, in the order in which they are tried.
class Host {
 public:
  explicit Host(SimNetwork& network) : network_(network) {
    network.connect_always_from(home_v4);
    network.connect_always_from(home_v6);
  }
  // The duration of its answer, there and back.
  void add(Answer answer, Duration round_trip) {
    const std::size_t number = addresses_.size();
    const bool is_v6 = number % 2 == 0;
    const std::string ip = is_v6 ? fmt::format("fd00:0:0:{}::1", number + 1) : fmt::format("10.0.1.{}", number + 1);
    const std::string_view home = is_v6 ? home_v6 : home_v4;
    addresses_.push_back(*Endpoint::from_ip(ip, 80));
    network_.set_conditions(home, ip, {.latency_min = round_trip / 2, .latency_max = round_trip / 2});
    if (answer == Answer::yes) listeners_.push_back(std::make_unique<SocketListener>(addresses_.back()));
    if (answer == Answer::none) network_.partition(home, ip);
  }
  [[nodiscard]] const std::vector<Endpoint>& addresses() const { return addresses_; }

  // The address that won, or the error; and when.
  Task<std::string> connect(ConnectOptions options = {}) {
    const TimePoint begin = network_.now();
    std::string end;
    try {
      const auto stream = co_await coax::connect(addresses_, options);
      end = stream->peer_name();
      EXPECT_EQ(descriptors(), 1U);
    } catch (const Error& error) {
      end = error.what();
      kind = error.kind();
    }
    took = network_.now() - begin;
    EXPECT_EQ(descriptors(), 0U);
    co_return end;
  }
  [[nodiscard]] std::size_t descriptors() const {
    return network_.descriptors(home_v4) + network_.descriptors(home_v6);
  }

  Duration took{};
  std::optional<ErrorKind> kind;

 private:
  SimNetwork& network_;
  std::vector<Endpoint> addresses_;
  std::vector<std::unique_ptr<SocketListener>> listeners_;
};

void expect_moment(Duration took, Duration expected) {
  EXPECT_GE(took, expected);
  EXPECT_LT(took, expected + slack);
}

template <class Body>
void on_host(Body body) {
  simulate(1, [&](SimNetwork& network) -> Task<> {
    Host host(network);
    co_await body(host, network);
  });
}

}  // namespace

TEST(ConnectToAny, tries_the_next_at_once_when_one_is_refused) {
  on_host([](Host& host, SimNetwork&) -> Task<> {
    host.add(Answer::refused, 20ms);
    host.add(Answer::refused, 40ms);
    host.add(Answer::yes, 10ms);
    EXPECT_EQ(co_await host.connect(), host.addresses()[2].to_string());
    expect_moment(host.took, 70ms);
  });
}

TEST(ConnectToAny, tries_the_next_after_a_while_when_one_does_not_answer) {
  on_host([](Host& host, SimNetwork&) -> Task<> {
    host.add(Answer::none, 20ms);
    host.add(Answer::none, 20ms);
    host.add(Answer::yes, 20ms);
    EXPECT_EQ(co_await host.connect(), host.addresses()[2].to_string());
    expect_moment(host.took, 520ms);
    EXPECT_EQ(co_await host.connect({.attempt_delay = 30ms}), host.addresses()[2].to_string());
    expect_moment(host.took, 80ms);
    EXPECT_EQ(co_await host.connect({.attempt_delay = 0ms}), host.addresses()[2].to_string());
    expect_moment(host.took, 20ms);
  });
}

TEST(ConnectToAny, takes_whichever_answers_first) {
  on_host([](Host& host, SimNetwork&) -> Task<> {
    host.add(Answer::yes, 340ms);
    host.add(Answer::yes, 100ms);
    EXPECT_EQ(co_await host.connect(), host.addresses()[0].to_string());
    expect_moment(host.took, 340ms);
    host.add(Answer::yes, 1ms);
    EXPECT_EQ(co_await host.connect({.attempt_delay = 200ms}), host.addresses()[1].to_string());
    expect_moment(host.took, 300ms);
    EXPECT_EQ(co_await host.connect({.attempt_delay = 100ms}), host.addresses()[1].to_string());
    expect_moment(host.took, 200ms);
    EXPECT_EQ(co_await host.connect({.attempt_delay = 50ms}), host.addresses()[2].to_string());
    expect_moment(host.took, 101ms);
  });
}

TEST(ConnectToAny, does_not_try_others_when_the_first_answers_soon) {
  on_host([](Host& host, SimNetwork& network) -> Task<> {
    host.add(Answer::yes, 240ms);
    host.add(Answer::yes, 1ms);
    network.limit_descriptors(home_v4, 0);
    EXPECT_EQ(co_await host.connect(), host.addresses()[0].to_string());
    expect_moment(host.took, 240ms);
  });
}

TEST(ConnectToAny, says_what_each_of_them_said) {
  on_host([](Host& host, SimNetwork& network) -> Task<> {
    host.add(Answer::refused, 20ms);
    host.add(Answer::yes, 20ms);
    network.limit_descriptors(home_v4, 0);
    EXPECT_EQ(
        co_await host.connect(),
        "connect to any of 2 addresses: [fd00:0:0:1::1]:80: Connection refused, 10.0.1.2:80: Too many open files");
    EXPECT_EQ(host.kind, ErrorKind::refused);
    expect_moment(host.took, 20ms);
  });
}

TEST(ConnectToAny, of_one_fails_as_that_one_does) {
  on_host([](Host& host, SimNetwork&) -> Task<> {
    host.add(Answer::refused, 20ms);
    EXPECT_EQ(co_await host.connect(), "connect to [fd00:0:0:1::1]:80: Connection refused");
  });
}

TEST(ConnectToAny, ends_at_its_limit_and_names_the_silent_ones) {
  on_host([](Host& host, SimNetwork&) -> Task<> {
    host.add(Answer::refused, 20ms);
    host.add(Answer::none, 20ms);
    host.add(Answer::none, 20ms);
    host.add(Answer::yes, 20ms);
    EXPECT_EQ(co_await host.connect({.limit = 500ms}),
              "connect to any of 4 addresses: no connection within 500ms: [fd00:0:0:1::1]:80: Connection refused, "
              "10.0.1.2:80: no answer, [fd00:0:0:3::1]:80: no answer, 10.0.1.4:80: not tried yet");
    EXPECT_EQ(host.kind, ErrorKind::timed_out);
    expect_moment(host.took, 500ms);
    EXPECT_EQ(co_await host.connect(), host.addresses()[3].to_string());
    expect_moment(host.took, 540ms);
  });
}

TEST(ConnectToAny, ends_after_30_seconds_without_an_answer) {
  on_host([](Host& host, SimNetwork&) -> Task<> {
    host.add(Answer::none, 20ms);
    EXPECT_EQ(co_await host.connect(),
              "connect to [fd00:0:0:1::1]:80: no connection within 30s: [fd00:0:0:1::1]:80: no answer");
    expect_moment(host.took, 30s);
    EXPECT_EQ(co_await host.connect({.limit = Duration::max()}), "connect to [fd00:0:0:1::1]:80: Connection timed out");
    EXPECT_GE(host.took, 120s);
  });
}

TEST(ConnectToAny, that_is_cancelled_leaves_nothing) {
  on_host([](Host& host, SimNetwork&) -> Task<> {
    for (int count = 0; count < 3; ++count) host.add(Answer::none, 20ms);
    EXPECT_EQ(co_await outcome(timeout(600ms, coax::connect(host.addresses()))), "timed_out");
    EXPECT_EQ(host.descriptors(), 0U);
  });
}

// Compared with the result that RFC 8305 prescribes for the same answers, computed beforehand.
TEST(ConnectToAny, to_random_hosts_succeeds_at_the_first_possible_moment) {
  const auto one_host = [](SimNetwork& network) -> Task<> {
    Host host(network);
    SimRandom& random = network.random();
    const Duration delay = 10ms * static_cast<int>(1 + random.below(30));
    Duration start{};
    Duration end = Duration::max();
    Duration last_failure{};
    for (std::size_t left = 1 + random.below(6); left != 0; --left) {
      const Duration round_trip = 2ms * static_cast<int>(1 + random.below(300));
      const auto answer = static_cast<Answer>(random.below(3));
      host.add(answer, round_trip);
      if (answer == Answer::yes) end = std::min(end, start + round_trip);
      last_failure = answer == Answer::none ? Duration::max() : std::max(last_failure, start + round_trip);
      start += answer == Answer::refused ? std::min(delay, round_trip) : delay;
    }
    co_await host.connect({.attempt_delay = delay, .limit = 10s});
    expect_moment(host.took, end != Duration::max() ? end : std::min<Duration>(last_failure, 10s));
    EXPECT_EQ(host.kind.has_value(), end == Duration::max());
  };
  for_each_seed(300, one_host, {.has_failed = ::testing::Test::HasFailure});
}

}  // namespace connect_test
