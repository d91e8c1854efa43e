// Sending and receiving over a stream: available bytes, all bytes, and a peer that has closed.
#include <pthread.h>
#include <sys/uio.h>

#include <array>
#include <atomic>
#include <csignal>
#include <thread>

#include "coax/socket/ancillary.hpp"
#include "tests/support/blocking.hpp"

namespace transfer_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// Until the far end has at least that many bytes to read.
void wait_for_bytes(Socket& socket, std::size_t count) {
  std::string buffer(count, '\0');
  ASSERT_EQ(socket.timeout().has_value(), true);
  for (int times = 0; times < 100'000; ++times) {
    static_cast<void>(wait_for(socket, Events::readable, patience));
    if (socket.recv(std::span(buffer), flags::peek) == count) return;
  }
  FAIL() << "they did not come";
}

// With small buffers, so that sends are partial.
ConnectedSockets narrow_pair() {
  ConnectedSockets pair = connected_sockets();
  pair.near.set(options::send_buffer, 32_KiB);
  return pair;
}

// Sends until the peer's reset has arrived.
Error send_until_it_fails(Socket& socket) {
  for (int times = 0; times < 100'000; ++times) {
    try {
      socket.send("is anybody there?");
    } catch (const Error& error) {
      return error;
    }
  }
  return {ErrorKind::other, "send to", "", "it never failed"};
}

}  // namespace

TEST(Transfer, sr01_recv_returns_available_bytes_and_leaves_the_rest) {
  ConnectedSockets pair = connected_sockets();
  pair.near.send("abcdef");
  wait_for_bytes(pair.far, 6);
  EXPECT_EQ(pair.far.recv(4).text(), "abcd");
  EXPECT_EQ(pair.far.recv(4).text(), "ef");
}

TEST(Transfer, sr02_recv_returns_the_end_at_every_call) {
  ConnectedSockets pair = connected_sockets();
  pair.near.close();
  for (int times = 0; times < 3; ++times) EXPECT_TRUE(pair.far.recv().empty());
}

TEST(Transfer, sr03_recv_into_an_empty_buffer_returns_0) {
  ConnectedSockets pair = connected_sockets();
  EXPECT_TRUE(pair.far.recv(0).empty()) << "at once, although nothing has come";
  pair.near.send("x");
  EXPECT_TRUE(pair.far.recv(0).empty());
  EXPECT_EQ(pair.far.recv().text(), "x");
  EXPECT_EQ(kind_thrown([&] { pair.far.recv(static_cast<std::size_t>(-1)); }), ErrorKind::invalid);
}

TEST(Transfer, sr04_send_sends_all) {
  ConnectedSockets pair = narrow_pair();
  const std::string much(1_MiB, 'm');
  std::string got;
  {
    const std::jthread reader([&] {
      while (const BytesView bytes = pair.far.recv()) got += bytes.text();
    });
    pair.near.send(much);
    pair.near.shutdown_send();
  }
  EXPECT_TRUE(got == much);
}

TEST(Transfer, sr05_non_blocking_send_some_is_partial_then_would_block) {
  ConnectedSockets pair = narrow_pair();
  pair.near.set_blocking(false);
  const std::string much(16_MiB, 'm');
  EXPECT_LT(pair.near.send_some(much), much.size());
  EXPECT_EQ(kind_thrown([&] {
              for (int times = 0; times < 10'000; ++times) pair.near.send_some(much);
            }),
            ErrorKind::would_block);
}

TEST(Transfer, sr06_the_time_limit_of_send_is_for_the_whole_call) {
  ConnectedSockets pair = narrow_pair();
  pair.near.set_timeout(50ms);
  // The peer continues to read, so that no single wait is long; it needs a millisecond for each piece.
  const std::jthread reader([&] {
    while (pair.far.recv(256_KiB)) static_cast<void>(wait_for(pair.far, Events::none, 1ms));
  });
  const std::string much(64_MiB, 'm');
  EXPECT_EQ(kind_thrown([&] { pair.near.send(much); }), ErrorKind::timed_out);
  pair.near.close();
}

TEST(Transfer, sr06_a_peer_that_does_not_read_at_all_ends_it_too) {
  ConnectedSockets pair = narrow_pair();
  pair.near.set_timeout(10ms);
  const std::string much(64_MiB, 'm');
  EXPECT_EQ(kind_thrown([&] { pair.near.send(much); }), ErrorKind::timed_out);
}

TEST(Transfer, sr07_sending_to_a_closed_peer_is_no_signal) {
  ConnectedSockets pair = connected_sockets();
  const std::string peer = pair.near.peer().to_string();
  pair.far.close();
  const Error error = send_until_it_fails(pair.near);
  EXPECT_EQ(error.kind(), ErrorKind::disconnected) << error.what();
  EXPECT_EQ(error.peer(), peer) << "although the kernel has forgotten it";
}

TEST(Transfer, sr08_recv_after_a_reset_says_so) {
  ConnectedSockets pair = connected_sockets();
  pair.near.set(options::linger{.time = 0s});
  pair.near.close();
  EXPECT_EQ(reason_of([&] { pair.far.recv(); }), ECONNRESET);
  EXPECT_TRUE(pair.far.recv().empty()) << "the kernel tells it once";
}

TEST(Transfer, sr09_closing_with_unread_bytes_resets) {
  ConnectedSockets pair = connected_sockets();
  pair.far.send("unread");
  wait_for_bytes(pair.near, 6);
  pair.near.close();
  EXPECT_EQ(reason_of([&] { pair.far.recv(); }), ECONNRESET);
}

TEST(Transfer, sr10_an_unconnected_socket_neither_sends_nor_receives) {
  Socket socket;
  EXPECT_EQ(reason_of([&] { socket.send("x"); }), EPIPE);
  EXPECT_EQ(reason_of([&] { socket.recv(); }), ENOTCONN);
  EXPECT_EQ(said([&] { socket.recv(); }), "recv from: Transport endpoint is not connected; connect() first");
}

TEST(Transfer, sr11_recv_fills_the_buffer_of_the_caller) {
  ConnectedSockets pair = connected_sockets();
  pair.near.send("abc");
  wait_for_bytes(pair.far, 3);
  std::array<char, 8> buffer{};
  EXPECT_EQ(pair.far.recv(std::span(buffer)), 3U);
  EXPECT_EQ(std::string_view(buffer.data(), 3), "abc");
}

// A request for more than the buffer holds is impossible: a span has its size.
TEST(Transfer, sr12_a_part_of_the_buffer_is_a_smaller_span) {
  ConnectedSockets pair = connected_sockets();
  pair.near.send("abc");
  wait_for_bytes(pair.far, 3);
  std::array<char, 8> buffer{};
  EXPECT_EQ(pair.far.recv(std::span(buffer).first(2)), 2U);
  EXPECT_EQ(buffer[2], '\0');
}

TEST(Transfer, sr13_recv_from_into_a_buffer_returns_the_sender) {
  Socket near(Family::v4, SocketType::datagram);
  Socket far(Family::v4, SocketType::datagram);
  near.bind(loopback());
  far.bind(loopback());
  far.set_timeout(patience);
  near.send_to("abc", far.local());
  std::array<char, 8> buffer{};
  const Datagram datagram = far.recv_from(std::span(buffer));
  EXPECT_EQ(datagram.bytes.data(), buffer.data());
  EXPECT_EQ(datagram.bytes.text(), "abc");
  EXPECT_EQ(datagram.from, near.local());
}

TEST(Transfer, sr14_peek_leaves_the_bytes) {
  ConnectedSockets pair = connected_sockets();
  pair.near.send("x");
  EXPECT_EQ(pair.far.recv(1, flags::peek).text(), "x");
  EXPECT_EQ(pair.far.recv(1).text(), "x");
}

TEST(Transfer, sr15_dont_wait_does_not_wait_on_a_blocking_socket) {
  ConnectedSockets pair = connected_sockets();
  EXPECT_EQ(kind_thrown([&] { pair.far.recv(1, flags::dont_wait); }), ErrorKind::would_block) << "it has a time limit";
  pair.far.set_blocking(true);
  EXPECT_EQ(kind_thrown([&] { pair.far.recv(1, flags::dont_wait); }), ErrorKind::would_block);
}

TEST(Transfer, sr16_wait_all_waits_for_all_or_the_end) {
  ConnectedSockets pair = connected_sockets();
  pair.far.set_blocking(true);
  const std::jthread writer([&] {
    pair.near.send("abc");
    wait_for_bytes(pair.near, 1);  // the other has received nothing before it had all bytes: checked below
    pair.near.send("def");
    pair.near.send("gh");
    pair.near.shutdown_send();
  });
  pair.far.send("?");
  EXPECT_EQ(pair.far.recv(6, flags::wait_all).text(), "abcdef");
  EXPECT_EQ(pair.far.recv(6, flags::wait_all).text(), "gh");
}

TEST(Transfer, sr17_the_urgent_byte_is_exceptional_and_read_apart) {
  ConnectedSockets pair = connected_sockets();
  pair.near.send("abc");
  pair.near.send("!", flags::out_of_band);
  const Selected selected = coax::select({}, {}, {&pair.far}, patience);
  EXPECT_EQ(selected.exceptional, std::vector<Socket*>{&pair.far});
  EXPECT_EQ(pair.far.recv(1, flags::out_of_band).text(), "!");
  EXPECT_EQ(pair.far.recv().text(), "abc");
}

TEST(Transfer, sr18_several_buffers_are_gathered_and_scattered) {
  ConnectedSockets pair = connected_sockets();
  const std::array<BytesView, 4> pieces{"ab", "", "cde", "f"};
  pair.near.send(pieces);
  wait_for_bytes(pair.far, 6);
  std::array<char, 1> first{};
  std::array<char, 9> second{};
  const std::array<std::span<char>, 2> into{first, second};
  EXPECT_EQ(recv_message(pair.far, into).bytes, 6U);
  EXPECT_EQ(first[0], 'a');
  EXPECT_EQ(std::string_view(second.data(), 5), "bcdef");
}

TEST(Transfer, sr18_more_buffers_than_iov_max_are_sent_in_order) {
  ConnectedSockets pair = connected_sockets();
  std::string all;
  for (int number = 0; number < 5000; ++number) all += std::to_string(number);
  std::vector<BytesView> pieces;
  for (const char& digit : all) pieces.emplace_back(&digit, 1);
  const std::jthread writer([&] { pair.near.send(pieces); });
  EXPECT_EQ(pair.far.recv_exactly(all.size()), all);
}

TEST(Transfer, sr19_a_message_has_bytes_ancillary_data_flags_and_an_address) {
  SocketPair pair(SocketType::datagram);
  pair.near.set(options::pass_credentials, true);
  pair.far.send("abcd");
  std::array<char, 3> buffer{};
  const std::array<std::span<char>, 1> into{buffer};
  const ReceivedMessage message = recv_message(pair.near, into, 128);
  EXPECT_EQ(std::string_view(buffer.data(), 3), "abc");
  EXPECT_TRUE(message.truncated);
  ASSERT_TRUE(message.credentials.has_value());
  EXPECT_EQ(message.credentials->pid, ::getpid());
  EXPECT_EQ(message.from, Address()) << "it has no name";
}

namespace {

std::atomic<int> signals_handled = 0;

// During its lifetime, SIGUSR1 interrupts system calls.
class Interrupting {
 public:
  Interrupting() {
    struct sigaction action{};
    action.sa_handler = [](int) { ++signals_handled; };
    sigaction(SIGUSR1, &action, &before_);
    signals_handled = 0;
  }
  Interrupting(const Interrupting&) = delete;
  Interrupting& operator=(const Interrupting&) = delete;
  ~Interrupting() { sigaction(SIGUSR1, &before_, nullptr); }

 private:
  struct sigaction before_{};
};

}  // namespace

TEST(Transfer, sr20_a_signal_does_not_end_a_call) {
  const Interrupting interrupting;
  for (const std::optional<Duration> timeout : {std::optional<Duration>(patience), std::optional<Duration>()}) {
    ConnectedSockets pair = connected_sockets();
    pair.far.set_timeout(timeout);
    std::string got;
    std::atomic<bool> started = false;
    std::atomic<bool> over = false;
    std::jthread reader([&] {
      started = true;
      got = reason_of([&] { got = pair.far.recv().text(); }) == 0 ? got : "failed";
      over = true;
    });
    while (!started) std::this_thread::yield();
    const int wanted = signals_handled + 100;
    while (signals_handled < wanted && !over) {
      ASSERT_EQ(pthread_kill(reader.native_handle(), SIGUSR1), 0);
      std::this_thread::yield();
    }
    pair.near.send("x");
    reader.join();
    EXPECT_EQ(got, "x");
  }
}

TEST(Transfer, sr20_a_signal_does_not_restart_the_time_limit) {
  const Interrupting interrupting;
  ConnectedSockets pair = connected_sockets();
  pair.far.set_timeout(100ms);
  std::atomic<bool> over = false;
  std::jthread reader([&] {
    EXPECT_EQ(kind_thrown([&] { pair.far.recv(); }), ErrorKind::timed_out);
    over = true;
  });
  const TimePoint limit = Clock::now() + patience;
  while (!over && Clock::now() < limit) {
    if (!over) pthread_kill(reader.native_handle(), SIGUSR1);
    std::this_thread::yield();
  }
  EXPECT_TRUE(over) << "signals that come faster than the limit must not stretch it";
  if (!over) pair.near.close();
  reader.join();
}

TEST(Transfer, sr21_a_recv_that_timed_out_loses_nothing) {
  ConnectedSockets pair = connected_sockets();
  pair.far.set_timeout(1ms);
  EXPECT_EQ(kind_thrown([&] { pair.far.recv(); }), ErrorKind::timed_out);
  pair.near.send("later");
  pair.far.set_timeout(patience);
  EXPECT_EQ(pair.far.recv_exactly(5), "later");
}

TEST(Transfer, sr22_one_thread_sends_while_another_receives) {
  ConnectedSockets pair = connected_sockets();
  static constexpr std::size_t total = 4_MiB;
  const auto send_all = [](Socket& socket) {
    const std::string piece(64_KiB, 'p');
    for (std::size_t sent = 0; sent < total; sent += piece.size()) socket.send(piece);
    socket.shutdown_send();
  };
  const auto count = [](Socket& socket) {
    std::size_t got = 0;
    while (const BytesView bytes = socket.recv()) got += bytes.size();
    EXPECT_EQ(got, total);
  };
  const std::jthread near_sends(send_all, std::ref(pair.near));
  const std::jthread far_sends(send_all, std::ref(pair.far));
  const std::jthread near_receives(count, std::ref(pair.near));
  count(pair.far);
}

TEST(Transfer, recv_exactly_throws_with_the_bytes_before_an_early_end) {
  ConnectedSockets pair = connected_sockets();
  pair.near.send("abc");
  pair.near.shutdown_send();
  try {
    pair.far.recv_exactly(5);
    FAIL();
  } catch (const IncompleteRead& error) {
    EXPECT_EQ(error.received(), "abc");
  }
}

}  // namespace transfer_test
