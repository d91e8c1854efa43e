// What every stream promises, whatever it is made of. A new kind of stream is one more row in support/stream_pairs.hpp.
#include "coax/stream/stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "tests/support/random.hpp"
#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

// Far more than any kind of stream holds between its ends.
constexpr std::size_t more_than_fits = 32_MiB;

std::string pattern(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t at = 0; at < count; ++at) bytes[at] = static_cast<char>(at * 31 + at / 251);
  return bytes;
}

class StreamContract : public ::testing::TestWithParam<StreamKind> {
 protected:
  static Task<> with_pair(Task<> (*body)(StreamPair&)) {
    StreamPair pair = co_await GetParam().make();
    co_await body(pair);
  }
  static void run(Task<> (*body)(StreamPair&)) {
    coax::test::run([body] { return with_pair(body); });
  }
};

Task<std::string> read_to_end(Stream& stream) {
  std::string all;
  while (const Bytes bytes = co_await stream.recv()) all.append(bytes.text());
  co_return all;
}

// The end as a receiver sees it who reads away what came before.
Task<> read_away(Stream& stream) {
  while (co_await stream.recv()) {
  }
}

// A send that is under way in a group: how it ends is in `end`, empty until then.
struct Sending {
  std::string end;
  Task<> run(Stream& stream, Bytes bytes) { end = co_await outcome(stream.send(bytes)); }
};

Task<> send_all(Stream& stream, Bytes bytes) { co_await stream.send(bytes); }

Task<> recv_into_string(Stream& stream, std::string& to) { to = (co_await stream.recv()).string(); }

std::size_t lent_buffers() { return Loop::current().backend().buffers().lent(); }

INSTANTIATE_TEST_SUITE_P(, StreamContract, ::testing::ValuesIn(stream_kinds),
                         [](const auto& info) { return std::string(info.param.name); });

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
    co_await pair.near->finish();
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
    co_await pair.near->finish();
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
    co_await pair.near->finish();
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
    EXPECT_EQ(pair.near->stuck(), Duration::zero());
    group.spawn(sending.run(*pair.near, sent));
    co_await until([&] { return pair.near->stuck() > Duration::zero(); });
    EXPECT_EQ(sending.end, "");
    EXPECT_TRUE(co_await pair.far->recv_exactly(sent.size()) == sent);
    co_await group.join();
    EXPECT_EQ(sending.end, "done");
    EXPECT_EQ(pair.near->stuck(), Duration::zero());
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
    co_await until([&] { return pair.near->stuck() > Duration::zero(); });
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
    co_await until([&] { return pair.near->stuck() > Duration::zero(); });
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
    co_await until([&] { return pair.near->stuck() > Duration::zero(); });
    EXPECT_FALSE(pair.near->queue("in the middle?"));
    EXPECT_TRUE(co_await pair.far->recv_exactly(sent.size()) == sent);
    co_await group.join();
    EXPECT_TRUE(pair.near->queue("room again"));
    EXPECT_EQ(co_await pair.far->recv_exactly(10), "room again");
    co_await pair.near->finish();
    EXPECT_FALSE(pair.near->queue("too late"));
    EXPECT_EQ(co_await read_to_end(*pair.far), "");
    pair.near->close();
    EXPECT_FALSE(pair.near->queue("far too late"));
  });
}

// --- the end ---

TEST_P(StreamContract, finish_ends_one_direction_only) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->send("last words");
    co_await pair.near->finish();
    EXPECT_EQ(co_await read_to_end(*pair.far), "last words");
    co_await pair.far->send("still here");
    EXPECT_EQ((co_await pair.near->recv()).text(), "still here");
    co_await pair.far->finish();
    EXPECT_TRUE((co_await pair.near->recv()).empty());
  });
}

TEST_P(StreamContract, finish_comes_after_all_that_was_sent_before) {
  run([](StreamPair& pair) -> Task<> {
    const std::string sent = pattern(more_than_fits);
    TaskGroup group;
    group.spawn(send_all(*pair.near, sent));
    const auto finish = [](Stream& stream) -> Task<> { co_await stream.finish(); };
    group.spawn(finish(*pair.near));
    Sending late;
    group.spawn(late.run(*pair.near, "too late"));
    EXPECT_TRUE(co_await read_to_end(*pair.far) == sent);
    co_await group.join();
    EXPECT_EQ(late.end, "disconnected");
  });
}

TEST_P(StreamContract, after_finish_sending_fails_and_finishing_again_does_nothing) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->finish();
    EXPECT_EQ(co_await outcome(pair.near->send("x")), "disconnected");
    EXPECT_EQ(co_await outcome(pair.near->finish()), "done");
    EXPECT_EQ(co_await outcome(pair.near->flush()), "done");
    EXPECT_EQ(co_await read_to_end(*pair.far), "");
  });
}

TEST_P(StreamContract, close_lets_what_was_sent_arrive_and_then_the_end) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->send("bye");
    pair.near->close();
    EXPECT_EQ(co_await read_to_end(*pair.far), "bye");
  });
}

TEST_P(StreamContract, after_close_every_call_fails) {
  run([](StreamPair& pair) -> Task<> {
    pair.near->close();
    pair.near->close();
    std::array<char, 4> buffer{};
    EXPECT_EQ(co_await outcome(pair.near->recv()), "invalid");
    EXPECT_EQ(co_await outcome(pair.near->recv(buffer)), "invalid");
    EXPECT_EQ(co_await outcome(pair.near->recv_exactly(1)), "invalid");
    EXPECT_EQ(co_await outcome(pair.near->send("x")), "invalid");
    EXPECT_EQ(co_await outcome(pair.near->flush()), "invalid");
    EXPECT_EQ(co_await outcome(pair.near->finish()), "invalid");
    pair.near->end_input();
    EXPECT_EQ(co_await outcome(pair.near->recv()), "invalid");
  });
}

TEST_P(StreamContract, close_ends_what_is_waiting) {
  run([](StreamPair& pair) -> Task<> {
    const std::string sent = pattern(more_than_fits);
    std::string recv_end;
    Sending first;
    Sending second;
    TaskGroup group;
    const auto recv = [](Stream& stream, std::string& end) -> Task<> { end = co_await outcome(stream.recv()); };
    group.spawn(recv(*pair.near, recv_end));
    group.spawn(first.run(*pair.near, sent));
    group.spawn(second.run(*pair.near, sent));
    co_await until([&] { return pair.near->stuck() > Duration::zero(); });
    pair.near->close();
    co_await group.join();
    EXPECT_EQ(recv_end, "invalid");
    EXPECT_EQ(first.end, "invalid");
    EXPECT_EQ(second.end, "invalid");
  });
}

TEST_P(StreamContract, who_sends_to_a_closed_peer_is_told_so) {
  run([](StreamPair& pair) -> Task<> {
    pair.far.reset();
    std::string end = "done";
    while (end == "done") end = co_await outcome(pair.near->send("x"));
    EXPECT_EQ(end, "disconnected");
    EXPECT_EQ(co_await outcome(pair.near->send("x")), "disconnected");
  });
}

TEST_P(StreamContract, a_send_that_waits_is_told_that_the_peer_closed) {
  run([](StreamPair& pair) -> Task<> {
    const std::string sent = pattern(more_than_fits);
    Sending sending;
    TaskGroup group;
    group.spawn(sending.run(*pair.near, sent));
    co_await until([&] { return pair.near->stuck() > Duration::zero(); });
    pair.far.reset();
    co_await group.join();
    EXPECT_EQ(sending.end, "disconnected");
  });
}

TEST_P(StreamContract, a_reset_is_an_error_now_and_at_every_further_recv) {
  run([](StreamPair& pair) -> Task<> {
    pair.reset_far(pair);
    EXPECT_EQ(co_await outcome(pair.near->recv()), "disconnected");
    EXPECT_EQ(co_await outcome(pair.near->recv()), "disconnected");
    EXPECT_EQ(co_await outcome(pair.near->finish()), "disconnected");
  });
}

TEST_P(StreamContract, a_reset_ends_a_recv_and_a_send_that_wait) {
  run([](StreamPair& pair) -> Task<> {
    const std::string sent = pattern(more_than_fits);
    std::string recv_end;
    Sending sending;
    TaskGroup group;
    const auto recv = [](Stream& stream, std::string& end) -> Task<> { end = co_await outcome(stream.recv()); };
    group.spawn(sending.run(*pair.near, sent));
    group.spawn(recv(*pair.near, recv_end));
    co_await until([&] { return pair.near->stuck() > Duration::zero(); });
    pair.reset_far(pair);
    co_await group.join();
    EXPECT_EQ(recv_end, "disconnected");
    EXPECT_EQ(sending.end, "disconnected");
  });
}

// The kernel tells a reset once, to whoever asks first.
TEST_P(StreamContract, a_reset_that_a_send_saw_first_is_no_end_to_the_receiver) {
  run([](StreamPair& pair) -> Task<> {
    pair.reset_far(pair);
    std::string end = "done";
    while (end == "done") end = co_await outcome(pair.near->send("x"));
    EXPECT_EQ(end, "disconnected");
    EXPECT_EQ(co_await outcome(read_away(*pair.near)), "disconnected");
  });
}

TEST_P(StreamContract, end_input_ends_a_recv_that_waits_and_the_later_ones) {
  run([](StreamPair& pair) -> Task<> {
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
    co_await pair.near->send("sending goes on");
    EXPECT_EQ((co_await pair.far->recv()).text(), "sending goes on");
  });
}

TEST_P(StreamContract, last_active_moves_with_what_comes_and_goes) {
  run([](StreamPair& pair) -> Task<> {
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
  });
}

// --- cancellation ---

TEST_P(StreamContract, a_cancelled_recv_takes_nothing) {
  run([](StreamPair& pair) -> Task<> {
    Random random;
    const auto waiting = [](Event& event) -> Task<> { co_await event.wait(); };
    const auto recv = [](Stream& stream) -> Task<std::string> { co_return (co_await stream.recv()).string(); };
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
      auto result = co_await race(waiting(event), recv(*pair.far));
      if (result.index() == 1) got += std::get<1>(result);
      co_await group.join();
    }
    got += co_await pair.far->recv_exactly(400 - got.size());
    std::string expected;
    for (int round = 0; round < 200; ++round) expected += "ab";
    EXPECT_EQ(got, expected);
  });
}

TEST_P(StreamContract, a_time_limit_ends_a_recv) {
  run([](StreamPair& pair) -> Task<> {
    EXPECT_EQ(co_await outcome(timeout(1ms, pair.near->recv())), "timed_out");
    std::array<char, 4> buffer{};
    EXPECT_EQ(co_await outcome(timeout(1ms, pair.near->recv(buffer))), "timed_out");
    const auto first = co_await race(pair.near->recv(), sleep(1ms));
    EXPECT_EQ(first.index(), 1U);
    co_await pair.far->send("x");
    EXPECT_EQ((co_await timeout(time_limit, pair.near->recv())).text(), "x");
  });
}

TEST_P(StreamContract, in_a_cancelled_context_nothing_begins) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.far->send("waits to be read");
    const auto recv = [](Stream& stream, std::string& end) -> Task<> { end = co_await outcome(stream.recv()); };
    std::string recv_end;
    Sending sending;
    TaskGroup group;
    group.cancel();
    group.spawn(recv(*pair.near, recv_end));
    group.spawn(sending.run(*pair.near, "never sent"));
    EXPECT_EQ(recv_end, "cancelled");
    EXPECT_EQ(sending.end, "cancelled");
    co_await group.join();
    EXPECT_EQ((co_await pair.near->recv()).text(), "waits to be read");
    co_await pair.near->send("sent");
    EXPECT_EQ((co_await pair.far->recv()).text(), "sent");
  });
}

TEST_P(StreamContract, a_send_that_is_cancelled_before_its_turn_leaves_nothing) {
  run([](StreamPair& pair) -> Task<> {
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
    co_await until([&] { return pair.near->stuck() > Duration::zero(); });
    doomed.cancel();
    co_await doomed.join();
    EXPECT_EQ(never_sending.end, "cancelled");
    EXPECT_TRUE(co_await pair.far->recv_exactly(first.size()) == first);
    EXPECT_EQ(co_await pair.far->recv_exactly(4), "last");
    co_await group.join();
    EXPECT_EQ(first_sending.end, "done");
    EXPECT_EQ(last_sending.end, "done");
  });
}

TEST_P(StreamContract, a_send_that_is_cancelled_halfway_breaks_sending) {
  run([](StreamPair& pair) -> Task<> {
    const std::string half = pattern(more_than_fits);
    Sending half_sending;
    Sending waiting;
    TaskGroup doomed;
    TaskGroup group;
    doomed.spawn(half_sending.run(*pair.near, half));
    group.spawn(waiting.run(*pair.near, "must not follow half of another"));
    co_await until([&] { return pair.near->stuck() > Duration::zero(); });
    doomed.cancel();
    co_await doomed.join();
    EXPECT_EQ(half_sending.end, "cancelled");
    co_await group.join();
    EXPECT_EQ(waiting.end, "disconnected");
    EXPECT_EQ(co_await outcome(pair.near->send("x")), "disconnected");
    EXPECT_EQ(pair.near->stuck(), Duration::zero());
    // Receiving goes on, and what the peer gets is what was sent up to there.
    co_await pair.far->send("hello");
    EXPECT_EQ((co_await pair.near->recv()).text(), "hello");
    pair.near->close();
    const std::string got = co_await read_to_end(*pair.far);
    EXPECT_TRUE(got.size() < half.size() && half.starts_with(got));
  });
}

TEST_P(StreamContract, a_stuck_peer_stays_stuck_when_another_send_is_cancelled) {
  run([](StreamPair& pair) -> Task<> {
    const std::string first = pattern(more_than_fits);
    Sending first_sending;
    TaskGroup group;
    group.spawn(first_sending.run(*pair.near, first));
    co_await until([&] { return pair.near->stuck() > Duration::zero(); });
    Duration stuck = pair.near->stuck();
    for (int times = 0; times < 10; ++times) {
      EXPECT_EQ(co_await outcome(timeout(2ms, pair.near->flush())), "timed_out");
      EXPECT_GT(pair.near->stuck(), stuck);
      stuck = pair.near->stuck();
    }
    group.cancel();
    co_await group.join();
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
  co_await stream.finish();
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
  co_await stream.finish();
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
