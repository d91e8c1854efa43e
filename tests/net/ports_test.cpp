// Ports: the kernel's tables as literal text; and the holders of ports, with sockets of this test.
#include "coax/net/ports.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "coax/socket/udp.hpp"
#include "tests/support/blocking.hpp"

namespace ports_test {

using namespace coax;
using namespace coax::test;

namespace {

Endpoint v4(std::uint16_t port) { return *Endpoint::from_ip("127.0.0.1", port); }

// The listening socket of this process.
std::optional<PortHolder> our_listener(Transport transport, const Endpoint& at) {
  for (const PortHolder& holder : holders_of_ports({at.port(), at.port()})) {
    if (holder.transport == transport && holder.local == at && holder.listening) return holder;
  }
  return std::nullopt;
}

}  // namespace

TEST(Ports, have_classes_by_number_and_by_what_the_machine_asks_for) {
  EXPECT_EQ(class_of_port(1, 1024), PortClass::privileged);
  EXPECT_EQ(class_of_port(1023, 1024), PortClass::privileged);
  EXPECT_EQ(class_of_port(1024, 1024), PortClass::registered);
  EXPECT_EQ(class_of_port(49151, 1024), PortClass::registered);
  EXPECT_EQ(class_of_port(49152, 1024), PortClass::dynamic);
  EXPECT_EQ(class_of_port(80, 0), PortClass::well_known);
  EXPECT_EQ(class_of_port(80, 80), PortClass::well_known);
  EXPECT_EQ(class_of_port(8080, 10'000), PortClass::privileged);
  EXPECT_LE(unprivileged_port_start(), 65535U);
  EXPECT_LT(ephemeral_ports().first, ephemeral_ports().last);
}

TEST(Ports, are_written_alone_or_as_a_range) {
  EXPECT_EQ(parse_port_range("8080"), (PortRange{8080, 8080}));
  EXPECT_EQ(parse_port_range("8000-8010"), (PortRange{8000, 8010}));
  EXPECT_EQ(parse_port_range("1-65535"), (PortRange{1, 65535}));
  for (const std::string_view text :
       {"", "0", "-1", "1-", "-", "8010-8000", "65536", "1-65536", "1-2-3", " 1", "+1", "1 ", "http", "0-5", "0x50"}) {
    EXPECT_EQ(parse_port_range(text), std::nullopt) << text;
  }
}

TEST(Ports, a_row_of_the_kernels_table_is_read) {
  const auto row = parse_socket_row(
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000001 00:00000000 00000000  1000        0 27440 2 "
      "00000000a2b67238 100 0 0 10 0                     ");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->local.to_string(), "127.0.0.1:8080");
  EXPECT_EQ(row->remote.to_string(), "0.0.0.0:0");
  EXPECT_EQ(row->state, 10U);
  EXPECT_EQ(row->user, 1000U);
  EXPECT_EQ(row->inode, 27440U);

  const auto v6 = parse_socket_row(
      " 4113: B80D0120000000000000000001000000:9C8B 00000000000000000000000001000000:0050 01 00000000:00000000 "
      "00:00000000 00000000     0        0 4294967296 1 00000000ef99cb58 100 0 0 10 0");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->local.to_string(), "[2001:db8::1]:40075");
  EXPECT_EQ(v6->remote.to_string(), "[::1]:80");
  EXPECT_EQ(v6->inode, 4294967296U);
}

TEST(Ports, what_is_no_row_is_passed_over) {
  const std::string good =
      "0: 0100007F:1F90 00000000:0000 0A 00000000:00000001 00:00000000 00000000 1000 0 27440 2 0 100 0 0 10 0";
  ASSERT_TRUE(parse_socket_row(good));
  for (std::size_t size = 0; size < good.find("27440"); ++size) {
    EXPECT_FALSE(parse_socket_row(good.substr(0, size))) << size;
  }
  for (const std::string_view line :
       {"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", "",
        "0: 0100007F1F90 00000000:0000 0A 0:0 0:0 0 0 0 1", "0: 0100007G:1F90 00000000:0000 0A 0:0 0:0 0 0 0 1",
        "0: 0100007F:11F90 00000000:0000 0A 0:0 0:0 0 0 0 1", "0: 0100007F:1F90 00000000:0000 XX 0:0 0:0 0 0 0 1"}) {
    EXPECT_FALSE(parse_socket_row(line)) << line;
  }
}

TEST(Ports, a_link_names_a_socket_or_something_else) {
  EXPECT_EQ(parse_socket_link("socket:[27440]"), 27440U);
  for (const std::string_view link : {"", "socket:[]", "socket:[x]", "socket:[1", "pipe:[1]", "/tmp/socket:[1]"}) {
    EXPECT_EQ(parse_socket_link(link), std::nullopt) << link;
  }
}

TEST(Ports, one_that_is_listened_on_is_held_also_for_the_wildcards) {
  Listener listener(loopback());
  const std::uint16_t port = port_of(listener);
  EXPECT_EQ(probe_port(Transport::tcp, v4(port)), PortState::held);
  EXPECT_EQ(probe_port(Transport::tcp, *Endpoint::from_ip("0.0.0.0", port)), PortState::held);
  EXPECT_EQ(probe_port(Transport::tcp, *Endpoint::from_ip("::", port)), PortState::held);
  EXPECT_EQ(probe_port(Transport::udp, v4(0)), PortState::free);

  // The listener was not disturbed: it still accepts connections.
  listener.set_timeout(patience);
  const Socket client = Socket::connect_to(v4(port));
  EXPECT_EQ(listener.accept().peer(), client.local());
}

TEST(Ports, one_that_was_listened_on_is_free) {
  std::uint16_t port = 0;
  {
    Listener listener(loopback());
    listener.set_timeout(patience);
    port = port_of(listener);
    Socket client = Socket::connect_to(v4(port));
    Socket server = listener.accept();
    server.shutdown_send();  // ends first: its end of the connection is in TIME_WAIT for a minute
    EXPECT_TRUE(client.recv().empty());
  }
  EXPECT_EQ(probe_port(Transport::tcp, v4(port)), PortState::free);
}

TEST(Ports, one_of_udp_is_held_even_by_a_socket_that_shares_it) {
  UdpSocket socket(loopback());
  EXPECT_EQ(probe_port(Transport::udp, v4(port_of(socket))), PortState::held);
  EXPECT_EQ(probe_port(Transport::udp, *Endpoint::from_ip("0.0.0.0", port_of(socket))), PortState::held);
}

TEST(Ports, an_address_that_is_not_ours_is_an_error) {
  EXPECT_EQ(kind_thrown([] { probe_port(Transport::tcp, *Endpoint::from_ip("192.0.2.1", 0)); }), ErrorKind::address);
}

TEST(Ports, holders_are_reported_with_process_and_user) {
  const Listener listener(loopback());
  const UdpSocket socket(loopback());
  char name[16] = {};
  ::prctl(PR_GET_NAME, name);
  const auto tcp = our_listener(Transport::tcp, listener.local().endpoint());
  const auto udp = our_listener(Transport::udp, socket.local().endpoint());
  ASSERT_TRUE(tcp);
  ASSERT_TRUE(udp);
  const std::vector<Process> us{{::getpid(), name}};
  EXPECT_EQ(tcp->processes, us);
  EXPECT_EQ(udp->processes, us);
  EXPECT_EQ(tcp->user, ::getuid());
  EXPECT_TRUE(std::ranges::any_of(
      listeners(), [&](const PortHolder& each) { return each.local == tcp->local && each.processes == us; }));
}

TEST(Ports, a_connection_holds_its_port_but_does_not_listen) {
  const ConnectedSockets pair = connected_sockets();
  const std::uint16_t port = port_of(pair.near);
  const auto holders = holders_of_ports({port, port});
  const auto found = std::ranges::find(holders, pair.near.local().endpoint(), &PortHolder::local);
  ASSERT_NE(found, holders.end());
  EXPECT_FALSE(found->listening);
  EXPECT_EQ(found->remote, pair.near.peer().endpoint());
}

}  // namespace ports_test
