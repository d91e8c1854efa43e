// Datagrams over IP: complete, truncated, empty, too long, and multicast.
#include "coax/socket/udp.hpp"

#include <array>

#include "coax/net/names.hpp"
#include "coax/socket/ancillary.hpp"
#include "tests/support/blocking.hpp"

namespace udp_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

UdpSocket udp_on_loopback() {
  UdpSocket socket(loopback());
  socket.set_timeout(patience);
  return socket;
}

}  // namespace

TEST(Udp, ud01_a_datagram_above_the_buffer_is_truncated) {
  UdpSocket near = udp_on_loopback();
  UdpSocket far = udp_on_loopback();
  near.send_to("abcdef", far.local());
  near.send_to("next", far.local());
  const Datagram datagram = far.recv_from(3);
  EXPECT_EQ(datagram.bytes.text(), "abc");
  EXPECT_TRUE(datagram.truncated());
  EXPECT_EQ(datagram.length, 6U);
  const Datagram next = far.recv_from(100);
  EXPECT_EQ(next.bytes.text(), "next") << "the rest is lost";
  EXPECT_FALSE(next.truncated());
  near.send_to("abcdef", far.local());
  std::array<char, 3> buffer{};
  const std::array<std::span<char>, 1> into{buffer};
  EXPECT_TRUE(recv_message(far, into).truncated);
}

TEST(Udp, ud02_with_the_flag_recv_returns_the_real_length) {
  UdpSocket near = udp_on_loopback();
  UdpSocket far = udp_on_loopback();
  near.send_to("abcdef", far.local());
  std::array<char, 3> buffer{};
  EXPECT_EQ(far.recv(std::span(buffer), flags::truncate), 6U);
  near.send_to("abcdef", far.local());
  EXPECT_EQ(far.recv(3, flags::truncate).text(), "abc") << "the bytes end with the buffer";
}

TEST(Udp, ud03_an_empty_datagram_is_one) {
  UdpSocket near = udp_on_loopback();
  UdpSocket far = udp_on_loopback();
  near.send_to("", far.local());
  const Datagram datagram = far.recv_from();
  EXPECT_TRUE(datagram.bytes.empty());
  EXPECT_EQ(datagram.from, near.local());
  near.connect(far.local());
  near.send("");
  EXPECT_EQ(far.recv_from().from, near.local());
}

TEST(Udp, ud04_the_largest_has_65507_bytes) {
  UdpSocket near = udp_on_loopback();
  UdpSocket far = udp_on_loopback();
  const std::string largest(65507, 'd');
  near.send_to(largest, far.local());
  EXPECT_EQ(far.recv_from().bytes.size(), 65507U);
  EXPECT_EQ(reason_of([&] { near.send_to(largest + "d", far.local()); }), EMSGSIZE);
}

TEST(Udp, ud05_sending_without_an_address_throws) {
  EXPECT_EQ(reason_of([] { UdpSocket().send("x"); }), EDESTADDRREQ);
  EXPECT_EQ(said([] { UdpSocket().send("x"); }),
            "send to: Destination address required; name the receiver, or connect() first");
}

TEST(Udp, ud06_each_recv_returns_one_datagram) {
  UdpSocket near = udp_on_loopback();
  UdpSocket far = udp_on_loopback();
  for (const std::string_view text : {"one", "two", "three"}) near.send_to(text, far.local());
  for (const char* text : {"one", "two", "three"}) EXPECT_EQ(far.recv_from().bytes.text(), text);
}

TEST(Udp, ud07_a_member_receives_datagrams_to_the_group) {
  const unsigned interface = interface_index("lo");
  UdpSocket far(":0");
  far.set_timeout(patience);
  far.join(*Endpoint::from_ip("224.1.1.1", 0), interface);
  UdpSocket near;
  near.set_multicast_interface(interface);
  near.send_to("to the group", "224.1.1.1:" + std::to_string(port_of(far)));
  EXPECT_EQ(far.recv_from().bytes.text(), "to the group");
}

TEST(Udp, ud07_a_membership_begins_and_ends_in_both_families) {
  const unsigned interface = interface_index("lo");
  for (const char* at : {"224.1.1.1", "ff01::4242"}) {
    const Endpoint group = *Endpoint::from_ip(at, 0);
    UdpSocket socket(Address(group).family());
    socket.set_multicast_interface(interface);
    socket.join(group, interface);
    EXPECT_EQ(reason_of([&] { socket.join(group, interface); }), EADDRINUSE) << "it is a member already";
    socket.leave(group, interface);
    EXPECT_EQ(reason_of([&] { socket.leave(group, interface); }), EADDRNOTAVAIL) << "it is none any more";
  }
}

TEST(Udp, ud07_of_one_source_only_that_one_is_heard) {
  const unsigned interface = interface_index("lo");
  const Endpoint group = *Endpoint::from_ip("232.1.1.1", 0);
  UdpSocket far(":0");
  far.set_timeout(patience);
  far.join(group, interface, Endpoint::from_ip("127.0.0.2", 0));
  const Endpoint to = *Endpoint::from_ip("232.1.1.1", port_of(far));
  for (const char* from : {"127.0.0.3:0", "127.0.0.2:0"}) {
    UdpSocket near(from);
    near.set_multicast_interface(interface);
    near.send_to(std::string_view(from), to);
  }
  EXPECT_EQ(far.recv_from().bytes.text(), "127.0.0.2:0");
  far.leave(group, interface, Endpoint::from_ip("127.0.0.2", 0));
}

TEST(Udp, reply_leaves_from_the_address_that_was_asked) {
  for (const auto& [wildcard, asked] : {std::pair("0.0.0.0:0", "127.0.0.2"), std::pair("0.0.0.0:0", "127.0.0.1"),
                                        std::pair("[::]:0", "127.0.0.2"), std::pair("[::]:0", "::1")}) {
    UdpSocket server(wildcard);
    server.set_timeout(patience);
    const Address there = *Endpoint::from_ip(asked, port_of(server));
    UdpSocket client(there.family());
    client.connect(there);  // accepts answers only from there
    client.set_timeout(patience);
    client.send("question");
    const Datagram datagram = server.recv_from();
    EXPECT_EQ(datagram.to, *Endpoint::from_ip(asked, 0)) << wildcard;
    server.reply(datagram, "answer");
    EXPECT_EQ(client.recv().text(), "answer") << asked;
  }
}

TEST(Udp, reply_to_a_broadcast_datagram) {
  for (const std::string_view wildcard : {"0.0.0.0:0", "[::]:0"}) {
    UdpSocket server(wildcard);
    server.set_timeout(patience);
    UdpSocket client = udp_on_loopback();
    client.set_timeout(patience);
    client.set(options::broadcast, true);
    client.send_to("question", *Endpoint::from_ip("127.255.255.255", port_of(server)));
    server.reply(server.recv_from(), "answer");
    EXPECT_EQ(client.recv().text(), "answer") << wildcard;
  }
}

TEST(Udp, bound_to_one_address_does_not_say_which_it_reached) {
  UdpSocket near = udp_on_loopback();
  UdpSocket far = udp_on_loopback();
  near.send_to("x", far.local());
  const Datagram datagram = far.recv_from();
  EXPECT_EQ(datagram.to.family(), Endpoint::Family::none);
  far.reply(datagram, "y");
  EXPECT_EQ(near.recv_from().bytes.text(), "y");
}

}  // namespace udp_test
