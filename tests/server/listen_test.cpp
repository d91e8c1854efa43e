// serve(): the listening addresses.
#include <gtest/gtest.h>

#include "coax/base/log.hpp"
#include "coax/server/serve.hpp"
#include "coax/stream/socket_stream.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"
#include "tests/support/sim.hpp"

namespace listen_test {

using namespace coax;
using namespace coax::test;

namespace {

Task<> echo(Stream& peer) {
  while (const auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}

class ServeListens : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

}  // namespace

TEST_F(ServeListens, cannot_listen_where_another_does) {
  run([]() -> Task<> {
    const SocketListener taken(*Endpoint::parse("127.0.0.1:0"));
    EXPECT_EQ(co_await outcome(serve({.listen = taken.local().to_string()}, echo)), "address");
    EXPECT_EQ(co_await outcome(serve({.listen = "no port"}, echo)), "invalid");
    EXPECT_EQ(co_await outcome(serve({.listen = ""}, echo)), "invalid");
    EXPECT_EQ(co_await outcome(serve({.listen = "127.0.0.1:0,"}, echo)), "invalid");
    EXPECT_EQ(co_await outcome(serve({.listen = "127.0.0.1:4711,127.0.0.1:4711"}, echo)), "invalid");
    EXPECT_EQ(co_await outcome(serve({.limits = {.connections_max = 0}}, echo)), "invalid");
    EXPECT_EQ(co_await outcome(serve({.listen = "127.0.0.1:99999"}, echo)), "invalid");
  });
}

TEST_F(ServeListens, the_wildcards_of_both_families_share_a_port) {
  COAX_NEEDS_KERNEL();
  run([]() -> Task<> {
    std::uint16_t port = 0;
    {
      const SocketListener free(*Endpoint::parse("0.0.0.0:0"));
      port = free.local().port();
    }
    for (const char* order : {"0.0.0.0:{0},[::]:{0}", "[::]:{0},0.0.0.0:{0}"}) {
      Server server({.listen = fmt::format(fmt::runtime(order), port)}, echo);
      co_await server.address();
      EXPECT_EQ(co_await server.stop(), "cancelled") << order;
    }
  });
}

TEST_F(ServeListens, listens_again_on_the_port_that_it_has_just_left) {
  run([]() -> Task<> {
    Endpoint at;
    for (int times = 0; times < 3; ++times) {
      Server server({.listen = times == 0 ? "127.0.0.1:0" : at.to_string()}, echo);
      at = co_await server.address();
      const auto client = co_await server.connect();
      co_await client->send("x");
      EXPECT_EQ(co_await client->recv_exactly(1), "x");
      EXPECT_EQ(co_await server.stop(), "cancelled");
    }
  });
}

}  // namespace listen_test
