// The stream contract: receiving. For stream_contract.hpp, which programs include.
#pragma once

#include <algorithm>
#include <array>

#include "coax/test/stream_checks.hpp"

namespace coax::test::checks {

// Of the loop's pool.
inline std::size_t lent_buffers() { return Loop::current().backend().buffers().lent(); }

inline constexpr StreamCheck recv_checks[] = {
    {"recv_returns_what_has_arrived",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->send("hello");
       EXPECT_EQ((co_await pair.far->recv()).text(), "hello");
       co_await pair.far->send("and back");
       EXPECT_EQ((co_await pair.near->recv()).text(), "and back");
     }},
    {"recv_waits_for_the_first_byte",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       std::string got;
       co_await all(recv_into_string(*pair.far, got), send_all(*pair.near, "x"));
       EXPECT_EQ(got, "x");
     }},
    {"end_of_stream_is_empty_at_every_recv",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->send("last");
       co_await pair.near->shutdown_send();
       EXPECT_EQ(co_await read_to_end(*pair.far), "last");
       EXPECT_TRUE((co_await pair.far->recv()).empty());
       EXPECT_TRUE((co_await pair.far->recv()).empty());
       std::array<char, 4> buffer{};
       EXPECT_EQ(co_await pair.far->recv(buffer), 0U);
     }},
    {"recv_fills_the_callers_buffer",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->send("abcdef");
       std::array<char, 4> buffer{};
       EXPECT_EQ(co_await pair.far->recv(buffer), 4U);
       EXPECT_EQ(std::string_view(buffer.data(), 4), "abcd");
       EXPECT_EQ(co_await pair.far->recv(buffer), 2U);
       EXPECT_EQ(std::string_view(buffer.data(), 2), "ef");
     }},
    {"recv_into_an_empty_buffer_returns_0_and_consumes_nothing",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       EXPECT_EQ(co_await pair.far->recv(std::span<char>()), 0U);
       co_await pair.near->send("x");
       EXPECT_EQ(co_await pair.far->recv(std::span<char>()), 0U);
       EXPECT_EQ((co_await pair.far->recv()).text(), "x");
     }},
    {"recv_exactly_returns_the_count_asked_for",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string sent = pattern(100'000);
       TaskGroup group;
       group.spawn(send_all(*pair.near, sent));
       EXPECT_EQ(co_await pair.far->recv_exactly(1), sent.substr(0, 1));
       EXPECT_EQ(co_await pair.far->recv_exactly(0), "");
       EXPECT_TRUE(co_await pair.far->recv_exactly(99'998) == sent.substr(1, 99'998));
       EXPECT_EQ(co_await pair.far->recv_exactly(1), sent.substr(99'999));
       co_await group.join();
     }},
    {"incomplete_recv_exactly_carries_the_received_bytes",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->send("abc");
       co_await pair.near->shutdown_send();
       std::string received = "none";
       try {
         co_await pair.far->recv_exactly(10);
       } catch (const IncompleteRead& error) {
         received = error.received();
       }
       EXPECT_EQ(received, "abc");
       EXPECT_EQ(co_await outcome(pair.far->recv_exactly(1)), "disconnected");
     }},
    {"recv_exactly_allocates_for_received_bytes_only",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->send("abc");
       co_await pair.near->shutdown_send();
       EXPECT_EQ(co_await outcome(pair.far->recv_exactly(SIZE_MAX)), "disconnected");
     }},
    {"lent_bytes_stay_valid_until_the_next_recv",
     [](StreamPair& pair, const StreamKind& kind) -> Task<> {
       StreamPair other = co_await kind.make();
       co_await pair.near->send("first");
       co_await other.near->send("other");
       const Received first = co_await pair.far->recv();
       const Received second = co_await other.far->recv();
       co_await pair.near->send("more");
       co_await pair.far->send("answer");
       EXPECT_EQ((co_await pair.near->recv()).text(), "answer");
       EXPECT_EQ(first.text(), "first");
       EXPECT_EQ(second.text(), "other");
       std::ranges::fill(first.writable(), 'x');
       EXPECT_EQ(first.text(), "xxxxx");
       EXPECT_EQ(second.text(), "other");
       EXPECT_EQ((co_await pair.far->recv()).text(), "more");
     }},
    {"waiting_recv_holds_no_buffer",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->send("x");
       co_await pair.far->recv();
       EXPECT_LE(lent_buffers(), 1U);
       TaskGroup group;
       group.spawn(discard_to_end(*pair.far));
       co_await next_turn();
       EXPECT_EQ(lent_buffers(), 0U);
       co_await pair.far->send("y");
       co_await pair.near->recv();
       EXPECT_LE(lent_buffers(), 1U);
       co_await pair.near->shutdown_send();
       co_await group.join();
       pair.near->close();
       EXPECT_EQ(lent_buffers(), 0U);
     }},
};

}  // namespace coax::test::checks
