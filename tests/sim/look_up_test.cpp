// Connecting by name, at exact times: which family's answer is awaited and for how long (RFC 8305, section 3), how late
// answers join in, and the error when one or both fail.
#include <gtest/gtest.h>
#include <netdb.h>

#include "coax/stream/connect_private.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/run.hpp"

namespace look_up_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

using enum Endpoint::Family;

constexpr std::string_view home_v4 = "10.0.0.1";
constexpr std::string_view home_v6 = "fd00::1";
constexpr std::string_view first_v6 = "fd00:0:0:1::1";
constexpr std::string_view second_v6 = "fd00:0:0:2::1";
constexpr std::string_view first_v4 = "10.0.1.1";
constexpr std::string_view second_v4 = "10.0.1.2";
constexpr Duration round_trip = 20ms;
constexpr Duration never = 1h;
constexpr Duration slack = 8ms;  // a timer may be a millisecond late, and each step has one

// The answer of a name server, and its delay.
struct Answer {
  Duration after;
  std::vector<std::string_view> ips = {};
  int failure = 0;  // EAI_...
};

// The host h.test, and the listeners at its addresses.
class Name {
 public:
  Name(SimNetwork& network, Answer v6, Answer v4) : network_(network), v6_(std::move(v6)), v4_(std::move(v4)) {
    network.set_conditions({.latency_min = round_trip / 2, .latency_max = round_trip / 2});
    network.connect_always_from(home_v4);
    network.connect_always_from(home_v6);
  }
  void listen_at(std::string_view ip) {
    listeners_.push_back(std::make_unique<SocketListener>(*Endpoint::from_ip(ip, 80)));
  }
  void silence(std::string_view ip) { network_.partition(ip); }

  // The address that won, or the error; and when.
  Task<std::string> connect(ConnectOptions options = {}) {
    const Ask ask = [this](std::string host, std::uint16_t port, Endpoint::Family family) {
      return answer(std::move(host), port, family == v6 ? v6_ : v4_);
    };
    const TimePoint begin = network_.now();
    std::string end;
    try {
      const auto stream = co_await coax::connect("h.test:80", options, ask);
      end = stream->peer().ip();
    } catch (const Error& error) {
      end = error.what();
    }
    took = network_.now() - begin;
    EXPECT_EQ(asking_, 0);
    EXPECT_EQ(network_.descriptors(home_v4) + network_.descriptors(home_v6), 0U);
    co_return end;
  }
  void expect_moment(Duration expected) const {
    EXPECT_GE(took, expected);
    EXPECT_LT(took, expected + slack);
  }

  Duration took{};

 private:
  Task<std::vector<Endpoint>> answer(std::string host, std::uint16_t port, const Answer& what) {
    struct Asking {
      explicit Asking(int& of) : count(of) { ++count; }
      Asking(const Asking&) = delete;
      Asking& operator=(const Asking&) = delete;
      ~Asking() { --count; }
      int& count;
    };
    EXPECT_EQ(host, "h.test");
    const Asking asking(asking_);
    co_await sleep(what.after);
    if (what.failure != 0) throw ResolveError(what.failure, "resolve", host);
    std::vector<Endpoint> addresses;
    for (const std::string_view ip : what.ips) addresses.push_back(*Endpoint::from_ip(ip, port));
    co_return addresses;
  }

  SimNetwork& network_;
  Answer v6_;
  Answer v4_;
  int asking_ = 0;
  std::vector<std::unique_ptr<SocketListener>> listeners_;
};

template <class Body>
void with_name(Answer v6, Answer v4, Body body) {
  simulate(1, [&](SimNetwork& network) -> Task<> {
    Name name(network, v6, v4);
    co_await body(name);
  });
}

}  // namespace

TEST(ConnectByFamily, begins_with_the_ipv6_answer_and_does_not_wait_for_the_other) {
  with_name({.after = 10ms, .ips = {first_v6}}, {.after = never}, [](Name& name) -> Task<> {
    name.listen_at(first_v6);
    EXPECT_EQ(co_await name.connect(), first_v6);
    name.expect_moment(10ms + round_trip);
  });
}

TEST(ConnectByFamily, prefers_an_ipv6_answer_within_the_resolution_delay) {
  with_name({.after = 50ms, .ips = {first_v6}}, {.after = 10ms, .ips = {first_v4}}, [](Name& name) -> Task<> {
    name.listen_at(first_v6);
    name.listen_at(first_v4);
    EXPECT_EQ(co_await name.connect(), first_v6);
    name.expect_moment(50ms + round_trip);
  });
}

TEST(ConnectByFamily, waits_for_ipv6_no_longer_than_50_ms) {
  with_name({.after = never}, {.after = 10ms, .ips = {first_v4}}, [](Name& name) -> Task<> {
    name.listen_at(first_v4);
    EXPECT_EQ(co_await name.connect(), first_v4);
    name.expect_moment(10ms + 50ms + round_trip);
  });
}

TEST(ConnectByFamily, does_not_wait_for_ipv6_that_there_is_not) {
  for (const Answer& none : {Answer{.after = 20ms}, Answer{.after = 20ms, .failure = EAI_NODATA}}) {
    with_name(none, {.after = 10ms, .ips = {first_v4}}, [](Name& name) -> Task<> {
      name.listen_at(first_v4);
      EXPECT_EQ(co_await name.connect(), first_v4);
      name.expect_moment(20ms + round_trip);
    });
  }
}

TEST(ConnectByFamily, uses_the_other_family_when_one_does_not_resolve) {
  with_name({.after = 10ms, .failure = EAI_FAIL}, {.after = 300ms, .ips = {first_v4}}, [](Name& name) -> Task<> {
    name.listen_at(first_v4);
    EXPECT_EQ(co_await name.connect(), first_v4);
    name.expect_moment(300ms + round_trip);
  });
  with_name({.after = 300ms, .ips = {first_v6}}, {.after = 10ms, .failure = EAI_FAIL}, [](Name& name) -> Task<> {
    name.listen_at(first_v6);
    EXPECT_EQ(co_await name.connect(), first_v6);
    name.expect_moment(300ms + round_trip);
  });
}

TEST(ConnectByFamily, lets_late_addresses_join_those_that_are_tried) {
  with_name({.after = 200ms, .ips = {first_v6}}, {.after = 10ms, .ips = {first_v4}}, [](Name& name) -> Task<> {
    name.listen_at(first_v6);
    name.silence(first_v4);
    EXPECT_EQ(co_await name.connect(), first_v6);
    name.expect_moment(60ms + 250ms + round_trip);
  });
  with_name({.after = 200ms, .ips = {first_v6}}, {.after = 10ms, .ips = {first_v4}}, [](Name& name) -> Task<> {
    name.listen_at(first_v6);  // the other refuses
    EXPECT_EQ(co_await name.connect(), first_v6);
    name.expect_moment(200ms + round_trip);
  });
  with_name({.after = 200ms, .ips = {first_v6}}, {.after = 10ms, .ips = {first_v4, second_v4}},
            [](Name& name) -> Task<> {
              name.listen_at(first_v6);
              name.silence(first_v4);
              name.silence(second_v4);
              EXPECT_EQ(co_await name.connect(), first_v6);  // before the second one, since the families alternate
              name.expect_moment(60ms + 250ms + round_trip);
            });
}

TEST(ConnectByFamily, tries_the_families_in_turn_and_says_what_each_address_said) {
  with_name({.after = 10ms, .ips = {first_v6, second_v6}}, {.after = 10ms, .ips = {first_v4, second_v4}},
            [](Name& name) -> Task<> {
              EXPECT_EQ(co_await name.connect(),
                        "connect to h.test:80: [fd00:0:0:1::1]:80: Connection refused, 10.0.1.1:80: Connection "
                        "refused, [fd00:0:0:2::1]:80: Connection refused, 10.0.1.2:80: Connection refused");
            });
}

TEST(ConnectByFamily, names_the_failed_address_and_the_failed_resolution) {
  with_name({.after = 10ms, .ips = {first_v6}}, {.after = 10ms, .failure = EAI_NODATA}, [](Name& name) -> Task<> {
    EXPECT_EQ(co_await name.connect(), "connect to [fd00:0:0:1::1]:80: Connection refused");
  });
  with_name({.after = 10ms, .ips = {first_v6}}, {.after = 10ms, .failure = EAI_AGAIN}, [](Name& name) -> Task<> {
    EXPECT_EQ(co_await name.connect(),
              "connect to h.test:80: [fd00:0:0:1::1]:80: Connection refused, its other addresses by IPv4: Temporary "
              "failure in name resolution");
  });
}

TEST(ConnectByFamily, fails_with_both_reasons_when_neither_family_resolves) {
  with_name({.after = 10ms, .failure = EAI_NONAME}, {.after = 20ms, .failure = EAI_NONAME}, [](Name& name) -> Task<> {
    EXPECT_EQ(co_await name.connect(), "resolve h.test: Name or service not known");
    name.expect_moment(20ms);
  });
  with_name({.after = 20ms, .failure = EAI_NODATA}, {.after = 10ms, .failure = EAI_AGAIN}, [](Name& name) -> Task<> {
    EXPECT_EQ(co_await name.connect(),
              "resolve h.test: IPv6: No address associated with hostname, IPv4: Temporary failure in name resolution");
    name.expect_moment(20ms);
  });
  with_name({.after = 10ms}, {.after = 10ms}, [](Name& name) -> Task<> {
    EXPECT_EQ(co_await name.connect(), "resolve h.test: IPv6: no address, IPv4: no address");
  });
}

TEST(ConnectByFamily, ends_at_its_limit_and_names_the_silent_ones) {
  with_name({.after = never}, {.after = never}, [](Name& name) -> Task<> {
    EXPECT_EQ(co_await name.connect({.limit = 2s}), "connect to h.test:80: no name server answered within 2s");
    name.expect_moment(2s);
  });
  with_name({.after = never}, {.after = 10ms, .failure = EAI_AGAIN}, [](Name& name) -> Task<> {
    EXPECT_EQ(co_await name.connect({.limit = 2s}),
              "connect to h.test:80: no name server answered within 2s; IPv4: Temporary failure in name resolution");
  });
  with_name({.after = never}, {.after = 10ms, .ips = {first_v4}}, [](Name& name) -> Task<> {
    EXPECT_EQ(co_await name.connect({.limit = 2s}),
              "connect to h.test:80: no connection within 2s: 10.0.1.1:80: Connection refused, its other addresses by "
              "IPv6: no answer");
  });
}

TEST(ConnectByFamily, that_is_cancelled_waits_for_no_name_server) {
  with_name({.after = never}, {.after = never}, [](Name& name) -> Task<> {
    EXPECT_EQ(co_await outcome(timeout(10ms, name.connect())), "timed_out");
    EXPECT_EQ((co_await race(sleep(5ms), name.connect())).index(), 0U);
  });
}

}  // namespace look_up_test
