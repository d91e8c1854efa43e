// How sockets and their descriptors are created, duplicated, released and closed.
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <type_traits>

#include "tests/support/blocking.hpp"

namespace creation_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

bool is_open(int native) { return ::fcntl(native, F_GETFD) >= 0; }

}  // namespace

TEST(Creation, cr01_a_socket_is_tcp_over_ipv4_by_default) {
  const Socket socket;
  EXPECT_EQ(socket.family(), Family::v4);
  EXPECT_EQ(socket.type(), SocketType::stream);
  EXPECT_EQ(socket.protocol(), IPPROTO_TCP);  // 0 was requested, which means TCP
}

TEST(Creation, cr02_a_new_descriptor_is_not_inherited) { EXPECT_FALSE(Socket().inheritable()); }

TEST(Creation, cr03_set_inheritable_changes_inheritable) {
  Socket socket;
  socket.set_inheritable(true);
  EXPECT_TRUE(socket.inheritable());
  EXPECT_EQ(::fcntl(socket.native(), F_GETFD) & FD_CLOEXEC, 0);
  socket.set_inheritable(false);
  EXPECT_FALSE(socket.inheritable());
}

TEST(Creation, cr04_accepted_copied_and_paired_sockets_are_not_inherited) {
  const ConnectedSockets pair = connected_sockets();
  EXPECT_FALSE(pair.far.inheritable());
  EXPECT_FALSE(pair.near.dup().inheritable());
  const SocketPair local;
  EXPECT_FALSE(local.near.inheritable());
  EXPECT_FALSE(local.far.inheritable());
}

TEST(Creation, cr05_non_blocking_can_be_asked_for_with_the_type) {
  const Socket socket(Family::v4, SocketType::stream | SocketType::non_blocking);
  EXPECT_FALSE(socket.blocking());
  EXPECT_NE(::fcntl(socket.native(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(socket.type(), SocketType::stream);
}

TEST(Creation, cr06_a_family_or_protocol_that_is_not_there_is_unsupported) {
  EXPECT_EQ(reason_of([] { const Socket socket(static_cast<Family>(45)); }), EAFNOSUPPORT);
  EXPECT_EQ(reason_of([] { const Socket socket(Family::v4, SocketType::stream, IPPROTO_UDP); }), EPROTONOSUPPORT);
  EXPECT_EQ(kind_thrown([] { const Socket socket(static_cast<Family>(45)); }), ErrorKind::unsupported);
}

TEST(Creation, cr07_a_socket_from_a_descriptor_knows_its_kind) {
  Socket original(Family::v6, SocketType::datagram);
  const Socket socket = Socket::adopt(original.detach());
  EXPECT_EQ(socket.family(), Family::v6);
  EXPECT_EQ(socket.type(), SocketType::datagram);
  EXPECT_EQ(socket.protocol(), IPPROTO_UDP);
  EXPECT_TRUE(socket.blocking());
  EXPECT_FALSE(Socket::adopt(Socket(Family::v4, SocketType::stream | SocketType::non_blocking).detach()).blocking());
}

TEST(Creation, cr08_a_descriptor_of_another_kind_is_not_adopted) {
  EXPECT_EQ(kind_thrown([] { const Socket socket = Socket::adopt(-1); }), ErrorKind::invalid);
  const int closed = Socket().native();
  EXPECT_EQ(reason_of([&] { const Socket socket = Socket::adopt(closed); }), EBADF);
  const std::unique_ptr<FILE, decltype(&std::fclose)> file(std::tmpfile(), &std::fclose);
  EXPECT_EQ(reason_of([&] { const Socket socket = Socket::adopt(::fileno(file.get())); }), ENOTSOCK);
  EXPECT_TRUE(is_open(::fileno(file.get()))) << "it stays the caller's";
}

TEST(Creation, cr09_close_may_be_called_again) {
  Socket socket;
  socket.close();
  socket.close();
  EXPECT_EQ(socket.native(), -1);
  EXPECT_TRUE(socket.is_closed());
}

TEST(Creation, cr10_a_closed_socket_can_do_nothing) {
  Socket socket;
  socket.close();
  EXPECT_EQ(reason_of([&] { socket.send("x"); }), EBADF);
  EXPECT_EQ(reason_of([&] { socket.recv(); }), EBADF);
  EXPECT_EQ(reason_of([&] { static_cast<void>(socket.local()); }), EBADF);
  EXPECT_EQ(reason_of([&] { socket.set_timeout(1s); }), EBADF);
}

TEST(Creation, cr11_detach_releases_the_descriptor_open) {
  Socket socket;
  const FileDescriptor taken(socket.detach());
  EXPECT_TRUE(socket.is_closed());
  EXPECT_TRUE(is_open(taken.native()));
}

TEST(Creation, cr12_a_copy_is_the_same_connection) {
  ConnectedSockets pair = connected_sockets();
  Socket copy = pair.near.dup();
  pair.near.close();
  copy.send("over the copy");
  EXPECT_EQ(pair.far.recv_exactly(13), "over the copy");
}

TEST(Creation, cr13_the_end_of_its_scope_closes_a_socket) {
  int native = -1;
  {
    const Socket socket;
    native = socket.native();
    EXPECT_TRUE(is_open(native));
  }
  EXPECT_FALSE(is_open(native));
  static_assert(!std::is_copy_constructible_v<Socket> && std::is_nothrow_move_constructible_v<Socket>);
}

TEST(Creation, cr14_a_pair_is_connected_both_ways_over_a_unix_stream) {
  SocketPair pair;
  EXPECT_EQ(pair.near.family(), Family::local);
  EXPECT_EQ(pair.near.type(), SocketType::stream);
  pair.near.send("there");
  pair.far.send("back");
  EXPECT_EQ(pair.far.recv_exactly(5), "there");
  EXPECT_EQ(pair.near.recv_exactly(4), "back");
}

TEST(Creation, a_moved_from_socket_is_closed_and_can_be_assigned_again) {
  ConnectedSockets pair = connected_sockets();
  pair.near.send("ab");
  EXPECT_EQ(pair.far.recv(1).text(), "a");
  Socket other = std::move(pair.far);
  EXPECT_EQ(other.recv(1).text(), "b");
  pair.far = Socket::connect_to(listener_on_loopback().local());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(other.peer(), pair.near.local());
}

TEST(Creation, multipath_tcp_is_a_protocol_where_the_kernel_has_it) {
  constexpr int mptcp = 262;
  try {
    const Socket socket(Family::v4, SocketType::stream, mptcp);
    EXPECT_EQ(socket.protocol(), mptcp);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported) << error.what();
  }
}

}  // namespace creation_test
