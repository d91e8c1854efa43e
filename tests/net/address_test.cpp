// Addresses of sockets: binding, and error messages.
#include "coax/net/address.hpp"

#include <netinet/in.h>

#include "tests/support/blocking.hpp"

namespace address_test {

using namespace coax;
using namespace coax::test;

TEST(Addresses, ad01_port_0_chooses_one) {
  Socket socket;
  socket.bind("127.0.0.1:0");
  EXPECT_NE(port_of(socket), 0);
  EXPECT_EQ(socket.local().endpoint().ip(), "127.0.0.1");
}

TEST(Addresses, ad02_an_empty_host_is_the_wildcard) {
  Socket v4;
  v4.bind(":0");
  EXPECT_EQ(v4.local().endpoint().ip(), "0.0.0.0");
  Socket v6(Family::v6);
  v6.bind(":0");
  EXPECT_EQ(v6.local().endpoint().ip(), "::");
}

TEST(Addresses, ad03_broadcast_must_be_permitted_first) {
  EXPECT_EQ(Address::of("<broadcast>:9", Family::v4).to_string(), "255.255.255.255:9");
  Socket socket(Family::v4, SocketType::datagram);
  EXPECT_EQ(reason_of([&] { socket.send_to("x", "<broadcast>:9"); }), EACCES);
  EXPECT_EQ(said([&] { socket.send_to("x", "<broadcast>:9"); }),
            "send to 255.255.255.255:9: Permission denied; to broadcast, set options::broadcast first");
}

TEST(Addresses, ad04_an_address_that_is_listened_on_is_in_use) {
  const Listener first(loopback());
  const std::string text = said([&] { const Listener second(first.local()); });
  EXPECT_EQ(text, "listen on " + first.local().to_string() +
                      ": Address already in use; another program listens there: stop it or choose another port");
  Socket socket;
  EXPECT_EQ(reason_of([&] { socket.bind(first.local()); }), EADDRINUSE);
}

TEST(Addresses, ad05_only_a_local_address_can_be_bound) {
  Socket socket;
  socket.bind("127.0.0.1:0");
  EXPECT_EQ(reason_of([&] { socket.bind("127.0.0.1:0"); }), EINVAL);
  Socket other;
  EXPECT_EQ(reason_of([&] { other.bind("203.0.113.1:0"); }), EADDRNOTAVAIL);
}

// Such a port cannot be expressed as a number: it is a std::uint16_t.
TEST(Addresses, ad06_a_port_above_16_bits_is_refused) {
  Socket socket;
  for (const char* at : {"127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:", "127.0.0.1"}) {
    EXPECT_EQ(kind_thrown([&] { socket.bind(at); }), ErrorKind::invalid) << at;
  }
}

TEST(Addresses, ad07_an_unconnected_socket_has_no_peer) {
  EXPECT_EQ(reason_of([] { static_cast<void>(Socket().peer()); }), ENOTCONN);
}

TEST(Addresses, ad08_an_ipv6_address_has_a_flow_label_and_a_scope) {
  const Endpoint endpoint = *Endpoint::from_ip("fe80::1%lo", 80);
  const Address address = Address::with_flow_label(endpoint, 0x12345);
  EXPECT_EQ(address.endpoint(), endpoint);
  EXPECT_EQ(address.endpoint().ip(), "fe80::1%lo");
  EXPECT_EQ(address.endpoint().port(), 80);
  EXPECT_EQ(address.endpoint().scope_id(), 1U);
  EXPECT_EQ(address.flow_label(), 0x12345U);
  EXPECT_EQ(address.native().size(), sizeof(sockaddr_in6));
}

TEST(Addresses, ad09_a_flow_label_has_20_bits) {
  const Endpoint endpoint = *Endpoint::from_ip("::1", 80);
  EXPECT_EQ(Address::with_flow_label(endpoint, 0xfffff).flow_label(), 0xfffffU);
  EXPECT_EQ(kind_thrown([&] { static_cast<void>(Address::with_flow_label(endpoint, 0x100000)); }), ErrorKind::invalid);
}

namespace {

// A server that ends its connection first and then exits: its port stays in TIME_WAIT.
Address used_up(bool reuse) {
  Listener listener(loopback(), {.reuse_address = reuse});
  Socket client = Socket::connect_to(listener.local());
  Socket peer = listener.accept();
  peer.shutdown_send();
  EXPECT_TRUE(client.recv().empty());
  client.close();
  EXPECT_TRUE(peer.recv().empty());
  return listener.local();
}

}  // namespace

TEST(Addresses, ad10_reuse_address_ignores_time_wait_if_both_servers_set_it) {
  const Address with = used_up(true);
  EXPECT_EQ(reason_of([&] { const Listener again(with, {.reuse_address = false}); }), EADDRINUSE);
  EXPECT_EQ(reason_of([&] { const Listener again(with, {.reuse_address = true}); }), 0);
  const Address without = used_up(false);
  EXPECT_EQ(reason_of([&] { const Listener again(without, {.reuse_address = true}); }), EADDRINUSE);
}

TEST(Addresses, ad11_reuse_port_lets_two_share_a_port_when_both_ask_for_it) {
  const Listener first(loopback(), {.reuse_port = true});
  EXPECT_EQ(reason_of([&] { const Listener second(first.local(), {.reuse_port = true}); }), 0);
  EXPECT_EQ(reason_of([&] { const Listener second(first.local()); }), EADDRINUSE);
}

TEST(Addresses, of_a_privileged_port_an_error_says_what_to_do) {
  const Error error(EACCES, "listen on", "127.0.0.1:80", listen_advice(EACCES, *Endpoint::parse("127.0.0.1:80")));
  EXPECT_STREQ(error.what(),
               "listen on 127.0.0.1:80: Permission denied; ports below 1024 are privileged: choose a higher one, or "
               "grant CAP_NET_BIND_SERVICE");
}

TEST(Addresses, of_other_families_are_kept_as_they_are) {
  const Address vsock = Address::vsock(3, 1024);
  EXPECT_EQ(vsock.family(), Family::vsock);
  EXPECT_EQ(vsock.to_string(), "vsock:3:1024");
  EXPECT_EQ(Address::from_native(vsock.native()), vsock);
  EXPECT_EQ(Address().family(), Family::none);
}

}  // namespace address_test
