// Memory streams beyond the contract: a capacity, short reads, and a connection that breaks.
#include "coax/stream/memory.hpp"

#include <gtest/gtest.h>

#include "tests/support/run.hpp"

namespace memory_test {

using namespace coax;
using namespace coax::test;

TEST(MemoryStream, takes_so_many_bytes_before_it_waits) {
  run([]() -> Task<> {
    auto pair = memory_stream_pair(10);
    co_await pair.first->send("0123456789");
    EXPECT_EQ(pair.first->send_stalled(), Duration::zero());
    TaskGroup group;
    const auto send = [](Stream& stream) -> Task<> { co_await stream.send("x"); };
    group.spawn(send(*pair.first));
    co_await until([&] { return pair.first->send_stalled() > Duration::zero(); });
    EXPECT_EQ((co_await pair.second->recv()).text(), "0123456789");
    EXPECT_EQ((co_await pair.second->recv()).text(), "x");
    co_await group.join();
  });
}

TEST(MemoryStream, returns_at_most_the_configured_bytes) {
  run([]() -> Task<> {
    auto pair = memory_stream_pair();
    pair.second->set_recv_bytes_max(2);
    co_await pair.first->send("abc");
    co_await pair.first->send("de");
    EXPECT_EQ((co_await pair.second->recv()).text(), "ab");
    std::array<char, 10> buffer{};
    EXPECT_EQ(co_await pair.second->recv(buffer), 2U);
    EXPECT_EQ((co_await pair.second->recv()).text(), "e");
  });
}

TEST(MemoryStream, goes_around_its_end_byte_by_byte) {
  run([]() -> Task<> {
    auto pair = memory_stream_pair(7);
    std::string got;
    for (int times = 0; times < 50; ++times) {
      co_await pair.first->send("abcde");
      got += co_await pair.second->recv_exactly(5);
      if (times % 3 == 0) {
        co_await pair.first->send("f");
        got += (co_await pair.second->recv()).text();
      }
    }
    EXPECT_EQ(got.size(), 50U * 5 + 17);
    EXPECT_TRUE(got.starts_with("abcdefabcdeabcdeabcdef"));
  });
}

TEST(MemoryStream, that_is_reset_loses_what_was_not_received) {
  run([]() -> Task<> {
    auto pair = memory_stream_pair();
    co_await pair.first->send("lost");
    pair.first->abort();
    EXPECT_EQ(co_await outcome(pair.second->recv()), "disconnected");
    EXPECT_EQ(co_await outcome(pair.second->send("x")), "disconnected");
    EXPECT_EQ(co_await outcome(pair.first->recv()), "invalid");
    pair.first.reset();
    EXPECT_EQ(co_await outcome(pair.second->recv()), "disconnected");
  });
}

}  // namespace memory_test
