// Blocking, non-blocking, and with a timeout.
#include <fcntl.h>

#include <system_error>

#include "tests/support/blocking.hpp"

namespace timeout_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

TEST(Timeouts, ti01_none_blocks_zero_does_not_and_else_it_is_a_limit) {
  Socket socket;
  EXPECT_EQ(socket.timeout(), std::nullopt);
  EXPECT_TRUE(socket.blocking());
  socket.set_timeout(Duration::zero());
  EXPECT_FALSE(socket.blocking());
  socket.set_timeout(3s);
  EXPECT_TRUE(socket.blocking());
  EXPECT_EQ(socket.timeout(), Duration(3s));
  socket.set_timeout(std::nullopt);
  EXPECT_TRUE(socket.blocking());
}

TEST(Timeouts, ti02_set_blocking_is_a_timeout_of_none_or_zero) {
  Socket socket;
  socket.set_blocking(false);
  EXPECT_EQ(socket.timeout(), Duration::zero());
  socket.set_blocking(true);
  EXPECT_EQ(socket.timeout(), std::nullopt);
}

TEST(Timeouts, ti03_a_negative_timeout_is_invalid) {
  Socket socket;
  EXPECT_EQ(kind_thrown([&] { socket.set_timeout(-1s); }), ErrorKind::invalid);
  EXPECT_EQ(kind_thrown([] { Socket::set_default_timeout(-1s); }), ErrorKind::invalid);
  EXPECT_EQ(socket.timeout(), std::nullopt);
}

TEST(Timeouts, ti04_with_a_timeout_the_descriptor_is_non_blocking) {
  Socket socket;
  const auto non_blocking = [&] { return (::fcntl(socket.native(), F_GETFL) & O_NONBLOCK) != 0; };
  EXPECT_FALSE(non_blocking());
  socket.set_timeout(3s);
  EXPECT_TRUE(non_blocking());
  socket.set_timeout(std::nullopt);
  EXPECT_FALSE(non_blocking());
}

TEST(Timeouts, ti05_the_default_is_for_sockets_that_are_made_afterwards) {
  const Socket older;
  Socket::set_default_timeout(4s);
  const Socket newer;
  const SocketPair pair;
  EXPECT_EQ(Socket::default_timeout(), Duration(4s));
  Socket::set_default_timeout(std::nullopt);
  EXPECT_EQ(older.timeout(), std::nullopt);
  EXPECT_EQ(newer.timeout(), Duration(4s));
  EXPECT_EQ(pair.far.timeout(), Duration(4s));
  EXPECT_EQ(Socket().timeout(), std::nullopt);
}

TEST(Timeouts, ti06_a_timeout_is_an_error_of_the_system_too) {
  ConnectedSockets pair = connected_sockets();
  pair.far.set_timeout(1ms);
  try {
    pair.far.recv();
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::timed_out);
  }
}

TEST(Timeouts, ti07_recv_times_out_although_others_receive) {
  ConnectedSockets idle = connected_sockets();
  ConnectedSockets busy = connected_sockets();
  idle.far.set_timeout(20ms);
  busy.near.send("trickle");
  const TimePoint start = Clock::now();
  EXPECT_EQ(kind_thrown([&] { idle.far.recv(); }), ErrorKind::timed_out);
  EXPECT_GE(Clock::now() - start, 20ms);
  EXPECT_EQ(busy.far.recv_exactly(7), "trickle");
}

TEST(Timeouts, ti08_the_smallest_timeout_is_still_one) {
  ConnectedSockets pair = connected_sockets();
  pair.far.set_timeout(1ns);
  EXPECT_TRUE(pair.far.blocking());
  EXPECT_EQ(kind_thrown([&] { pair.far.recv(); }), ErrorKind::timed_out);
}

TEST(Timeouts, the_largest_timeout_is_no_limit) {
  ConnectedSockets pair = connected_sockets();
  pair.far.set_timeout(Duration::max());
  pair.near.send("x");
  EXPECT_EQ(pair.far.recv().text(), "x");
}

}  // namespace timeout_test
