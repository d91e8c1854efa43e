// Misuse of sockets on the loop is reported with a message.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "coax/datagram/transport.hpp"
#include "coax/loop/buffers.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/scope.hpp"
#include "tests/support/run.hpp"
#include "tests/support/sim.hpp"

namespace misuse_test {

using namespace coax;
using namespace coax::test;

namespace {

struct Pair {
  std::unique_ptr<SocketStream> near;
  std::unique_ptr<SocketStream> far;
};

Task<Pair> connected() {
  SocketListener listener("127.0.0.1:0");
  auto near = co_await connect(listener.address());
  const auto accepted = co_await listener.accept();
  co_return Pair{std::move(near), SocketStream::adopt(accepted.native)};
}

}  // namespace

TEST(Misuse, second_receiver_on_a_socket_throws) {
  run([]() -> Task<> {
    Pair pair = co_await connected();
    TaskGroup group;
    std::string got;
    group.spawn([&]() -> Task<> { got = (co_await pair.near->recv()).string(); });
    EXPECT_EQ(co_await text_of_error(pair.near->recv()),
              "recv from " + pair.near->peer_name() + ": another task already receives from it");
    co_await pair.far->send("for the first");
    co_await group.join();
    EXPECT_EQ(got, "for the first");
  });
}

TEST(Misuse, second_receiver_of_datagrams_throws) {
  run([]() -> Task<> {
    DatagramTransport near("127.0.0.1:0");
    TaskGroup group;
    std::string got;
    group.spawn([&]() -> Task<> { got = (co_await near.recv_from()).bytes.string(); });
    EXPECT_EQ(co_await text_of_error(near.recv_from()), "recv from: another task already receives from it");
    co_await near.send_to("for the first", near.local());
    co_await group.join();
    EXPECT_EQ(got, "for the first");
  });
}

TEST(Misuse, second_accept_throws) {
  run([]() -> Task<> {
    SocketListener listener("127.0.0.1:0");
    TaskGroup group;
    int native = -1;
    group.spawn([&]() -> Task<> { native = (co_await listener.accept()).native; });
    EXPECT_EQ(co_await text_of_error(listener.accept()), "accept on a listener: another task already accepts on it");
    const auto near = co_await connect(listener.address());
    co_await group.join();
    EXPECT_NE(native, -1);
    SocketStream::adopt(native)->close();
  });
}

#ifdef COAX_POISONS_BUFFERS
TEST(MisuseDeath, bytes_used_after_the_next_recv_are_reported_by_asan) {
  const auto use_too_late = []() -> Task<> {
    Pair pair = co_await connected();
    co_await pair.far->send("one");
    const BytesView late = co_await pair.near->recv();
    co_await pair.far->shutdown_send();
    co_await pair.near->recv();
    EXPECT_NE(late.string(), "one");
  };
  EXPECT_DEATH(run(use_too_late), "use-after-poison");
}
#endif

TEST(MisuseDeath, socket_destroyed_while_a_task_receives_aborts) {
  EXPECT_DEATH(run([]() -> Task<> {
                 Pair pair = co_await connected();
                 TaskGroup group;
                 group.spawn([&stream = *pair.near]() -> Task<> { co_await stream.recv(); });
                 pair.near.reset();
                 co_await group.join();
               }),
               "coax: a stream is destroyed while a task receives or sends on it");
}

TEST(Misuse, what_is_no_socket_is_not_taken_over) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    ::close(ends[1]);
    const auto take_over = [&]() -> Task<> {
      SocketStream::adopt(ends[0]);
      co_return;
    };
    EXPECT_EQ(co_await text_of_error(take_over()), "take over a connection: Socket operation on non-socket");
  });
}

TEST(Listener, reads_addresses_and_refuses_names) {
  run([]() -> Task<> {
    EXPECT_TRUE(SocketListener("127.0.0.1:0").address().to_string().starts_with("127.0.0.1:"));
    std::string text;
    try {
      const SocketListener listener("localhost:0");
    } catch (const Error& error) {
      text = error.what();
    }
    EXPECT_EQ(
        text,
        "listen on localhost:0: give ADDRESS:PORT, an IPv6 address as [ADDRESS]:PORT, or unix:PATH; a name has to "
        "go through look_up()");
    co_return;
  });
}

TEST(BytesView, compares_with_literals_and_converts_from_containers) {
  run([]() -> Task<> {
    Pair pair = co_await connected();
    const std::vector<char> vector{'P', 'I'};
    const std::array<std::byte, 1> array{std::byte{'N'}};
    const std::vector<std::uint8_t> octets{'G'};
    co_await pair.near->send(vector);
    co_await pair.near->send(array);
    co_await pair.near->send(octets);
    co_await pair.near->shutdown_send();
    const std::string whole = co_await pair.far->recv_exactly(4);
    const BytesView bytes = whole;
    EXPECT_TRUE(bytes == "PING");
    EXPECT_TRUE("PING" == bytes);
    EXPECT_TRUE(bytes == whole);
    EXPECT_TRUE(bytes != std::string_view("PONG"));
    EXPECT_TRUE(std::string_view("PING") == bytes);
    EXPECT_TRUE(Received() == Received());
  });
}

}  // namespace misuse_test
