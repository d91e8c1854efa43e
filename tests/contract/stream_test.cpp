// What every stream promises, whatever it is made of: receiving and sending. A new kind of stream is one more row in
// support/stream_pairs.hpp.
#include "coax/stream/stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "tests/contract/stream_contract.hpp"
#include "tests/support/random.hpp"

using namespace coax;
using namespace coax::test;

namespace {

class StreamContract : public OnStreamPair {};
INSTANTIATE_TEST_SUITE_P(, StreamContract, ::testing::ValuesIn(stream_kinds), name_of_kind);

std::size_t lent_buffers() { return Loop::current().backend().buffers().lent(); }

}  // namespace

// --- receiving ---

TEST_P(StreamContract, recv_gives_what_there_is) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->send("hello");
    EXPECT_EQ((co_await pair.far->recv()).text(), "hello");
    co_await pair.far->send("and back");
    EXPECT_EQ((co_await pair.near->recv()).text(), "and back");
  });
}

TEST_P(StreamContract, recv_waits_for_something_to_come) {
  run([](StreamPair& pair) -> Task<> {
    std::string got;
    co_await all(recv_into_string(*pair.far, got), send_all(*pair.near, "x"));
    EXPECT_EQ(got, "x");
  });
}

TEST_P(StreamContract, the_end_is_empty_again_and_again) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->send("last");
    co_await pair.near->shutdown_send();
    EXPECT_EQ(co_await read_to_end(*pair.far), "last");
    EXPECT_TRUE((co_await pair.far->recv()).empty());
    EXPECT_TRUE((co_await pair.far->recv()).empty());
    std::array<char, 4> buffer{};
    EXPECT_EQ(co_await pair.far->recv(buffer), 0U);
  });
}

TEST_P(StreamContract, recv_fills_a_buffer_of_the_caller) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->send("abcdef");
    std::array<char, 4> buffer{};
    EXPECT_EQ(co_await pair.far->recv(buffer), 4U);
    EXPECT_EQ(std::string_view(buffer.data(), 4), "abcd");
    EXPECT_EQ(co_await pair.far->recv(buffer), 2U);
    EXPECT_EQ(std::string_view(buffer.data(), 2), "ef");
  });
}

TEST_P(StreamContract, recv_into_an_empty_buffer_gives_0_at_once_and_takes_nothing) {
  run([](StreamPair& pair) -> Task<> {
    EXPECT_EQ(co_await pair.far->recv(std::span<char>()), 0U);
    co_await pair.near->send("x");
    EXPECT_EQ(co_await pair.far->recv(std::span<char>()), 0U);
    EXPECT_EQ((co_await pair.far->recv()).text(), "x");
  });
}

TEST_P(StreamContract, recv_exactly_gives_so_many_bytes) {
  run([](StreamPair& pair) -> Task<> {
    const std::string sent = pattern(100'000);
    TaskGroup group;
    group.spawn(send_all(*pair.near, sent));
    EXPECT_EQ(co_await pair.far->recv_exactly(1), sent.substr(0, 1));
    EXPECT_EQ(co_await pair.far->recv_exactly(0), "");
    EXPECT_TRUE(co_await pair.far->recv_exactly(99'998) == sent.substr(1, 99'998));
    EXPECT_EQ(co_await pair.far->recv_exactly(1), sent.substr(99'999));
    co_await group.join();
  });
}

TEST_P(StreamContract, recv_exactly_that_gets_less_carries_what_came) {
  run([](StreamPair& pair) -> Task<> {
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
  });
}

TEST_P(StreamContract, recv_exactly_takes_memory_for_what_comes_and_not_for_what_is_asked) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->send("abc");
    co_await pair.near->shutdown_send();
    EXPECT_EQ(co_await outcome(pair.far->recv_exactly(SIZE_MAX)), "disconnected");
  });
}

TEST_P(StreamContract, what_recv_lends_stays_until_the_next_call_on_that_stream) {
  run([](StreamPair& pair) -> Task<> {
    StreamPair other = co_await GetParam().make();
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
  });
}

TEST_P(StreamContract, a_stream_that_waits_holds_no_buffer) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->send("x");
    co_await pair.far->recv();
    EXPECT_EQ(lent_buffers(), 1U);
    TaskGroup group;
    group.spawn(read_away(*pair.far));
    co_await next_turn();
    EXPECT_EQ(lent_buffers(), 0U);
    co_await pair.near->shutdown_send();
    co_await group.join();
    EXPECT_EQ(lent_buffers(), 0U);
    co_await pair.far->send("y");
    co_await pair.near->recv();
    EXPECT_EQ(lent_buffers(), 1U);
    pair.near->close();
    EXPECT_EQ(lent_buffers(), 0U);
  });
}

// --- sending ---

TEST_P(StreamContract, send_sends_all) {
  run([](StreamPair& pair) -> Task<> {
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
  });
}

TEST_P(StreamContract, bytes_of_any_value_pass) {
  run([](StreamPair& pair) -> Task<> {
    std::array<char, 256> bytes{};
    std::iota(bytes.begin(), bytes.end(), '\0');
    co_await pair.near->send(Bytes(std::span(bytes)));
    EXPECT_EQ(co_await pair.far->recv_exactly(256), std::string_view(bytes.data(), bytes.size()));
  });
}

TEST_P(StreamContract, pieces_go_out_as_one) {
  run([](StreamPair& pair) -> Task<> {
    const std::string large = pattern(300'000);
    std::vector<Bytes> pieces{"a", "", "bc", large, "", "d"};
    for (int count = 0; count < 200; ++count) pieces.emplace_back("piece");
    std::string expected;
    for (const Bytes& piece : pieces) expected.append(piece.text());
    TaskGroup group;
    const auto send = [](Stream& stream, std::span<const Bytes> many) -> Task<> { co_await stream.send(many); };
    group.spawn(send(*pair.near, pieces));
    group.spawn(send(*pair.near, {}));
    group.spawn(send_all(*pair.near, ""));
    group.spawn(send_all(*pair.near, "end"));
    EXPECT_TRUE(co_await pair.far->recv_exactly(expected.size()) == expected);
    EXPECT_EQ(co_await pair.far->recv_exactly(3), "end");
    co_await group.join();
  });
}

namespace {

// Each message tells its number in the order of the calls and its length.
Task<> send_numbered(Stream& stream, Random& random, std::uint32_t& calls, int count) {
  for (int sent = 0; sent < count; ++sent) {
    const std::uint32_t size = static_cast<std::uint32_t>(random.one_in(10) ? random.below(50'000) : random.below(300));
    const std::uint32_t number = calls++;
    std::string message(8 + size, static_cast<char>(number));
    std::memcpy(message.data(), &number, 4);
    std::memcpy(message.data() + 4, &size, 4);
    const std::size_t cut = random.below(message.size());
    const std::array<Bytes, 2> pieces{Bytes(message).first(cut), Bytes(message).from(cut)};
    if (random.one_in(2)) {
      co_await stream.send(message);
    } else {
      co_await stream.send(pieces);
    }
    if (random.one_in(20)) co_await next_turn();
  }
}

Task<> expect_numbered(Stream& stream, std::uint32_t count) {
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

}  // namespace

TEST_P(StreamContract, concurrent_sends_go_out_whole_in_the_order_of_the_calls) {
  run([](StreamPair& pair) -> Task<> {
    Random random;
    std::uint32_t calls = 0;
    TaskGroup group;
    for (int sender = 0; sender < 20; ++sender) group.spawn(send_numbered(*pair.near, random, calls, 50));
    co_await expect_numbered(*pair.far, 20 * 50);
    co_await group.join();
  });
}

TEST_P(StreamContract, send_waits_while_the_peer_does_not_read) {
  run([](StreamPair& pair) -> Task<> {
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
  });
}

TEST_P(StreamContract, small_sends_wait_too_in_the_end) {
  run([](StreamPair& pair) -> Task<> {
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
  });
}

TEST_P(StreamContract, flush_returns_when_all_is_on_its_way) {
  run([](StreamPair& pair) -> Task<> {
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
  });
}

TEST_P(StreamContract, queue_takes_a_few_bytes_at_once_behind_what_was_sent) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->send("sent, ");
    EXPECT_TRUE(pair.near->queue("queued, "));
    EXPECT_TRUE(pair.near->queue(""));
    co_await pair.near->send("sent");
    EXPECT_EQ(co_await pair.far->recv_exactly(18), "sent, queued, sent");
    EXPECT_TRUE(pair.near->queue("queued alone"));
    EXPECT_EQ(co_await pair.far->recv_exactly(12), "queued alone");
  });
}

TEST_P(StreamContract, queue_refuses_what_would_have_to_wait) {
  run([](StreamPair& pair) -> Task<> {
    const std::string sent = pattern(more_than_fits);
    EXPECT_FALSE(pair.near->queue(sent));
    TaskGroup group;
    group.spawn(send_all(*pair.near, sent));
    co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
    EXPECT_FALSE(pair.near->queue("in the middle?"));
    EXPECT_TRUE(co_await pair.far->recv_exactly(sent.size()) == sent);
    co_await group.join();
    EXPECT_TRUE(pair.near->queue("room again"));
    EXPECT_EQ(co_await pair.far->recv_exactly(10), "room again");
    co_await pair.near->shutdown_send();
    EXPECT_FALSE(pair.near->queue("too late"));
    EXPECT_EQ(co_await read_to_end(*pair.far), "");
    pair.near->close();
    EXPECT_FALSE(pair.near->queue("far too late"));
  });
}

// --- everything at once ---

namespace {

Task<> send_in_chunks(Stream& stream, Random& random, const std::string& all) {
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t size = std::min(all.size() - at, random.between(1, random.one_in(5) ? 200'000 : 2'000));
    co_await stream.send(Bytes(all).from(at).first(size));
    if (random.one_in(10)) co_await next_turn();
    if (random.one_in(50)) co_await stream.flush();
    at += size;
  }
  co_await stream.shutdown_send();
}

// In any of the ways to receive, until the end.
Task<std::string> recv_in_chunks(Stream& stream, Random& random) {
  std::string all;
  std::string buffer(70'000, '\0');
  while (true) {
    std::size_t got = 0;
    if (random.one_in(2)) {
      const Bytes bytes = co_await stream.recv();
      all.append(bytes.text());
      got = bytes.size();
    } else {
      got = co_await stream.recv(std::span(buffer).first(random.between(1, buffer.size())));
      all.append(buffer, 0, got);
    }
    if (got == 0) co_return all;
    if (random.one_in(10)) co_await next_turn();
  }
}

Task<> echo(Stream& stream) {
  while (const Bytes bytes = co_await stream.recv()) co_await stream.send(bytes);
  co_await stream.shutdown_send();
}

}  // namespace

TEST_P(StreamContract, an_echo_of_random_chunks_comes_back_whole) {
  run([](StreamPair& pair) -> Task<> {
    Random random;
    const std::string sent = random.bytes(3_MiB);
    const auto results =
        co_await all(send_in_chunks(*pair.near, random, sent), recv_in_chunks(*pair.near, random), echo(*pair.far));
    EXPECT_TRUE(std::get<1>(results) == sent);
  });
}

TEST_P(StreamContract, both_directions_at_once_do_not_mix) {
  run([](StreamPair& pair) -> Task<> {
    Random random;
    const std::string there = random.bytes(3_MiB);
    const std::string back = random.bytes(3_MiB);
    const auto results =
        co_await all(send_in_chunks(*pair.near, random, there), send_in_chunks(*pair.far, random, back),
                     recv_in_chunks(*pair.near, random), recv_in_chunks(*pair.far, random));
    EXPECT_TRUE(std::get<2>(results) == back);
    EXPECT_TRUE(std::get<3>(results) == there);
  });
}
