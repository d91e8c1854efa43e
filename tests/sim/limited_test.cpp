// LimitedStream on a virtual clock: the resulting rates, and calls that wait for them.
#include <gtest/gtest.h>

#include "coax/stream/limited_stream.hpp"
#include "coax/stream/memory.hpp"
#include "coax/test/sim.hpp"
#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

namespace limited_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

void on(const Simulation& body) {
  simulate(1, body, {.has_failed = [] { return ::testing::Test::HasFailure(); }});
}
double seconds_since(TimePoint start) { return std::chrono::duration<double>(Loop::current().now() - start).count(); }
Task<> read_away(Stream& stream) {
  while (co_await stream.recv()) {
  }
}
Task<> send_and_shut_down(Stream& stream, std::size_t count) {
  const std::string bytes(count, 'x');
  co_await stream.send(bytes);
  co_await stream.shutdown_send();
}

}  // namespace

TEST(LimitedStream, sends_as_many_bytes_per_second_as_the_rate_says) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    LimitedStream limited(std::move(near), {.send_bytes_per_second = 10'000});
    const TimePoint start = Loop::current().now();
    co_await all(send_and_shut_down(limited, 100'000), read_away(*far));
    EXPECT_NEAR(seconds_since(start), 10, 0.2);
  });
}

TEST(LimitedStream, receives_as_many_bytes_per_second_as_the_rate_says) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair(1000);
    LimitedStream limited(std::move(near), {.recv_bytes_per_second = 10'000});
    const TimePoint start = Loop::current().now();
    co_await all(send_and_shut_down(*far, 100'000), read_away(limited));
    EXPECT_NEAR(seconds_since(start), 10, 0.2);
  });
}

TEST(LimitedStream, receives_in_pieces_of_a_twentieth_of_a_second) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair(1_MiB);
    LimitedStream limited(std::move(near), {.recv_bytes_per_second = 2000});
    std::string sent;
    for (int number = 0; number < 5000; ++number) sent += std::to_string(number);
    co_await far->send(sent);
    std::string got;
    TimePoint last = Loop::current().now();
    std::array<char, 70> buffer;
    while (got.size() < sent.size()) {  // in turns into a lent buffer, and into the caller's
      const std::size_t before = got.size();
      if (got.size() % 3 == 0) {
        got += (co_await limited.recv()).text();
      } else {
        const std::size_t count = co_await limited.recv(std::span(buffer));
        got.append(buffer.data(), count);
      }
      EXPECT_LE(got.size() - before, 100U);
      EXPECT_LE(Loop::current().now() - last, 60ms);
      last = Loop::current().now();
    }
    EXPECT_EQ(got, sent);
  });
}

TEST(LimitedStream, a_reset_is_noticed_while_the_rate_delays) {
  on([](SimNetwork&) -> Task<> {
    const StreamPair pair = co_await tcp_pair();
    LimitedStream limited(*pair.near, {.recv_bytes_per_second = 1000});
    const std::string many(300, 'x');
    co_await pair.far->send(many);
    co_await limited.recv();
    pair.far->abort();
    const TimePoint start = Loop::current().now();
    EXPECT_EQ(co_await outcome([&]() -> Task<> {
                while (co_await limited.recv()) {
                }
              }()),
              "disconnected");
    EXPECT_LT(seconds_since(start), 1);
  });
}

TEST(LimitedStream, keeps_what_it_has_received_while_its_input_is_ended) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    LimitedStream limited(std::move(near), {.recv_bytes_per_second = 40});
    co_await far->send("abcdef");
    EXPECT_EQ((co_await limited.recv()).text(), "ab");
    limited.end_input();
    EXPECT_TRUE((co_await limited.recv()).empty());
    limited.reopen_input();
    EXPECT_EQ(co_await limited.recv_exactly(4), "cdef");
  });
}

TEST(LimitedStream, several_sends_share_the_rate_and_keep_their_order) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    LimitedStream limited(std::move(near), {.send_bytes_per_second = 100});
    const TimePoint start = Loop::current().now();
    const auto send = [&](std::string text) -> Task<> { co_await limited.send(text); };
    std::string got;
    const auto read = [&]() -> Task<> { got = co_await far->recv_exactly(300); };
    co_await all(send(std::string(100, 'a')), send(std::string(100, 'b')), send(std::string(100, 'c')), read());
    EXPECT_EQ(got, std::string(100, 'a') + std::string(100, 'b') + std::string(100, 'c'));
    EXPECT_NEAR(seconds_since(start), 3, 0.2);
  });
}

TEST(LimitedStream, a_send_cancelled_after_a_part_breaks_the_stream) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    LimitedStream limited(std::move(near), {.send_bytes_per_second = 100});
    EXPECT_EQ(co_await outcome(timeout(100ms, limited.send(std::string(100, 'a')))), "timed_out");
    EXPECT_EQ(co_await outcome(limited.send("b")), "disconnected");
  });
}

TEST(LimitedStream, a_send_cancelled_before_any_byte_keeps_the_stream) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    LimitedStream limited(std::move(near), {.send_bytes_per_second = 10});
    co_await limited.send("0123456789");
    EXPECT_EQ(co_await outcome(timeout(10ms, limited.send("never"))), "timed_out");
    co_await limited.send("b");
    EXPECT_EQ(co_await far->recv_exactly(11), "0123456789b");
  });
}

TEST(LimitedStream, a_cancelled_recv_that_waits_for_the_rate_loses_nothing) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    LimitedStream limited(std::move(near), {.recv_bytes_per_second = 10});
    co_await far->send("ab");
    EXPECT_EQ((co_await limited.recv()).text(), "a");
    EXPECT_EQ(co_await outcome(timeout(50ms, limited.recv())), "timed_out");
    EXPECT_EQ((co_await limited.recv()).text(), "b");
  });
}

// The rate allows the next byte in the moment in which the task is cancelled, by a timer that runs before that of the
// rate, or after it.
TEST(LimitedStream, a_recv_cancelled_when_the_rate_allows_it_loses_no_byte) {
  on([](SimNetwork&) -> Task<> {
    const StreamPair pair = co_await tcp_pair();
    LimitedStream limited(*pair.near, {.recv_bytes_per_second = 100});
    const auto recv = [&]() -> Task<std::string> { co_return (co_await limited.recv()).string(); };
    std::string got;
    std::string sent;
    for (int round = 0; round < 100; ++round) {
      sent += static_cast<char>('a' + round % 26);
      co_await pair.far->send(sent.substr(sent.size() - 1));
      if (round % 2 == 0) {
        const auto result = co_await race(sleep(10ms), recv());
        if (result.index() == 1) got += std::get<1>(result);
      } else {
        const auto result = co_await race(recv(), sleep(10ms));
        if (result.index() == 0) got += std::get<0>(result);
      }
    }
    while (got.size() < sent.size()) got += co_await timeout(10s, recv());
    EXPECT_EQ(got, sent);
  });
}

TEST(LimitedStream, close_and_end_of_input_end_waiting_calls) {
  on([](SimNetwork&) -> Task<> {
    auto [near, far] = memory_stream_pair();
    LimitedStream limited(std::move(near), {.recv_bytes_per_second = 1, .send_bytes_per_second = 1});
    co_await far->send("ab");
    co_await limited.recv();
    const TimePoint start = Loop::current().now();
    const auto end_input = [&]() -> Task<> {
      co_await sleep(10ms);
      limited.end_input();
    };
    bool is_end = false;
    const auto recv = [&]() -> Task<> { is_end = (co_await limited.recv()).empty(); };
    co_await all(recv(), end_input());
    EXPECT_TRUE(is_end);
    std::string end;
    const auto send = [&]() -> Task<> { end = co_await outcome(limited.send("abc")); };
    const auto close = [&]() -> Task<> {
      co_await sleep(10ms);
      limited.close();
    };
    co_await all(send(), close());
    EXPECT_EQ(end, "invalid");
    EXPECT_LT(seconds_since(start), 0.5);
  });
}

}  // namespace limited_test
