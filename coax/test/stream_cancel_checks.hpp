// The stream contract: the effects of cancellation. For stream_contract.hpp, which programs include.
#pragma once

#include <array>
#include <chrono>

#include "coax/test/stream_checks.hpp"

namespace coax::test::checks {

inline constexpr StreamCheck cancel_checks[] = {
    {"cancelled_recv_loses_nothing",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       Random random;
       const auto waiting = [](Event& event) -> Task<> { co_await event.wait(); };
       const auto recv = [](Stream& stream) -> Task<std::string> { co_return (co_await stream.recv()).string(); };
       const auto recv_into = [](Stream& stream) -> Task<std::string> {
         std::array<char, 4> buffer{};
         const std::size_t count = co_await stream.recv(buffer);
         co_return std::string(buffer.data(), count);
       };
       const auto poke = [](Stream& stream, Event& event, std::size_t order, std::size_t turns) -> Task<> {
         if (order == 0) co_await stream.send("ab");
         for (std::size_t turn = 0; turn < turns; ++turn) co_await next_turn();
         event.set();
         if (order == 1) co_await stream.send("ab");
       };
       std::string got;
       for (int round = 0; round < 200; ++round) {
         Event event;
         TaskGroup group;
         group.spawn(poke(*pair.near, event, random.below(2), random.below(5)));
         auto receiving = random.below(2) == 0 ? recv(*pair.far) : recv_into(*pair.far);
         auto result = co_await race(waiting(event), std::move(receiving));
         if (result.index() == 1) got += std::get<1>(result);
         co_await group.join();
       }
       got += co_await pair.far->recv_exactly(400 - got.size());
       std::string expected;
       for (int round = 0; round < 200; ++round) expected += "ab";
       EXPECT_EQ(got, expected);
     }},
    {"timeout_ends_a_recv",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       EXPECT_EQ(co_await outcome(timeout(std::chrono::milliseconds(1), pair.near->recv())), "timed_out");
       std::array<char, 4> buffer{};
       EXPECT_EQ(co_await outcome(timeout(std::chrono::milliseconds(1), pair.near->recv(buffer))), "timed_out");
       const auto first = co_await race(pair.near->recv(), sleep(std::chrono::milliseconds(1)));
       EXPECT_EQ(first.index(), 1U);
       co_await pair.far->send("x");
       EXPECT_EQ((co_await timeout(time_limit, pair.near->recv())).text(), "x");
     }},
    {"cancelled_context_starts_no_operation",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.far->send("waits to be read");
       std::string recv_end;
       Sending sending;
       TaskGroup group;
       group.cancel();
       group.spawn(observe_recv(*pair.near, recv_end));
       group.spawn(sending.run(*pair.near, "never sent"));
       EXPECT_EQ(recv_end, "cancelled");
       EXPECT_EQ(sending.end, "cancelled");
       co_await group.join();
       EXPECT_EQ((co_await pair.near->recv()).text(), "waits to be read");
       co_await pair.near->send("sent");
       EXPECT_EQ((co_await pair.far->recv()).text(), "sent");
     }},
    {"send_cancelled_in_the_queue_sends_nothing",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string first = pattern(more_than_fits);
       const std::string never(100'000, 'n');
       Sending first_sending;
       Sending never_sending;
       Sending last_sending;
       TaskGroup group;
       TaskGroup doomed;
       group.spawn(first_sending.run(*pair.near, first));
       doomed.spawn(never_sending.run(*pair.near, never));
       group.spawn(last_sending.run(*pair.near, "last"));
       co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
       doomed.cancel();
       co_await doomed.join();
       EXPECT_EQ(never_sending.end, "cancelled");
       EXPECT_TRUE(co_await pair.far->recv_exactly(first.size()) == first);
       EXPECT_EQ(co_await pair.far->recv_exactly(4), "last");
       co_await group.join();
       EXPECT_EQ(first_sending.end, "done");
       EXPECT_EQ(last_sending.end, "done");
     }},
    {"send_cancelled_halfway_breaks_sending",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string half = pattern(more_than_fits);
       Sending half_sending;
       Sending waiting;
       TaskGroup doomed;
       TaskGroup group;
       doomed.spawn(half_sending.run(*pair.near, half));
       group.spawn(waiting.run(*pair.near, "must not follow half of another"));
       co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
       doomed.cancel();
       co_await doomed.join();
       EXPECT_EQ(half_sending.end, "cancelled");
       co_await group.join();
       EXPECT_EQ(waiting.end, "disconnected");
       EXPECT_EQ(co_await outcome(pair.near->send("x")), "disconnected");
       EXPECT_EQ(pair.near->send_stalled(), Duration::zero());
       // Receiving continues, and the peer receives exactly the bytes that were sent before.
       co_await pair.far->send("hello");
       EXPECT_EQ((co_await pair.near->recv()).text(), "hello");
       pair.near->close();
       const std::string got = co_await read_to_end_or_cut(*pair.far);
       EXPECT_TRUE(got.size() < half.size() && half.starts_with(got));
     }},
    {"cancelled_flush_keeps_send_stalled_growing",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string first = pattern(more_than_fits);
       Sending first_sending;
       TaskGroup group;
       group.spawn(first_sending.run(*pair.near, first));
       co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
       // For a while the kernel may still make room on its own; then nothing but a cancelled send happens.
       int times_in_a_row = 0;
       for (int round = 0; round < 1000 && times_in_a_row < 10; ++round) {
         const Duration before = pair.near->send_stalled();
         EXPECT_EQ(co_await outcome(timeout(std::chrono::milliseconds(2), pair.near->flush())), "timed_out");
         times_in_a_row = pair.near->send_stalled() > before ? times_in_a_row + 1 : 0;
       }
       EXPECT_EQ(times_in_a_row, 10);
       group.cancel();
       co_await group.join();
     }},
};

}  // namespace coax::test::checks
