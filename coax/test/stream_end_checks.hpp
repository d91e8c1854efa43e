// The stream contract: half-close, close, reset and truncation. For stream_contract.hpp, which programs include.
#pragma once

#include <array>

#include "coax/test/stream_checks.hpp"

namespace coax::test::checks {

inline constexpr StreamCheck end_checks[] = {
    {"shutdown_send_ends_one_direction_only",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->send("last words");
       co_await pair.near->shutdown_send();
       EXPECT_EQ(co_await read_to_end(*pair.far), "last words");
       co_await pair.far->send("still here");
       EXPECT_EQ((co_await pair.near->recv()).text(), "still here");
       co_await pair.far->shutdown_send();
       EXPECT_TRUE((co_await pair.near->recv()).empty());
     },
     StreamCheck::Of::with_half_close},
    {"shutdown_send_without_half_close_ends_both_directions",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->send("last words");
       co_await pair.near->shutdown_send();
       EXPECT_EQ(co_await read_to_end(*pair.far), "last words");
       EXPECT_TRUE((co_await pair.near->recv()).empty());
       EXPECT_TRUE((co_await pair.near->recv()).empty());
     },
     StreamCheck::Of::without_half_close},
    {"truncation_is_no_end_of_stream",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.far->send("half of it");
       co_await pair.far->flush();
       EXPECT_EQ(co_await pair.near->recv_exactly(10), "half of it");
       co_await pair.truncate_far(pair);
       std::array<char, 4> buffer{};
       EXPECT_EQ(co_await outcome(pair.near->recv()), "truncated");
       EXPECT_EQ(co_await outcome(pair.near->recv(buffer)), "truncated");
     },
     StreamCheck::Of::with_end_mark},
    {"truncation_ends_a_waiting_recv",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       std::string end;
       TaskGroup group;
       group.spawn(observe_recv(*pair.near, end));
       co_await next_turn();
       co_await pair.truncate_far(pair);
       co_await group.join();
       EXPECT_EQ(end, "truncated");
     },
     StreamCheck::Of::with_end_mark},
    {"shutdown_send_follows_all_earlier_sends",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string sent = pattern(more_than_fits);
       TaskGroup group;
       group.spawn(send_all(*pair.near, sent));
       const auto shut_down = [](Stream& stream) -> Task<> { co_await stream.shutdown_send(); };
       group.spawn(shut_down(*pair.near));
       Sending late;
       group.spawn(late.run(*pair.near, "too late"));
       EXPECT_TRUE(co_await read_to_end(*pair.far) == sent);
       co_await group.join();
       EXPECT_EQ(late.end, "disconnected");
     }},
    {"send_after_shutdown_send_fails",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->shutdown_send();
       EXPECT_EQ(co_await outcome(pair.near->send("x")), "disconnected");
       EXPECT_EQ(co_await outcome(pair.near->shutdown_send()), "done");
       EXPECT_EQ(co_await outcome(pair.near->flush()), "done");
       EXPECT_EQ(co_await read_to_end(*pair.far), "");
     }},
    {"close_delivers_earlier_sends_and_the_end",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->send("bye");
       pair.near->close();
       EXPECT_EQ(co_await read_to_end(*pair.far), "bye");
     }},
    {"every_call_after_close_fails",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       pair.near->close();
       pair.near->close();
       std::array<char, 4> buffer{};
       EXPECT_EQ(co_await outcome(pair.near->recv()), "invalid");
       EXPECT_EQ(co_await outcome(pair.near->recv(buffer)), "invalid");
       EXPECT_EQ(co_await outcome(pair.near->recv_exactly(1)), "invalid");
       EXPECT_EQ(co_await outcome(pair.near->send("x")), "invalid");
       EXPECT_EQ(co_await outcome(pair.near->flush()), "invalid");
       EXPECT_EQ(co_await outcome(pair.near->shutdown_send()), "invalid");
       pair.near->end_input();
       EXPECT_EQ(co_await outcome(pair.near->recv()), "invalid");
     }},
    {"close_ends_waiting_calls",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string sent = pattern(more_than_fits);
       std::string recv_end;
       Sending first;
       Sending second;
       TaskGroup group;
       group.spawn(observe_recv(*pair.near, recv_end));
       group.spawn(first.run(*pair.near, sent));
       group.spawn(second.run(*pair.near, sent));
       co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
       pair.near->close();
       co_await group.join();
       EXPECT_EQ(recv_end, "invalid");
       EXPECT_EQ(first.end, "invalid");
       EXPECT_EQ(second.end, "invalid");
     }},
    {"send_to_a_closed_peer_fails",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       pair.far.reset();
       std::string end = "done";
       while (end == "done") end = co_await outcome(pair.near->send("x"));
       EXPECT_EQ(end, "disconnected");
       EXPECT_EQ(co_await outcome(pair.near->send("x")), "disconnected");
     }},
    {"waiting_send_fails_when_the_peer_closes",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string sent = pattern(more_than_fits);
       Sending sending;
       TaskGroup group;
       group.spawn(sending.run(*pair.near, sent));
       co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
       pair.far.reset();
       co_await group.join();
       EXPECT_EQ(sending.end, "disconnected");
     }},
    {"reset_is_an_error_at_every_recv",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await reset_far(pair);
       EXPECT_EQ(co_await outcome(pair.near->recv()), "disconnected");
       EXPECT_EQ(co_await outcome(pair.near->recv()), "disconnected");
       EXPECT_EQ(co_await outcome(pair.near->shutdown_send()), "disconnected");
     }},
    {"reset_ends_a_waiting_recv_and_send",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string sent = pattern(more_than_fits);
       std::string recv_end;
       Sending sending;
       TaskGroup group;
       group.spawn(sending.run(*pair.near, sent));
       group.spawn(observe_recv(*pair.near, recv_end));
       co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
       co_await reset_far(pair);
       co_await group.join();
       EXPECT_EQ(recv_end, "disconnected");
       EXPECT_EQ(sending.end, "disconnected");
     }},
    // The kernel reports a reset once, to the first call.
    {"reset_seen_by_send_first_is_no_end_of_stream",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await reset_far(pair);
       std::string end = "done";
       while (end == "done") end = co_await outcome(pair.near->send("x"));
       EXPECT_EQ(end, "disconnected");
       EXPECT_EQ(co_await outcome(discard_to_end(*pair.near)), "disconnected");
     }},
    {"end_input_ends_waiting_and_later_recvs",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       std::string got = "nothing yet";
       TaskGroup group;
       group.spawn(recv_into_string(*pair.near, got));
       co_await next_turn();
       pair.near->end_input();
       co_await group.join();
       EXPECT_EQ(got, "");
       co_await pair.far->send("not taken");
       co_await next_turn();
       EXPECT_TRUE((co_await pair.near->recv()).empty());
       std::array<char, 4> buffer{};
       EXPECT_EQ(co_await pair.near->recv(buffer), 0U);
       co_await pair.near->send("still sending");
       EXPECT_EQ((co_await pair.far->recv()).text(), "still sending");
     }},
    {"last_active_follows_received_and_sent_bytes",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const TimePoint before = pair.near->last_active();
       co_await until([&] { return Loop::current().now() > before; });
       co_await pair.near->send("x");
       co_await pair.near->flush();
       const TimePoint sent = pair.near->last_active();
       EXPECT_GT(sent, before);
       co_await pair.far->recv();
       co_await until([&] { return Loop::current().now() > sent; });
       co_await pair.far->send("y");
       co_await pair.near->recv();
       EXPECT_GT(pair.near->last_active(), sent);
     }},
};

}  // namespace coax::test::checks
