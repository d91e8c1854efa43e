// The back-end on the kernel: edges, ends, stale events. The promises of a stream on top of it are in tests/contract.
#include <gtest/gtest.h>
#include <poll.h>

#include "coax/loop/loop.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/test/random.hpp"
#include "tests/support/run.hpp"
#include "tests/support/sockets.hpp"

namespace epoll_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// An operation that records its completion.
struct Noted : Op {
  explicit Noted(Kind which)
      : Op(which, [](Completion& self) noexcept {
          auto& noted = static_cast<Noted&>(self);
          noted.is_done = true;
          if (noted.then) noted.then();
        }) {}
  bool is_done = false;
  std::function<void()> then;
};

using EpollEdges = OnKernel;
using Connect = OnKernel;
using Listener = OnKernel;

class EpollTest : public ::testing::Test {
 protected:
  Descriptor adopt(Native native) { return *backend->adopt(set_nonblocking(std::move(native))); }
  // Polls until the condition is true; calls done() of completed operations, as the loop does.
  template <class Condition>
  void poll_until(Condition condition) {
    const TimePoint deadline = Clock::now() + time_limit;
    while (!condition()) {
      ASSERT_LT(Clock::now(), deadline);
      backend->poll(backend->finished().empty() ? deadline : Clock::now());
      while (!backend->finished().empty()) backend->complete(backend->finished().pop_front());
    }
  }
  void recv_into(Noted& op, Descriptor from, std::span<char> buffer) {
    op.descriptor = from;
    op.into() = {.data = buffer.data(), .size = buffer.size()};
    if (backend->submit(op)) op.is_done = true;
  }

  std::unique_ptr<Backend> backend = make_epoll_backend();
};

void send_natively(const Native& to, std::string_view bytes) {
  ASSERT_EQ(::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}
// Until that many bytes, or the end, are in the receive buffer of a socket.
void wait_for_input(int native, short events = POLLIN) {
  pollfd waiting{.fd = native, .events = events, .revents = 0};
  ASSERT_EQ(::poll(&waiting, 1, 10'000), 1);
}

// A listener whose queue is full: a further connect() gets no answer.
struct FullListener {
  Native listener = listen_on_loopback(0);
  Native first = connect_to(local_of(listener));
  [[nodiscard]] Endpoint local() const { return local_of(listener); }
};

}  // namespace

TEST_F(EpollTest, a_stale_event_does_not_reach_the_new_owner_of_its_slot) {
  NativePair first = native_tcp_pair();
  NativePair second = native_tcp_pair();
  const Descriptor one = adopt(std::move(first.near));
  const Descriptor two = adopt(std::move(second.near));
  std::array<char, 1> byte_one{};
  std::array<char, 1> byte_two{};
  Noted recv_one(Op::Kind::recv_into);
  Noted recv_two(Op::Kind::recv_into);
  recv_into(recv_one, one, byte_one);
  recv_into(recv_two, two, byte_two);
  poll_until([first_turn = true]() mutable { return !std::exchange(first_turn, false); });  // the events of adopting

  // The first task to run closes the other socket and connects in its slot. The event of the old socket says
  // "writable"; attributed to the new one it would mean "connected".
  const FullListener full;
  const Address address = full.local();
  Noted connecting(Op::Kind::connect);
  const auto replace = [&](Descriptor old) {
    backend->close(old);
    const auto made = backend->open(Family::v4);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->index, old.index);
    EXPECT_NE(made->generation, old.generation);
    connecting.descriptor = *made;
    connecting.address() = &address;
    EXPECT_FALSE(backend->submit(connecting));
  };
  recv_one.then = [&] {
    if (!recv_two.is_done) replace(two);
  };
  recv_two.then = [&] {
    if (!recv_one.is_done) replace(one);
  };
  second.far.close();  // readable and writable
  first.far.close();
  poll_until([&] { return recv_one.is_done && recv_two.is_done; });
  EXPECT_EQ(std::max(recv_one.result, recv_two.result), 0);
  EXPECT_EQ(std::min(recv_one.result, recv_two.result), -EBADF);
  EXPECT_FALSE(connecting.is_done);

  // Calls with the old descriptor have no effect either.
  const Descriptor old = recv_one.result == 0 ? two : one;
  Noted late(Op::Kind::recv_into);
  recv_into(late, old, byte_one);
  EXPECT_TRUE(late.is_done);
  EXPECT_EQ(late.result, -EBADF);
  EXPECT_EQ(backend->shutdown_send(old), EBADF);
  EXPECT_EQ(backend->peer(old).family(), Family::none);
  backend->close(old);
  backend->cancel(connecting);
  poll_until([&] { return connecting.is_done; });
  EXPECT_EQ(connecting.result, -ECANCELED);
}

TEST_F(EpollTest, a_descriptor_that_cannot_be_watched_is_closed) {
  const int file = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const int regular = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const std::size_t before = open_descriptors();
  const auto failed = backend->adopt(regular);
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error(), ENOTSOCK);
  EXPECT_EQ(open_descriptors(), before - 1);
  ::close(file);
  NativePair pair = native_tcp_pair();
  EXPECT_TRUE(backend->adopt(set_nonblocking(std::move(pair.near)))) << "the slot is not lost";
}

// --- edges: bytes that have arrived cause no second edge ---

namespace {

Task<std::string> read_to_end(Stream& stream, std::size_t buffer_bytes) {
  std::string all;
  std::string buffer(buffer_bytes, '\0');
  while (const std::size_t got = co_await stream.recv(buffer)) all.append(buffer, 0, got);
  co_return all;
}

Task<> send_and_close(Native to, std::string bytes, int turns_between) {
  send_natively(to, bytes);
  for (int turn = 0; turn < turns_between; ++turn) co_await next_turn();
  to.close();  // here, and not when the frame is destroyed
}

}  // namespace

TEST_F(EpollEdges, the_end_is_seen_together_with_the_last_bytes) {
  run([]() -> Task<> {
    for (const int turns_between : {0, 1, 2, 3}) {
      for (const std::size_t buffer_bytes : {1UZ, 3UZ, 4UZ, 5UZ, 100UZ}) {
        for (const bool waits_before : {false, true}) {
          NativePair pair = native_tcp_pair();
          const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
          if (waits_before) co_await next_turn();
          const auto results = co_await all(read_to_end(*stream, buffer_bytes),
                                            send_and_close(std::move(pair.far), "1234", turns_between));
          EXPECT_EQ(std::get<0>(results), "1234");
        }
      }
    }
  });
}

TEST_F(EpollEdges, the_end_is_seen_that_was_there_before_the_stream) {
  run([]() -> Task<> {
    NativePair pair = native_tcp_pair();
    send_natively(pair.far, "1234");
    pair.far.close();
    wait_for_input(pair.near.get(), POLLRDHUP);
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    EXPECT_EQ(co_await read_to_end(*stream, 100), "1234");
  });
}

// A read stops before urgent data, however many bytes follow it: the socket is not empty.
TEST_F(EpollEdges, bytes_after_urgent_data_are_seen) {
  run([]() -> Task<> {
    NativePair pair = native_tcp_pair();
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    co_await next_turn();
    send_natively(pair.far, "before");
    ::send(pair.far.get(), "!", 1, MSG_OOB);
    send_natively(pair.far, "behind");
    EXPECT_EQ(co_await stream->recv_exactly(12), "beforebehind");
  });
}

TEST_F(EpollEdges, a_send_continues_whenever_the_peer_makes_room) {
  NativePair pair = native_tcp_pair(8 * 1024);
  const std::string bytes(3'000'000, 'x');
  std::size_t received = 0;
  {
    std::jthread reader([&received, &pair] {
      Random random;
      std::string buffer(50'000, '\0');
      while (true) {
        const ssize_t got = ::recv(pair.far.get(), buffer.data(), random.between(1, buffer.size()), 0);
        if (got <= 0) return;
        received += static_cast<std::size_t>(got);
        if (random.one_in(5)) std::this_thread::yield();
      }
    });
    run([&]() -> Task<> {
      const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
      co_await stream->send(bytes);
      co_await stream->shutdown_send();
    });
  }
  EXPECT_EQ(received, bytes.size());
}

// --- connecting and accepting ---

TEST_F(Connect, that_is_refused_says_so) {
  run([]() -> Task<> {
    Endpoint closed_port;
    {
      const Native listener = listen_on_loopback();
      closed_port = local_of(listener);
    }
    std::string told;
    try {
      co_await connect(std::vector{closed_port});
    } catch (const Error& error) {
      told = error.what();
      EXPECT_EQ(error.kind(), ErrorKind::refused);
    }
    EXPECT_EQ(told, "connect to " + closed_port.to_string() + ": Connection refused");
  });
}

TEST_F(Connect, tries_the_addresses_in_their_order) {
  run([]() -> Task<> {
    Endpoint closed_port;
    {
      const Native closed = listen_on_loopback();
      closed_port = local_of(closed);
    }
    const Native listener = listen_on_loopback();
    const auto stream = co_await connect(std::vector{closed_port, closed_port, local_of(listener)});
    EXPECT_EQ(stream->peer(), local_of(listener));
    EXPECT_EQ(co_await outcome(connect(std::vector<Endpoint>{})), "address");
    EXPECT_EQ(co_await outcome(connect("no port")), "invalid");
  });
}

TEST_F(Connect, that_gets_no_answer_is_cancelled_and_leaves_nothing) {
  run([]() -> Task<> {
    const FullListener full;
    const std::size_t before = open_descriptors();
    EXPECT_EQ(co_await outcome(timeout(5ms, connect(std::vector{full.local()}))), "timed_out");
    EXPECT_EQ(open_descriptors(), before);
  });
}

TEST_F(Connect, tries_addresses_in_parallel_and_leaves_none_open) {
  run([]() -> Task<> {
    const FullListener full;
    const Native listener = listen_on_loopback();
    const std::size_t before = open_descriptors();
    {
      const auto stream =
          co_await connect(std::vector{full.local(), full.local(), local_of(listener)}, {.attempt_delay = 1ms});
      EXPECT_EQ(stream->peer(), local_of(listener));
      EXPECT_LE(open_descriptors(), before + 1);
    }
    EXPECT_EQ(co_await outcome(connect(std::vector{full.local(), full.local()}, {.attempt_delay = 1ms, .limit = 5ms})),
              "timed_out");
    EXPECT_EQ(open_descriptors(), before);
  });
}

TEST_F(Connect, waits_until_it_is_answered) {
  run([]() -> Task<> {
    const FullListener full;
    const auto make_room = [](const FullListener& listener) -> Task<> {
      co_await next_turn();
      const Native taken(::accept(listener.listener.get(), nullptr, nullptr));
      co_await sleep(1ms);
    };
    const auto results = co_await all(connect(std::vector{full.local()}), make_room(full));
    EXPECT_EQ(std::get<0>(results)->peer(), full.local());
  });
}

TEST_F(Listener, accepts_in_any_order_of_coming_and_asking) {
  run([]() -> Task<> {
    SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    std::vector<Native> clients;
    const auto come = [](Endpoint where, std::vector<Native>& all, int turns) -> Task<> {
      for (int turn = 0; turn < turns; ++turn) co_await next_turn();
      for (int times = 0; times < 10; ++times) all.push_back(connect_to(where));
    };
    TaskGroup group;
    for (const int turns : {0, 2, 4}) group.spawn(come(listener.local(), clients, turns));
    std::vector<Endpoint> peers;
    for (int times = 0; times < 30; ++times) {
      const auto accepted = co_await listener.accept();
      const Native native(accepted.native);
      peers.push_back(accepted.peer);
    }
    co_await group.join();
    std::vector<Endpoint> expected;
    for (const Native& client : clients) expected.push_back(local_of(client));
    EXPECT_EQ(peers, expected);
  });
}

TEST_F(Listener, that_is_closed_ends_an_accept_that_waits_and_all_later_ones) {
  run([]() -> Task<> {
    SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    std::string end;
    const auto accept = [](SocketListener& on, std::string& how) -> Task<> { how = co_await outcome(on.accept()); };
    TaskGroup group;
    group.spawn(accept(listener, end));
    co_await next_turn();
    listener.close();
    co_await group.join();
    EXPECT_EQ(end, "invalid");
    EXPECT_EQ(co_await outcome(listener.accept()), "invalid");
  });
}

TEST_F(Listener, a_cancelled_accept_accepts_no_connection) {
  run([]() -> Task<> {
    SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    EXPECT_EQ(co_await outcome(timeout(1ms, listener.accept())), "timed_out");
    const Native client = connect_to(listener.local());
    const auto accepted = co_await listener.accept();
    const Native native(accepted.native);
    EXPECT_EQ(accepted.peer, local_of(client));
  });
}

TEST_F(Listener, on_a_taken_port_says_what_to_do) {
  run([]() -> Task<> {
    const Native taken = listen_on_loopback();
    std::string told;
    try {
      const SocketListener listener(local_of(taken));
    } catch (const Error& error) {
      told = error.what();
    }
    EXPECT_EQ(told, "listen on " + local_of(taken).to_string() +
                        ": Address already in use; another program listens there: stop it or choose another port");
    co_return;
  });
}

TEST_F(Listener, takes_both_families_on_the_wildcard) {
  run([]() -> Task<> {
    SocketListener listener(*Endpoint::from_ip("::", 0));
    const Native client = connect_to(*Endpoint::from_ip("127.0.0.1", listener.local().port()));
    EXPECT_GE(client.get(), 0);
    const auto accepted = co_await listener.accept();
    const Native native(accepted.native);
    EXPECT_TRUE(accepted.peer.is_loopback());
  });
}

}  // namespace epoll_test
