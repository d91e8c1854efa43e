// TCP streams on the kernel only: named peers, and errors that the kernel reports.
#include "coax/stream/socket_stream.hpp"

#include <gtest/gtest.h>

#include <array>

#include "tests/support/run.hpp"
#include "tests/support/sockets.hpp"

namespace socket_stream_test {

using namespace coax;
using namespace coax::test;

namespace {

using TcpOfTheKernel = OnKernel;

}  // namespace

TEST_F(TcpOfTheKernel, errors_name_the_peer_although_the_kernel_has_forgotten_it) {
  run([]() -> Task<> {
    NativePair pair = native_tcp_pair();
    const std::string peer = local_of(pair.far).to_string();
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    EXPECT_EQ(stream->peer_name(), peer);
    pair.far.reset_on_close();
    pair.far.close();
    EXPECT_EQ(co_await text_of_error(stream->recv()), "recv from " + peer + ": Connection reset by peer");
    EXPECT_EQ(co_await text_of_error(stream->shutdown_send()), "send to " + peer + ": Broken pipe");
    stream->close();
    EXPECT_EQ(co_await text_of_error(stream->recv()), "recv from " + peer + ": Bad file descriptor");
  });
}

TEST_F(TcpOfTheKernel, bytes_before_a_reset_can_still_be_read) {
  run([]() -> Task<> {
    NativePair pair = native_tcp_pair();
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    ::send(pair.far.get(), "last words", 10, MSG_NOSIGNAL);
    pair.far.reset_on_close();
    pair.far.close();
    EXPECT_EQ(co_await stream->recv_exactly(10), "last words");
    EXPECT_EQ(co_await outcome(stream->recv()), "disconnected");
  });
}

TEST_F(TcpOfTheKernel, sends_without_delay) {
  run([]() -> Task<> {
    SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    const auto near = co_await connect(std::vector{listener.local()});
    const auto accepted = co_await listener.accept();
    int no_delay = 0;
    socklen_t length = sizeof no_delay;
    getsockopt(accepted.native, IPPROTO_TCP, 1 /* TCP_NODELAY */, &no_delay, &length);
    EXPECT_NE(no_delay, 0);
    const auto far = SocketStream::adopt(accepted.native);
    EXPECT_EQ(near->local(), far->peer());
    EXPECT_EQ(near->peer(), far->local());
  });
}

// A socket is writable again only when a third of its send buffer is free: bytes that the peer reads before count, too.
TEST_F(TcpOfTheKernel, a_peer_that_reads_slowly_has_not_stalled) {
  run([]() -> Task<> {
    NativePair pair = native_tcp_pair();
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    const std::string much(64 * 1024 * 1024, 'x');
    bool begins_again = false;
    const auto read_slowly = [&]() -> Task<> {
      co_await until([&] { return stream->send_stalled() > Duration::zero(); });
      std::array<char, 4096> piece{};
      TimePoint accepted = stream->last_active();
      Duration stalled = stream->send_stalled();
      co_await until([&] {  // the stall begins again although the kernel has accepted nothing
        ::recv(pair.far.get(), piece.data(), piece.size(), MSG_DONTWAIT);
        begins_again = stream->send_stalled() < stalled && stream->last_active() == accepted;
        stalled = stream->send_stalled();
        accepted = stream->last_active();
        return begins_again;
      });
    };
    co_await race(outcome(stream->send(much)), read_slowly());
    EXPECT_TRUE(begins_again);
  });
}

TEST_F(TcpOfTheKernel, takes_over_only_what_is_a_descriptor) {
  run([]() -> Task<> {
    EXPECT_THROW(SocketStream::adopt(-1), Error);
    const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const std::size_t before = open_descriptors();
    EXPECT_THROW(SocketStream::adopt(file), Error);
    EXPECT_EQ(open_descriptors(), before - 1) << "it owned it all the same";
    co_return;
  });
}

// A handler may end while its small sends are still queued.
TEST_F(TcpOfTheKernel, sends_what_is_queued_when_it_is_destroyed) {
  run([]() -> Task<> {
    for (int times = 0; times < 10; ++times) {
      NativePair pair = native_tcp_pair();
      {
        const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
        co_await stream->send("queued");
      }
      std::array<char, 10> buffer{};
      EXPECT_EQ(::recv(pair.far.get(), buffer.data(), buffer.size(), 0), 6);
      EXPECT_EQ(::recv(pair.far.get(), buffer.data(), buffer.size(), 0), 0);
    }
  });
}

// The bytes sent in this turn that the peer has: now, and when the turn has ended.
struct Sent {
  ssize_t at_once;
  ssize_t at_the_end;
  friend bool operator==(const Sent&, const Sent&) = default;
};

Task<Sent> send_in_one_turn(Stream& stream, const Native& peer, std::vector<std::string_view> words) {
  std::array<char, 100> buffer{};
  for (const std::string_view word : words) co_await stream.send(word);
  const ssize_t at_once = ::recv(peer.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  for (int turn = 0; turn < 2; ++turn) co_await next_turn();
  co_return Sent{at_once, ::recv(peer.get(), buffer.data(), buffer.size(), MSG_DONTWAIT)};
}

TEST_F(TcpOfTheKernel, a_single_send_is_sent_at_once_several_together) {
  if (std::string_view(make_backend()->name()) != "epoll") GTEST_SKIP() << "io_uring sends when a turn ends";
  run([]() -> Task<> {
    NativePair pair = native_tcp_pair();
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    const auto send = [&](std::vector<std::string_view> words) { return send_in_one_turn(*stream, pair.far, words); };
    EXPECT_EQ(co_await send({"alone"}), (Sent{5, -1}));
    EXPECT_EQ(co_await send({"three ", "little ", "words"}), (Sent{6, 12})) << "that it is one of several shows later";
    EXPECT_EQ(co_await send({"three ", "little ", "words"}), (Sent{-1, 18})) << "they were several before";
    for (int turn = 0; turn < 16; ++turn) EXPECT_EQ(co_await send({"alone"}), (Sent{-1, 5}));
    EXPECT_EQ(co_await send({"alone"}), (Sent{5, -1})) << "it has been the only one for long";
  });
}

}  // namespace socket_stream_test
