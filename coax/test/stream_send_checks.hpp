// The stream contract: sending, and both directions at once. For stream_contract.hpp, which programs include.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <vector>

#include "coax/test/stream_checks.hpp"

namespace coax::test::checks {

// Each message begins with its number, in the order of the calls, and its length.
inline Task<> send_numbered(Stream& stream, Random& random, std::uint32_t& calls, int count) {
  for (int sent = 0; sent < count; ++sent) {
    const std::uint32_t size = static_cast<std::uint32_t>(random.one_in(10) ? random.below(50'000) : random.below(300));
    const std::uint32_t number = calls++;
    std::string message(8 + size, static_cast<char>(number));
    std::memcpy(message.data(), &number, 4);
    std::memcpy(message.data() + 4, &size, 4);
    const std::size_t cut = random.below(message.size());
    const std::array<BytesView, 2> pieces{BytesView(message).first(cut), BytesView(message).from(cut)};
    if (random.one_in(2)) {
      co_await stream.send(message);
    } else {
      co_await stream.send(pieces);
    }
    if (random.one_in(20)) co_await next_turn();
  }
}

inline Task<> expect_numbered(Stream& stream, std::uint32_t count) {
  for (std::uint32_t expected = 0; expected < count; ++expected) {
    const std::string head = co_await stream.recv_exactly(8);
    std::uint32_t number = 0;
    std::uint32_t size = 0;
    std::memcpy(&number, head.data(), 4);
    std::memcpy(&size, head.data() + 4, 4);
    if (number != expected) {
      ADD_FAILURE() << "message " << number << " came as number " << expected;
      co_return;
    }
    const std::string body = co_await stream.recv_exactly(size);
    EXPECT_EQ(body.find_first_not_of(static_cast<char>(number)), std::string::npos);
  }
}

inline Task<> send_in_chunks(Stream& stream, Random& random, const std::string& all, bool half_closes) {
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t size = std::min(all.size() - at, random.between(1, random.one_in(5) ? 200'000 : 2'000));
    co_await stream.send(BytesView(all).from(at).first(size));
    if (random.one_in(10)) co_await next_turn();
    if (random.one_in(50)) co_await stream.flush();
    at += size;
  }
  if (half_closes) co_await stream.shutdown_send();
}

// In any of the ways to receive; with half-close until the end, otherwise `count` bytes.
inline Task<std::string> recv_in_chunks(Stream& stream, Random& random, std::size_t count, bool half_closes) {
  std::string all;
  std::string buffer(70'000, '\0');
  while (half_closes || all.size() < count) {
    std::size_t got = 0;
    if (random.one_in(2)) {
      const BytesView bytes = co_await stream.recv();
      all.append(bytes.text());
      got = bytes.size();
    } else {
      got = co_await stream.recv(std::span(buffer).first(random.between(1, buffer.size())));
      all.append(buffer, 0, got);
    }
    if (got == 0) break;
    if (random.one_in(10)) co_await next_turn();
  }
  co_return all;
}

inline Task<> echo(Stream& stream, std::size_t count, bool half_closes) {
  for (std::size_t echoed = 0; half_closes || echoed < count;) {
    const BytesView bytes = co_await stream.recv();
    if (bytes.empty()) break;
    co_await stream.send(bytes);
    echoed += bytes.size();
  }
  if (half_closes) co_await stream.shutdown_send();
}

inline constexpr StreamCheck send_checks[] = {
    {"send_sends_all",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string sent = pattern(8_MiB);
       TaskGroup group;
       group.spawn(send_all(*pair.near, sent));
       std::string got;
       while (got.size() < sent.size()) {
         got.append((co_await pair.far->recv()).text());
         if (got.size() % 7 == 0) co_await next_turn();
       }
       EXPECT_TRUE(got == sent);
       co_await group.join();
     }},
    {"bytes_of_any_value_pass",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       std::array<char, 256> bytes{};
       std::iota(bytes.begin(), bytes.end(), '\0');
       co_await pair.near->send(BytesView(std::span(bytes)));
       EXPECT_EQ(co_await pair.far->recv_exactly(256), std::string_view(bytes.data(), bytes.size()));
     }},
    {"pieces_are_sent_as_one",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string large = pattern(300'000);
       std::vector<BytesView> pieces{"a", "", "bc", large, "", "d"};
       for (int count = 0; count < 200; ++count) pieces.emplace_back("piece");
       std::string expected;
       for (const BytesView& piece : pieces) expected.append(piece.text());
       TaskGroup group;
       const auto send = [](Stream& stream, std::span<const BytesView> many) -> Task<> { co_await stream.send(many); };
       group.spawn(send(*pair.near, pieces));
       group.spawn(send(*pair.near, {}));
       group.spawn(send_all(*pair.near, ""));
       group.spawn(send_all(*pair.near, "end"));
       EXPECT_TRUE(co_await pair.far->recv_exactly(expected.size()) == expected);
       EXPECT_EQ(co_await pair.far->recv_exactly(3), "end");
       co_await group.join();
     }},
    {"concurrent_sends_are_whole_and_in_order_of_the_calls",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       Random random;
       std::uint32_t calls = 0;
       TaskGroup group;
       for (int sender = 0; sender < 20; ++sender) group.spawn(send_numbered(*pair.near, random, calls, 50));
       co_await expect_numbered(*pair.far, 20 * 50);
       co_await group.join();
     }},
    {"send_waits_while_the_peer_does_not_read",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string sent = pattern(more_than_fits);
       Sending sending;
       TaskGroup group;
       EXPECT_EQ(pair.near->send_stalled(), Duration::zero());
       group.spawn(sending.run(*pair.near, sent));
       co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
       EXPECT_EQ(sending.end, "");
       EXPECT_TRUE(co_await pair.far->recv_exactly(sent.size()) == sent);
       co_await group.join();
       EXPECT_EQ(sending.end, "done");
       EXPECT_EQ(pair.near->send_stalled(), Duration::zero());
     }},
    {"small_sends_wait_once_the_queue_is_full",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       TaskGroup group;
       const auto send = [](Stream& stream) -> Task<> {
         const std::string small(1000, 'x');
         for (std::size_t sent = 0; sent < more_than_fits; sent += small.size()) co_await stream.send(small);
       };
       group.spawn(send(*pair.near));
       co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
       EXPECT_EQ(group.size(), 1U);
       group.cancel();
       co_await group.join();
     }},
    {"flush_returns_when_the_queue_is_empty",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->flush();
       co_await pair.near->send("queued");
       co_await pair.near->flush();
       EXPECT_EQ((co_await pair.far->recv()).text(), "queued");

       const std::string sent = pattern(more_than_fits);
       TaskGroup group;
       group.spawn(send_all(*pair.near, sent));
       std::string flushed;
       const auto flush = [](Stream& stream, std::string& end) -> Task<> { end = co_await outcome(stream.flush()); };
       group.spawn(flush(*pair.near, flushed));
       co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
       EXPECT_EQ(flushed, "");
       EXPECT_TRUE(co_await pair.far->recv_exactly(sent.size()) == sent);
       co_await group.join();
       EXPECT_EQ(flushed, "done");
     }},
    {"queue_appends_behind_earlier_sends",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       co_await pair.near->send("sent, ");
       EXPECT_TRUE(pair.near->queue("queued, "));
       EXPECT_TRUE(pair.near->queue(""));
       co_await pair.near->send("sent");
       EXPECT_EQ(co_await pair.far->recv_exactly(18), "sent, queued, sent");
       EXPECT_TRUE(pair.near->queue("queued alone"));
       EXPECT_EQ(co_await pair.far->recv_exactly(12), "queued alone");
     }},
    {"queue_refuses_bytes_that_would_have_to_wait",
     [](StreamPair& pair, const StreamKind&) -> Task<> {
       const std::string sent = pattern(more_than_fits);
       EXPECT_FALSE(pair.near->queue(sent));
       TaskGroup group;
       group.spawn(send_all(*pair.near, sent));
       co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
       EXPECT_FALSE(pair.near->queue("in the middle?"));
       EXPECT_TRUE(co_await pair.far->recv_exactly(sent.size()) == sent);
       co_await group.join();
       co_await pair.near->flush();  // the peer may have the bytes a turn before near knows it
       EXPECT_TRUE(pair.near->queue("room again"));
       EXPECT_EQ(co_await pair.far->recv_exactly(10), "room again");
       co_await pair.near->shutdown_send();
       EXPECT_FALSE(pair.near->queue("too late"));
       EXPECT_EQ(co_await read_to_end(*pair.far), "");
       pair.near->close();
       EXPECT_FALSE(pair.near->queue("far too late"));
     }},
    {"echo_of_random_chunks_is_whole",
     [](StreamPair& pair, const StreamKind& kind) -> Task<> {
       Random random;
       const std::string sent = random.bytes(3_MiB);
       const auto results = co_await all(send_in_chunks(*pair.near, random, sent, kind.half_closes),
                                         recv_in_chunks(*pair.near, random, sent.size(), kind.half_closes),
                                         echo(*pair.far, sent.size(), kind.half_closes));
       EXPECT_TRUE(std::get<1>(results) == sent);
     }},
    {"directions_do_not_mix",
     [](StreamPair& pair, const StreamKind& kind) -> Task<> {
       Random random;
       const std::string there = random.bytes(3_MiB);
       const std::string back = random.bytes(3_MiB);
       const auto results = co_await all(send_in_chunks(*pair.near, random, there, kind.half_closes),
                                         send_in_chunks(*pair.far, random, back, kind.half_closes),
                                         recv_in_chunks(*pair.near, random, back.size(), kind.half_closes),
                                         recv_in_chunks(*pair.far, random, there.size(), kind.half_closes));
       EXPECT_TRUE(std::get<2>(results) == back);
       EXPECT_TRUE(std::get<3>(results) == there);
     }},
};

}  // namespace coax::test::checks
