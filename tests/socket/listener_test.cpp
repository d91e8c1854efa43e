// Listeners and connections made in one step: IPv6 and IPv4 together, and names with several addresses.
#include <array>

#include "coax/net/names.hpp"
#include "tests/support/blocking.hpp"
#include "tests/support/sockets.hpp"

namespace listener_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

Address v6_loopback(std::uint16_t port = 0) { return *Endpoint::from_ip("::1", port); }

}  // namespace

// An IPv6 wildcard accepts both families by default; any other IPv6 address accepts only its own.
TEST(IPv6, v601_a_listener_on_ipv6_alone_is_one_of_that_only) {
  EXPECT_TRUE(Listener("[::]:0", {.dual_stack = false}).get(options::v6_only));
  EXPECT_TRUE(Listener("[::1]:0").get(options::v6_only));
  EXPECT_FALSE(Listener("[::]:0").get(options::v6_only));
}

TEST(IPv6, v602_a_dual_stack_listener_accepts_both) {
  Listener listener(":0");
  const std::uint16_t port = port_of(listener);
  const Socket v4 = Socket::connect_to(loopback(port));
  EXPECT_EQ(listener.accept().peer().endpoint().ip(), "::ffff:127.0.0.1");
  const Socket v6 = Socket::connect_to(v6_loopback(port));
  EXPECT_EQ(listener.accept().peer().endpoint().ip(), "::1");
}

// dual_stack is a permission: for an IPv4 address it has no effect. The option itself is IPv6's.
TEST(IPv6, v603_dual_stack_belongs_to_ipv6) {
  EXPECT_EQ(Listener(loopback(), {.dual_stack = true}).family(), Family::v4);
  Socket v4;
  EXPECT_EQ(kind_thrown([&] { v4.set(options::v6_only, false); }), ErrorKind::unsupported);
}

TEST(IPv6, v604_one_port_for_ipv4_and_another_listener_for_ipv6) {
  // Another program may have the IPv4 port already: not every time.
  for (int times = 0; times < 100; ++times) {
    const Listener v6("[::]:0", {.dual_stack = false});
    if (reason_of([&] { const Listener v4("0.0.0.0:" + std::to_string(port_of(v6))); }) == 0) return;
  }
  FAIL();
}

TEST(IPv6, v605_scopes_are_understood_and_given_back) {
  const auto found = address_info("fe80::1%lo", "80");
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].address.endpoint().scope_id(), interface_index("lo"));
  EXPECT_EQ(name_info(found[0].address, {.numeric = true}).host, "fe80::1%lo");
}

TEST(OneStep, he01_a_listener_reuses_its_address_and_names_it_in_errors) {
  const Listener listener(loopback());
  EXPECT_TRUE(listener.get(options::reuse_address));
  EXPECT_TRUE(listener.get(options::is_listening));
  EXPECT_EQ(said([] { const Listener foreign("203.0.113.1:7777"); }),
            "listen on 203.0.113.1:7777: Cannot assign requested address; no interface of this machine has that "
            "address");
}

TEST(OneStep, he02_a_listener_may_share_its_port) {
  EXPECT_TRUE(Listener(loopback(), {.reuse_port = true}).get(options::reuse_port));
  EXPECT_FALSE(Listener(loopback()).get(options::reuse_port));
}

TEST(OneStep, accepted_sockets_have_keep_alive_by_default) {
  for (const bool keep_alive : {true, false}) {
    Listener listener(loopback(), {.keep_alive = keep_alive});
    const Socket client = Socket::connect_to(listener.local());
    const options::keep_alive accepted = listener.accept().get_keep_alive();
    EXPECT_EQ(accepted.on, keep_alive);
    EXPECT_EQ(accepted.idle == Duration(60s), keep_alive);
  }
}

TEST(OneStep, he03_every_address_is_tried_in_order_until_one_answers) {
  Listener listener = listener_on_loopback();
  const std::array<Address, 3> addresses{closed_port(), v6_loopback(port_of(listener)), listener.local()};
  const Socket socket = Socket::connect_to(addresses);
  EXPECT_EQ(socket.peer(), listener.local());
  const Socket by_name = Socket::connect_to("localhost:" + std::to_string(port_of(listener)));
  EXPECT_EQ(by_name.peer(), listener.local());
}

TEST(OneStep, he04_when_all_fail_the_error_has_one_for_each) {
  const std::array<Address, 2> addresses{closed_port(), v6_loopback(1)};
  try {
    Socket::connect_to(addresses);
    FAIL();
  } catch (const ConnectError& error) {
    ASSERT_EQ(error.errors().size(), 2U);
    EXPECT_EQ(error.errors()[0].peer(), addresses[0].to_string());
    EXPECT_EQ(error.errors()[1].peer(), "[::1]:1");
    EXPECT_EQ(error.kind(), ErrorKind::refused);
    EXPECT_EQ(error.code(), std::errc::connection_refused);
  }
}

TEST(OneStep, he05_the_timeout_stays_and_the_source_is_heeded) {
  Listener listener = listener_on_loopback();
  const Address source = *Endpoint::from_ip("127.0.0.2", 0);
  const Socket socket = Socket::connect_to(listener.local(), {.timeout = 5s, .source = source});
  EXPECT_EQ(socket.timeout(), Duration(5s));
  EXPECT_EQ(listener.accept().peer().endpoint().ip(), "127.0.0.2");
}

TEST(OneStep, he06_attempts_that_failed_leave_no_descriptor) {
  const std::array<Address, 2> addresses{closed_port(), v6_loopback(1)};
  const std::size_t before = open_descriptors();
  for (int times = 0; times < 10; ++times) EXPECT_THROW(Socket::connect_to(addresses), ConnectError);
  EXPECT_EQ(reason_of([&] { const Listener failed("203.0.113.1:0"); }), EADDRNOTAVAIL);
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace listener_test
