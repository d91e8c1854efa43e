// Limits::write_timeout: peers that do not read, and those that read slowly.
#include <gtest/gtest.h>

#include <array>

#include "coax/base/log.hpp"
#include "coax/server/serve.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

class ServeWriteTimeout : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

}  // namespace

TEST_F(ServeWriteTimeout, ends_a_connection_whose_peer_does_not_read) {
  run([]() -> Task<> {
    std::optional<CloseReason> reason;
    Event ended;
    Server server({.limits = {.write_timeout = 100ms}}, [&](Connection& connection) -> Task<> {
      const std::string much(64_MiB, 'x');
      try {
        co_await connection.stream().send(much);
      } catch (const Cancelled&) {
        reason = connection.reason();
        ended.set();
        throw;
      }
    });
    const auto client = co_await server.connect();
    co_await ended.wait();
    EXPECT_EQ(reason, CloseReason::write_timeout);
    co_await server.stop();
  });
}

// The kernel accepts more only when a third of the send buffer is free, which takes this client longer than the limit.
TEST_F(ServeWriteTimeout, a_peer_that_reads_slowly_is_kept) {
  run([]() -> Task<> {
    std::string end = "none";
    Server server({.limits = {.write_timeout = 1500ms}}, [&](Connection& connection) -> Task<> {
      const std::string much(64_MiB, 'x');
      end = co_await outcome(connection.stream().send(much));
    });
    const auto client = co_await server.connect();
    for (int i = 0; i < 40; ++i) {
      std::array<char, 65536> piece{};
      EXPECT_NE(co_await client->recv(piece), 0U) << i;
      co_await sleep(100ms);
    }
    EXPECT_EQ(end, "none");
    client->close();
    co_await server.stop();
  });
}
