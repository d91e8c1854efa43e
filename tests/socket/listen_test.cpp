// Listening and accepting.
#include "tests/support/blocking.hpp"

namespace listen_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

TEST(Listen, li01_the_backlog_may_be_left_out_zero_or_negative) {
  for (const int backlog : {0, -7}) {
    Socket socket;
    socket.bind(loopback());
    socket.listen(backlog);
    EXPECT_EQ(Socket().try_connect(socket.local()), std::error_code());
  }
  Socket socket;
  socket.bind(loopback());
  socket.listen();
  EXPECT_TRUE(socket.get(options::is_listening));
}

TEST(Listen, li02_an_accepted_socket_knows_its_peer) {
  Listener listener = listener_on_loopback();
  const Socket client = Socket::connect_to(listener.local());
  const Socket peer = listener.accept();
  EXPECT_EQ(peer.peer(), client.local());
  EXPECT_EQ(peer.local(), listener.local());
}

TEST(Listen, li03_without_a_client_accept_would_block) {
  Listener listener = listener_on_loopback();
  listener.set_blocking(false);
  EXPECT_EQ(reason_of([&] { static_cast<void>(listener.accept()); }), EAGAIN);
  EXPECT_EQ(kind_thrown([&] { static_cast<void>(listener.accept()); }), ErrorKind::would_block);
}

TEST(Listen, li04_accept_needs_a_listening_socket) {
  EXPECT_EQ(reason_of([] { static_cast<void>(Socket().accept()); }), EINVAL);
}

TEST(Listen, li05_recv_on_a_listener_says_what_is_wrong) {
  Listener listener = listener_on_loopback();
  EXPECT_EQ(reason_of([&] { listener.recv(); }), ENOTCONN);
  EXPECT_NE(said([&] { listener.recv(); }).find("this socket listens: receive on the socket that accept() returns"),
            std::string::npos);
}

TEST(Listen, li06_an_accepted_socket_has_the_default_timeout) {
  Listener listener = listener_on_loopback();
  const Socket first = Socket::connect_to(listener.local());
  EXPECT_TRUE(listener.timeout().has_value());
  EXPECT_EQ(listener.accept().timeout(), std::nullopt);
  const Socket second = Socket::connect_to(listener.local());
  Socket::set_default_timeout(7s);
  const Socket peer = listener.accept();
  Socket::set_default_timeout(std::nullopt);
  EXPECT_EQ(peer.timeout(), Duration(7s));
}

TEST(Listen, li07_the_time_limit_ends_accept) {
  Listener listener = listener_on_loopback();
  listener.set_timeout(10ms);
  const TimePoint start = Clock::now();
  EXPECT_EQ(kind_thrown([&] { static_cast<void>(listener.accept()); }), ErrorKind::timed_out);
  EXPECT_GE(Clock::now() - start, 10ms);
}

TEST(Listen, li08_a_client_that_resets_before_accept_harms_no_other) {
  Listener listener = listener_on_loopback();
  Socket hasty = Socket::connect_to(listener.local());
  hasty.set(options::linger{.time = 0s});
  hasty.close();
  const Socket client = Socket::connect_to(listener.local());
  Socket first = listener.accept();
  EXPECT_EQ(reason_of([&] { first.recv(); }), ECONNRESET);
  EXPECT_EQ(listener.accept().peer(), client.local());
}

}  // namespace listen_test
