// Behaviours that asyncio's streams share with ours; the names begin with the numbers of
// docs/guide/socket-behaviours.md.
#include <gtest/gtest.h>

#include <set>

#include "coax/stream/frames.hpp"
#include "coax/stream/lines.hpp"
#include "tests/support/server.hpp"
#include "tests/support/stream_pairs.hpp"

namespace asyncio_test {

using namespace coax;
using namespace coax::test;

namespace {

// Counts the bytes that the stream has accepted, until `total`.
Task<> send_pieces(Stream& stream, std::size_t& sent, std::size_t total) {
  const std::string piece(64_KiB, 'p');
  while (sent < total) {
    co_await stream.send(piece);
    sent += piece.size();
  }
}

}  // namespace

TEST(AsyncioStreams, as01_an_early_end_throws_with_the_bytes_received) {
  run([]() -> Task<> {
    const StreamPair pair = co_await tcp_pair();
    co_await pair.far->send("abc");
    co_await pair.far->shutdown_send();
    std::string received;
    try {
      co_await pair.near->recv_exactly(5);
      ADD_FAILURE();
    } catch (const IncompleteRead& error) {
      received = error.received();
    }
    EXPECT_EQ(received, "abc");
    const StreamPair other = co_await tcp_pair();
    co_await other.far->send("line\nrest");
    co_await other.far->shutdown_send();
    Lines lines(*other.near);
    EXPECT_EQ((co_await lines.next())->text(), "line");
    EXPECT_EQ((co_await lines.next())->text(), "rest");
    EXPECT_TRUE(lines.at_end()) << "so one knows that its end is missing";
    EXPECT_FALSE((co_await lines.next()).has_value());
    const StreamPair last = co_await tcp_pair();
    co_await last.far->send("frame;rest");
    co_await last.far->shutdown_send();
    Frames frames(*last.near, Framing::delimited(";"));
    EXPECT_EQ((co_await frames.next())->text(), "frame");
    EXPECT_EQ(co_await outcome(frames.next()), "disconnected") << "the separator is needed";
  });
}

TEST(AsyncioStreams, as02_a_line_above_the_limit_is_an_error) {
  run([]() -> Task<> {
    const StreamPair pair = co_await tcp_pair();
    co_await pair.far->send("123456789\nshort\n");
    Lines lines(*pair.near, {.line_bytes_max = 8});
    EXPECT_EQ(co_await outcome(lines.next()), "protocol");
    EXPECT_EQ((co_await lines.next())->text(), "short") << "and one may go on";
  });
}

TEST(AsyncioStreams, as03_send_waits_while_the_peer_does_not_read) {
  run([]() -> Task<> {
    const StreamPair pair = co_await narrow_tcp_pair();
    constexpr std::size_t total = 64_MiB;
    std::size_t sent = 0;
    TaskGroup group;
    group.spawn(send_pieces(*pair.near, sent, total));
    for (int turn = 0; turn < 100; ++turn) co_await next_turn();
    EXPECT_LT(sent, total);
    const std::size_t stuck_at = sent;
    std::size_t got = 0;
    while (sent <= stuck_at + 1_MiB) got += (co_await pair.far->recv()).size();
    EXPECT_GT(got, 0U);
    group.cancel();
    co_await group.join();
  });
}

TEST(AsyncioStreams, as04_a_closed_listener_keeps_its_connections) {
  run([]() -> Task<> {
    SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
    const Endpoint at = listener.local();
    const auto near = co_await connect(std::vector{at});
    const auto far = SocketStream::adopt((co_await listener.accept()).native);
    listener.close();
    EXPECT_EQ(co_await outcome(connect(std::vector{at})), "refused");
    co_await near->send("question");
    co_await near->shutdown_send();
    EXPECT_EQ(co_await far->recv_exactly(8), "question");
    EXPECT_TRUE((co_await far->recv()).empty());
    co_await far->send("answer");
    EXPECT_EQ(co_await near->recv_exactly(6), "answer");
  });
}

TEST(AsyncioStreams, as05_a_name_is_listened_on_at_each_of_its_addresses) {
  run([]() -> Task<> {
    std::set<std::string> wanted;
    for (const Endpoint& address : resolve("localhost", 0)) wanted.insert(address.ip());
    std::set<std::string> found;
    Event ready;
    ServeOptions options{.listen = "localhost:0"};
    options.on_listen = [&](const Address& at) { found.insert(at.endpoint().ip()); };
    options.on_ready = [&] { ready.set(); };
    const Handler handler = [](Connection&) -> Task<> { co_return; };
    TaskGroup group;
    group.spawn(serve(std::move(options), handler));
    co_await ready.wait();
    EXPECT_EQ(found, wanted);
    group.cancel();
    co_await group.join();
  });
}

}  // namespace asyncio_test
