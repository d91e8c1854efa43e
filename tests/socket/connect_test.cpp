// Connecting: to a listener, a closed port and a silent host; and again.
#include <sys/socket.h>

#include "tests/support/blocking.hpp"
#include "tests/support/sockets.hpp"

namespace connect_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// Connects until the backlog of a listener that never accepts is full; returns the result of the last connect.
int fill(const Address& to, std::vector<Socket>& waiting, Duration timeout) {
  for (int times = 0; times < 16; ++times) {
    Socket socket;
    socket.set_timeout(timeout);
    if (const auto failure = socket.try_connect(to)) return failure.value();
    waiting.push_back(std::move(socket));
  }
  return 0;
}

}  // namespace

TEST(Connect, co01_to_a_closed_port_is_refused) {
  Socket socket;
  const Address refusing = closed_port();
  EXPECT_EQ(kind_thrown([&] { socket.connect(refusing); }), ErrorKind::refused);
  EXPECT_EQ(said([&] { Socket::connect_to(refusing.to_string()); }),
            "connect to " + refusing.to_string() + ": Connection refused");
}

TEST(Connect, co02_try_connect_returns_an_error_code) {
  const Listener listener = listener_on_loopback();
  EXPECT_EQ(Socket().try_connect(closed_port()), std::errc::connection_refused);
  EXPECT_EQ(Socket().try_connect(listener.local()), std::error_code());
}

TEST(Connect, co03_try_connect_throws_for_an_unknown_name) {
  Socket socket;
  EXPECT_THROW(static_cast<void>(socket.try_connect("no-such-name.invalid:80")), ResolveError);
}

TEST(Connect, co04_non_blocking_connect_completes_when_writable) {
  const Listener listener = listener_on_loopback();
  Socket socket;
  socket.set_blocking(false);
  EXPECT_EQ(reason_of([&] { socket.connect(listener.local()); }), EINPROGRESS);
  EXPECT_EQ(kind_of(EINPROGRESS), ErrorKind::would_block);
  EXPECT_EQ(wait_for(socket, Events::writable, patience), Events::writable);
  EXPECT_EQ(socket.get(options::error), 0);
  EXPECT_EQ(socket.peer(), listener.local());
}

TEST(Connect, co05_the_error_of_a_pending_connect_is_reported_once) {
  Socket socket;
  socket.set_blocking(false);
  static_cast<void>(socket.try_connect(closed_port()));
  EXPECT_TRUE(has(wait_for(socket, Events::writable, patience), Events::writable));
  EXPECT_EQ(socket.get(options::error), ECONNREFUSED);
  EXPECT_EQ(socket.get(options::error), 0);
}

TEST(Connect, co06_a_connected_socket_is_connected) {
  ConnectedSockets pair = connected_sockets();
  EXPECT_EQ(reason_of([&] { pair.near.connect(pair.far.local()); }), EISCONN);
}

TEST(Connect, co07_the_time_limit_ends_an_unanswered_connect) {
  const Listener listener(loopback(), {.backlog = 0});
  std::vector<Socket> waiting;
  EXPECT_EQ(fill(listener.local(), waiting, 50ms), ETIMEDOUT);
  Socket socket;
  socket.set_timeout(10ms);
  EXPECT_EQ(kind_thrown([&] { socket.connect(listener.local()); }), ErrorKind::timed_out);
}

TEST(Connect, co07_the_time_limit_also_holds_for_unix_sockets) {
  Listener listener(UnixName::abstract("coax-test-" + std::to_string(::getpid())), {.backlog = 0});
  std::vector<Socket> waiting;
  int reason = 0;
  for (int times = 0; times < 16 && reason == 0; ++times) {
    Socket& socket = waiting.emplace_back(Family::local);
    socket.set_timeout(20ms);
    reason = socket.try_connect(listener.local()).value();
    if (reason != 0) {
      EXPECT_EQ(socket.timeout(), 20ms) << "the limit stays as it was";
    }
  }
  EXPECT_EQ(reason, ETIMEDOUT);
}

TEST(Connect, co08_of_a_datagram_socket_fixes_the_peer) {
  Socket near(Family::v4, SocketType::datagram);
  Socket peer(Family::v4, SocketType::datagram);
  Socket stranger(Family::v4, SocketType::datagram);
  for (Socket* socket : {&near, &peer, &stranger}) socket->bind(loopback());
  near.connect(peer.local());
  near.send("to the peer");
  EXPECT_EQ(peer.recv_from().bytes.text(), "to the peer");
  stranger.send_to("unheard", near.local());
  peer.send_to("heard", near.local());
  near.set_timeout(patience);
  EXPECT_EQ(near.recv().text(), "heard");
  EXPECT_EQ(kind_thrown([&] { near.recv(1, flags::dont_wait); }), ErrorKind::would_block);
}

TEST(Connect, co09_a_connected_datagram_socket_reports_no_receiver) {
  Socket probe(Family::v4, SocketType::datagram);
  probe.bind(loopback());
  const Address refusing = probe.local();
  probe.close();
  Socket socket(Family::v4, SocketType::datagram);
  socket.set_timeout(patience);
  socket.connect(refusing);
  socket.send("anybody?");
  EXPECT_EQ(kind_thrown([&] { socket.recv(); }), ErrorKind::refused);
}

TEST(Connect, co10_a_datagram_socket_may_connect_to_another_peer) {
  Socket first(Family::v4, SocketType::datagram);
  Socket second(Family::v4, SocketType::datagram);
  Socket socket(Family::v4, SocketType::datagram);
  for (Socket* peer : {&first, &second}) {
    peer->bind(loopback());
    peer->set_timeout(patience);
    socket.connect(peer->local());
    EXPECT_EQ(socket.peer(), peer->local());
    socket.send("hello");
    EXPECT_EQ(peer->recv().text(), "hello");
  }
}

}  // namespace connect_test
