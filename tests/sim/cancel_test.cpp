// A server with clients that connect, talk, wait and clean up, cancelled in one turn after the other: in each of them,
// every task ends and no resource is left.
#include <gtest/gtest.h>

#include "coax/base/log.hpp"
#include "coax/server/serve.hpp"
#include "coax/stream/lines.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/run.hpp"

namespace cancel_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view here = "10.0.0.1";

struct Alive {
  explicit Alive(int& of) : count(of) { ++count; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  ~Alive() { --count; }
  int& count;
};

Task<> echo_lines(Stream& peer, int& tasks) {
  const Alive alive(tasks);
  Lines lines(peer, {.pause = 100us});
  while (const auto line = co_await lines.next()) {
    co_await timeout(50us, peer.send(*line));
    co_await peer.send("\n");
  }
}

Task<> say_goodbye(Stream& stream, int& tasks) {
  const Alive alive(tasks);
  co_await timeout(1ms, stream.shutdown_send());
}

Task<> talk(SimNetwork& network, Endpoint server, int& tasks) {
  const Alive alive(tasks);
  const auto stream = co_await coax::test::connect(network, "10.0.0.2", server);
  Lines lines(*stream);
  const std::string padding(2000, '.');
  bool cancelled = false;
  try {
    for (int number = 0; number < 2; ++number) {
      const std::string line = fmt::format("line {}{}\n", number, padding);
      const auto send = [](Stream& to, BytesView bytes, int& count) -> Task<> {
        const Alive sending(count);
        co_await to.send(bytes);
        co_await to.flush();
      };
      co_await all(send(*stream, line, tasks), lines.next());
    }
  } catch (const Cancelled&) {
    cancelled = true;
  }
  co_await shield(say_goodbye(*stream, tasks));
  if (cancelled) throw Cancelled();
}

Task<> talk_or_fail(SimNetwork& network, Endpoint server, int& tasks) {
  try {
    co_await talk(network, server, tasks);
  } catch (const Error&) {
  }
}

Task<> scene(SimNetwork& network, int& tasks) {
  const Alive alive(tasks);
  Endpoint at;
  ServeOptions options{.listen = fmt::format("{}:0", here), .drain = 2ms};
  options.on_listen = [&](const Address& where) { at = where.endpoint(); };
  const auto clients = [&]() -> Task<> {
    co_await all(talk_or_fail(network, at, tasks), talk_or_fail(network, at, tasks));
  };
  const auto handler = [&](Stream& peer) { return echo_lines(peer, tasks); };
  co_await race(serve(options, handler), clients());
}

// Returns whether it had ended before.
Task<bool> cancel_in_turn(SimNetwork& network, std::size_t turn) {
  int tasks = 0;
  TaskGroup group;
  group.spawn(scene(network, tasks));
  for (; turn != 0 && group.size() != 0; --turn) co_await next_turn();
  const bool was_over = group.size() == 0;
  group.cancel();
  co_await group.join();
  EXPECT_EQ(tasks, 0);
  EXPECT_EQ(network.descriptors(here), 0U);
  EXPECT_EQ(network.descriptors("10.0.0.2"), 0U);
  EXPECT_EQ(Loop::current().backend().buffers().lent(), 0U);
  co_return was_over;
}

}  // namespace

TEST(SimCancel, in_any_turn_ends_everything) {
  log::set_level(log::Level::off);
  const SimulateOptions options{.conditions = {.latency_min = 1us,
                                               .latency_max = 20us,
                                               .short_reads = 0.1,
                                               .short_writes = 0.1,
                                               .resets = 0.01,
                                               .window_bytes = 1000}};
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    bool was_over = false;
    std::size_t turn = 0;
    for (; !was_over && turn < 5000; ++turn) {
      SCOPED_TRACE(fmt::format("COAX_SEED={}, turn {}", seed, turn));
      const auto body = [&](SimNetwork& network) -> Task<> { was_over = co_await cancel_in_turn(network, turn); };
      simulate(seed, body, options);
      ASSERT_FALSE(HasFailure());
    }
    EXPECT_TRUE(was_over);
    EXPECT_GT(turn, 100U);
  }
  log::set_level(log::Level::info);
}

}  // namespace cancel_test
