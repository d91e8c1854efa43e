// Options, typed and raw.
#include "coax/net/options.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "tests/support/blocking.hpp"

namespace options_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

TEST(Options, op01_flags_are_read_as_they_were_set) {
  Socket tcp;
  for (const options::Flag& option : {options::reuse_address, options::keep_alive_on, options::no_delay,
                                      options::reuse_port, options::out_of_band_inline}) {
    EXPECT_FALSE(tcp.get(option)) << option.name;
    tcp.set(option, true);
    EXPECT_TRUE(tcp.get(option)) << option.name;
    tcp.set(option, false);
    EXPECT_FALSE(tcp.get(option)) << option.name;
  }
  Socket udp(Family::v4, SocketType::datagram);
  udp.set(options::broadcast, true);
  EXPECT_TRUE(udp.get(options::broadcast));
}

TEST(Options, op02_the_kernel_doubles_buffer_sizes) {
  Socket socket;
  socket.set(options::receive_buffer, 32_KiB);
  socket.set(options::send_buffer, 16_KiB);
  EXPECT_EQ(socket.get(options::receive_buffer), 64_KiB);
  EXPECT_EQ(socket.get(options::send_buffer), 32_KiB);
}

TEST(Options, op03_a_structure_goes_as_bytes) {
  Socket socket;
  const ::linger value{.l_onoff = 1, .l_linger = 5};
  socket.set_option(SOL_SOCKET, SO_LINGER, std::as_bytes(std::span(&value, 1)));
  const std::string bytes = socket.get_option(SOL_SOCKET, SO_LINGER, sizeof value);
  ASSERT_EQ(bytes.size(), sizeof value);
  EXPECT_EQ(std::memcmp(bytes.data(), &value, sizeof value), 0);
  EXPECT_EQ(socket.get_linger().time, Duration(5s));
  EXPECT_EQ(socket.get_option(SOL_SOCKET, SO_LINGER, 4).size(), 4U) << "no more than was asked for";
}

TEST(Options, op04_no_value_is_no_pointer_which_most_options_refuse) {
  Socket socket;
  EXPECT_EQ(reason_of([&] { socket.set_option(SOL_SOCKET, SO_REUSEADDR, BytesView()); }), EINVAL);
  const BytesView null_of_an_int(static_cast<const char*>(nullptr), sizeof(int));
  EXPECT_EQ(reason_of([&] { socket.set_option(SOL_SOCKET, SO_REUSEADDR, null_of_an_int); }), EFAULT);
}

TEST(Options, op05_an_unknown_option_is_unsupported) {
  Socket socket;
  EXPECT_EQ(reason_of([&] { socket.set(options::Number{{SOL_SOCKET, 9999}}, 1); }), ENOPROTOOPT);
  EXPECT_EQ(kind_thrown([&] { static_cast<void>(socket.get_option(SOL_SOCKET, 9999, 4)); }), ErrorKind::unsupported);
}

TEST(Options, op06_the_periods_of_keep_alive_are_read_as_they_were_set) {
  Socket socket;
  socket.set(options::keep_alive{.idle = 60s, .interval = 10s, .count = 5});
  const options::keep_alive now = socket.get_keep_alive();
  EXPECT_TRUE(now.on);
  EXPECT_EQ(now.idle, Duration(60s));
  EXPECT_EQ(now.interval, Duration(10s));
  EXPECT_EQ(now.count, 5);
  socket.set(options::user_timeout, 1500ms);
  EXPECT_EQ(socket.get(options::user_timeout), 1500ms);
  socket.set(options::keep_alive_idle, 1500ms);
  EXPECT_EQ(socket.get(options::keep_alive_idle), 2s) << "rounded up to what the kernel counts in";
}

TEST(Options, op07_what_a_socket_is_can_be_read) {
  const Socket udp(Family::v6, SocketType::datagram);
  EXPECT_EQ(udp.get(options::type), SOCK_DGRAM);
  EXPECT_EQ(udp.get(options::family), AF_INET6);
  EXPECT_EQ(udp.get(options::protocol), IPPROTO_UDP);
  EXPECT_FALSE(Socket().get(options::is_listening));
  EXPECT_TRUE(listener_on_loopback().get(options::is_listening));
}

TEST(Options, op08_the_options_of_tcp_on_linux_are_there) {
  Socket socket;
  socket.set(options::defer_accept, 3s);
  socket.set(options::quick_ack, true);
  socket.set(options::cork, true);
  EXPECT_TRUE(socket.get(options::cork));
  socket.set(options::not_sent_low_water, 4096);
  EXPECT_EQ(socket.get(options::not_sent_low_water), 4096);
  socket.set(options::fast_open_connect, true);
  EXPECT_TRUE(socket.get(options::fast_open_connect));
  const std::string now = socket.get(options::congestion);
  EXPECT_FALSE(now.empty());
  socket.set(options::congestion, now);
  socket.bind(loopback());
  socket.set(options::fast_open, 5);
  EXPECT_EQ(socket.get(options::fast_open), 5);
}

TEST(Options, op09_the_options_of_ip_are_read_as_they_were_set) {
  Socket v4(Family::v4, SocketType::datagram);
  v4.set(options::ttl, 7);
  v4.set(options::multicast_ttl, 3);
  v4.set(options::multicast_loop, false);
  EXPECT_EQ(v4.get(options::ttl), 7);
  EXPECT_EQ(v4.get(options::multicast_ttl), 3);
  EXPECT_FALSE(v4.get(options::multicast_loop));
  Socket v6(Family::v6);
  v6.set(options::v6_only, true);
  v6.set(options::v6_hops, 9);
  EXPECT_TRUE(v6.get(options::v6_only));
  EXPECT_EQ(v6.get(options::v6_hops), 9);
}

}  // namespace options_test
