// A member who floods the room, on a slow network. Readers that keep up receive every line in order. A member that
// never reads is disconnected, alone. A slow reader delays the others only briefly, and receives everything, too.
#include <gtest/gtest.h>

#include <list>

#include "coax/base/log.hpp"
#include "coax/stream/lines.hpp"
#include "coax/test/sim.hpp"
#include "services/chat/chat.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"

namespace flood_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view hub = "10.0.0.1";
constexpr int count = 400;

std::string line(int number) { return fmt::format("{:06} {}\n", number, std::string(890, 'x')); }

class Flood {
 public:
  explicit Flood(SimNetwork& network) : network_(network) {}

  Task<> run() {
    co_await rooms_.open();
    Server server({.listen = fmt::format("{}:7777", hub)},
                  [this](Connection& connection) { return chat::talk_lines(connection, rooms_, limits_); });
    co_await server.address();
    const auto lazy = co_await enter("lazy");
    const auto writer = co_await enter("writer");
    co_await all(read("one"), read("two"), read("three"), read_slowly("slow"), hear(*writer, "writer"), write(*writer),
                 come_and_go());
    // It may still have a part of the messages to read, and no clean end.
    EXPECT_EQ(co_await outcome(skip_all(*lazy)), "disconnected");
    EXPECT_EQ(co_await server.stop(), "cancelled");
    EXPECT_EQ(rooms_.lobby().size(), 0U);
  }

 private:
  Task<std::unique_ptr<SocketStream>> enter(std::string nick) {
    const std::string host = fmt::format("10.0.1.{}", ++hosts_);
    auto stream = co_await coax::test::connect(network_, host, *Endpoint::from_ip(hub, 7777));
    EXPECT_EQ(co_await stream->recv_exactly(4), "NICK");
    nick += "\n";
    co_await stream->send(nick);
    co_return stream;
  }

  Task<> read(std::string nick) {
    const auto stream = co_await enter(nick);
    co_await hear(*stream, nick);
  }

  Task<> read_slowly(std::string nick) {
    const auto stream = co_await enter(nick);
    co_await hear(*stream, nick, 8s);
  }

  // Until the last line: those of the writer, without a gap.
  Task<> hear(Stream& stream, std::string nick, Duration pause = {}) {
    Lines lines(stream);
    int next = -1;  // a late member begins later
    while (next != count) {
      const auto got = co_await lines.next();
      if (!got) {
        ADD_FAILURE() << nick << " was disconnected after " << next << " lines";
        co_return;
      }
      if (!got->text().starts_with("writer: ")) continue;
      const int number = std::stoi(std::string(got->text().substr(8, 6)));
      if (next >= 0) EXPECT_EQ(number, next) << nick;
      next = number + 1;
      if (next % 4 == 0) co_await sleep(pause);
    }
  }

  Task<> write(Stream& stream) {
    co_await sleep(1s);
    const TimePoint begin = Loop::current().backend().now();
    for (int number = 0; number < count; ++number) {
      const std::string text = line(number);
      co_await stream.send(text);
    }
    EXPECT_LT(Loop::current().backend().now() - begin, 60s) << "everybody waited for the slow ones";
  }

  Task<> come_and_go() {
    for (int number = 0; number < 50; ++number) {
      const auto guest = co_await enter(fmt::format("guest{}", number));
      co_await sleep(20ms);
      if (number % 2 == 0) network_.reset(guest->local());
    }
  }

  static Task<> skip_all(Stream& stream) {
    while (co_await stream.recv()) continue;
  }

  SimNetwork& network_;
  chat::ChatLimits limits_{.outbox_bytes_max = 32'000, .nick = 30s, .pause = 1s};
  chat::Rooms rooms_{std::make_shared<MemoryBus>()};
  int hosts_ = 0;
};

class SimFlood : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

}  // namespace

TEST_F(SimFlood, readers_that_keep_up_lose_nothing) {
  const auto body = [](SimNetwork& network) -> Task<> {
    network.set_conditions({.latency_min = 1ms, .latency_max = 20ms, .short_reads = 0.2, .window_bytes = 4'000});
    Flood flood(network);
    co_await flood.run();
  };
  for_each_seed(20, body, {.has_failed = ::testing::Test::HasFailure});
}

}  // namespace flood_test
