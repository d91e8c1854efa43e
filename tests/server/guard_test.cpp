// One guard for several servers, and the verified identity of a peer.
#include "coax/guard/guard.hpp"

#include <gtest/gtest.h>

#include "coax/server/serve.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/run.hpp"
#include "tests/support/server.hpp"

namespace guard_test {

using namespace coax;
using namespace coax::test;

namespace {

Task<> echo(Stream& peer) {
  while (const auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}
Task<std::string> ask(Stream& stream, std::string question) {
  co_await stream.send(question);
  co_return co_await stream.recv_exactly(question.size());
}

}  // namespace

TEST(Guard, makes_room_for_one_server_by_a_connection_of_another) {
  run([]() -> Task<> {
    const auto guard = std::make_shared<Guard>(GuardLimits{.connections_max = 2});
    bool was_reclaimed = false;
    const auto between_requests = [&](Connection& connection) -> Task<> {
      connection.set_busy(true);
      co_await connection.stream().recv_exactly(1);
      connection.set_busy(false);
      try {
        co_await connection.stream().recv();
      } catch (const Cancelled&) {
        was_reclaimed = connection.reason() == CloseReason::reclaimed;
        throw;
      }
    };
    Server first({.guard = guard}, Handler(between_requests));
    Server second({.guard = guard}, Handler(echo));
    const auto spare = co_await first.connect();
    co_await spare->send("x");
    const auto one = co_await second.connect();
    EXPECT_EQ(co_await ask(*one, "1"), "1");
    EXPECT_EQ(guard->open(), 2U);
    const auto two = co_await second.connect();  // waits until the candidate has been idle for long enough
    EXPECT_EQ(co_await ask(*two, "2"), "2");
    EXPECT_TRUE(was_reclaimed);
    EXPECT_TRUE((co_await spare->recv()).empty());
    EXPECT_EQ(guard->open(), 2U);
    co_await first.stop();
    co_await second.stop();
    EXPECT_EQ(guard->open(), 0U);
  });
}

TEST(Guard, counts_hosts_and_all_connections) {
  run([]() -> Task<> {
    Guard guard({.connections_max = std::nullopt, .connections_per_host_max = 1});
    const Endpoint far = *Endpoint::parse("192.0.2.1:1");
    EXPECT_EQ(guard.admit(far), Admission::admitted);
    EXPECT_EQ(guard.admit(*Endpoint::parse("192.0.2.1:2")), Admission::host_is_full);
    EXPECT_EQ(guard.admit(*Endpoint::parse("192.0.2.2:1")), Admission::admitted);
    guard.leave(far);
    EXPECT_EQ(guard.admit(far), Admission::admitted);
    Guard closed({.connections_max = 1});
    EXPECT_EQ(closed.admit(far), Admission::admitted);
    EXPECT_EQ(closed.admit(*Endpoint::parse("127.0.0.1:1")), Admission::full);
    co_return;
  });
}

TEST(Principal, of_a_connection_is_anonymous_until_its_principal_is_set) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Connection connection(*near, 1);
    EXPECT_TRUE(connection.principal().is_anonymous());
    connection.set_principal({.kind = Principal::Kind::user, .name = "alice", .roles = {"admin"}});
    EXPECT_EQ(connection.principal().name, "alice");
    EXPECT_TRUE(connection.principal().has_role("admin"));
    EXPECT_FALSE(connection.principal().has_role("guest"));
    co_return;
  });
}

}  // namespace guard_test
