// In the steady state a message costs no allocation: not the operations, not the tasks around them, not time limits and
// other waits.
#include <gtest/gtest.h>

#include "coax/datagram/transport.hpp"
#include "coax/stream/frames.hpp"
#include "coax/stream/lines.hpp"
#include "coax/stream/reader.hpp"
#include "coax/task/channel.hpp"
#include "coax/task/scope.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

namespace allocation_test {

#ifndef COAX_SANITIZED

namespace {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

Task<> echo(Stream& peer) {
  while (const auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}

Task<> recv_all(Stream& stream, std::span<char> answer) {
  std::size_t have = 0;
  while (have < answer.size()) have += co_await stream.recv(answer.subspan(have));
}
// Both at once: neither end can buffer all of a long message.
Task<> ask(Stream& stream, BytesView question, std::span<char> answer) {
  co_await all(stream.send(question), recv_all(stream, answer));
}

Task<> ask_many_times(Stream& stream, std::size_t bytes, std::size_t& counted) {
  const std::string question(bytes, 'x');
  std::string answer(bytes, '\0');
  std::size_t before = 0;
  for (int times = 0; times < 2000; ++times) {
    if (times == 1000) before = allocations;
    co_await timeout(1h, ask(stream, question, answer));
    const auto first = co_await race(ask(stream, question, answer), sleep(1h));
    EXPECT_EQ(first, 0U);
  }
  counted = allocations - before;
  co_await stream.shutdown_send();
}

// Calls step(), which returns a Task<>, many times, and counts after the warm-up.
template <class Step>
Task<> repeat(Step& step, std::size_t& counted) {
  std::size_t before = 0;
  for (int times = 0; times < 100; ++times) {
    if (times == 50) before = allocations;
    co_await step();
  }
  counted = allocations - before;
}

struct Waits {
  Event event;
  Channel<int> here{0};
  Channel<int> there{3};

  Task<> set() {
    co_await next_turn();
    event.set();
  }
  Task<> send() {
    for (int value = 0; value < 10; ++value) {
      co_await here.send(value);
      co_await there.send(value);
    }
  }
  Task<> recv() {
    for (int value = 0; value < 10; ++value) {
      EXPECT_EQ(co_await here.recv(), value);
      EXPECT_EQ(co_await there.recv(), value);
    }
  }
  Task<> each() {
    co_await sleep(1ns);
    co_await timeout(1h, sleep(1ns));
    co_await shield(1h, sleep(1ns));
    co_await race(sleep(1h), next_turn());
    co_await all(event.wait(), set());
    event.clear();
    co_await all(send(), recv());
    co_await race(here.recv(), there.recv(), next_turn());
    TaskGroup group;
    for (int child = 0; child < 3; ++child) group.spawn(next());
    co_await group.join();
  }
  static Task<> next() { co_await next_turn(); }
};

Task<> echo_datagrams(DatagramTransport& transport) {
  while (true) {
    const Datagram datagram = co_await transport.recv_from();
    co_await transport.send_to(datagram.bytes, datagram.from);
  }
}

}  // namespace

TEST(Allocations, waiting_makes_none) {
  std::size_t counted = 1;
  run([&]() -> Task<> {
    Waits waits;
    const auto step = [&waits] { return waits.each(); };
    co_await repeat(step, counted);
  });
  EXPECT_EQ(counted, 0U);
}

TEST(Allocations, an_echo_makes_none) {
  for (const StreamKind& kind : stream_kinds) {
    // With a rate, the number of lent buffers depends on timing, also after the first round.
    const std::string_view name = kind.name;
    if (name.starts_with("limited") || name.starts_with("layered")) continue;
    for (const std::size_t bytes : {64UZ, 3'000UZ, 100'000UZ}) {
      std::size_t counted = 1;
      run([&]() -> Task<> {
        StreamPair pair = co_await kind.make();
        co_await all(echo(*pair.far), ask_many_times(*pair.near, bytes, counted));
      });
      EXPECT_EQ(counted, 0U) << kind.name << ", " << bytes << " bytes";
    }
  }
}

TEST(Allocations, lines_and_frames_make_none) {
  std::size_t counted = 1;
  run([&]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Reader reader(*far);
    FrameDecoder decoder(Framing::length_prefixed(LengthPrefix::u8), 64_KiB);
    Lines lines(reader);
    Frames frames(reader, Framing::length_prefixed(LengthPrefix::u8));
    const auto step = [&]() -> Task<> {
      co_await near->send(BytesView("a line\nanother\n\5frame\5again", 27));
      auto bytes = co_await reader.line();
      EXPECT_EQ(bytes->text(), "a line");
      bytes = co_await lines.next();
      EXPECT_EQ(bytes->text(), "another");
      const auto event = co_await reader.next(decoder);
      EXPECT_EQ(event->bytes.text(), "frame");
      bytes = co_await frames.next();
      EXPECT_EQ(bytes->text(), "again");
    };
    co_await repeat(step, counted);
  });
  EXPECT_EQ(counted, 0U);
}

TEST(Allocations, datagrams_make_none) {
  for (const Address& at : {Address(*Endpoint::parse("127.0.0.1:0")), Address(UnixName(""))}) {
    if (on_sim()) break;  // the simulated network keeps copies
    std::size_t counted = 1;
    run([&]() -> Task<> {
      DatagramTransport server(at);
      DatagramTransport near(at);
      const Address to = server.local();
      const auto step = [&]() -> Task<> {
        for (int number = 0; number != 8; ++number) co_await near.send_to("question", to);
        for (int number = 0; number != 8; ++number) {
          EXPECT_EQ((co_await near.recv_from()).bytes.text(), "question");
        }
      };
      co_await race(echo_datagrams(server), repeat(step, counted));
    });
    EXPECT_EQ(counted, 0U) << at.to_string();
  }
}

#endif

}  // namespace allocation_test
