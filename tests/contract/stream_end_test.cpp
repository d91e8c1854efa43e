// What every stream promises about its end, and about calls that are cancelled.
#include <gtest/gtest.h>

#include <array>

#include "coax/stream/stream.hpp"
#include "tests/contract/stream_contract.hpp"
#include "tests/support/random.hpp"

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

class StreamEnds : public OnStreamPair {};
INSTANTIATE_TEST_SUITE_P(, StreamEnds, ::testing::ValuesIn(stream_kinds), name_of_kind);

}  // namespace

// --- the end ---

TEST_P(StreamEnds, finish_ends_one_direction_only) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->send("last words");
    co_await pair.near->shutdown_send();
    EXPECT_EQ(co_await read_to_end(*pair.far), "last words");
    co_await pair.far->send("still here");
    EXPECT_EQ((co_await pair.near->recv()).text(), "still here");
    co_await pair.far->shutdown_send();
    EXPECT_TRUE((co_await pair.near->recv()).empty());
  });
}

TEST_P(StreamEnds, finish_comes_after_all_that_was_sent_before) {
  run([](StreamPair& pair) -> Task<> {
    const std::string sent = pattern(more_than_fits);
    TaskGroup group;
    group.spawn(send_all(*pair.near, sent));
    const auto finish = [](Stream& stream) -> Task<> { co_await stream.shutdown_send(); };
    group.spawn(finish(*pair.near));
    Sending late;
    group.spawn(late.run(*pair.near, "too late"));
    EXPECT_TRUE(co_await read_to_end(*pair.far) == sent);
    co_await group.join();
    EXPECT_EQ(late.end, "disconnected");
  });
}

TEST_P(StreamEnds, after_finish_sending_fails_and_finishing_again_does_nothing) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->shutdown_send();
    EXPECT_EQ(co_await outcome(pair.near->send("x")), "disconnected");
    EXPECT_EQ(co_await outcome(pair.near->shutdown_send()), "done");
    EXPECT_EQ(co_await outcome(pair.near->flush()), "done");
    EXPECT_EQ(co_await read_to_end(*pair.far), "");
  });
}

TEST_P(StreamEnds, close_lets_what_was_sent_arrive_and_then_the_end) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.near->send("bye");
    pair.near->close();
    EXPECT_EQ(co_await read_to_end(*pair.far), "bye");
  });
}

TEST_P(StreamEnds, after_close_every_call_fails) {
  run([](StreamPair& pair) -> Task<> {
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
  });
}

TEST_P(StreamEnds, close_ends_what_is_waiting) {
  run([](StreamPair& pair) -> Task<> {
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
  });
}

TEST_P(StreamEnds, who_sends_to_a_closed_peer_is_told_so) {
  run([](StreamPair& pair) -> Task<> {
    pair.far.reset();
    std::string end = "done";
    while (end == "done") end = co_await outcome(pair.near->send("x"));
    EXPECT_EQ(end, "disconnected");
    EXPECT_EQ(co_await outcome(pair.near->send("x")), "disconnected");
  });
}

TEST_P(StreamEnds, a_send_that_waits_is_told_that_the_peer_closed) {
  run([](StreamPair& pair) -> Task<> {
    const std::string sent = pattern(more_than_fits);
    Sending sending;
    TaskGroup group;
    group.spawn(sending.run(*pair.near, sent));
    co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
    pair.far.reset();
    co_await group.join();
    EXPECT_EQ(sending.end, "disconnected");
  });
}

TEST_P(StreamEnds, a_reset_is_an_error_now_and_at_every_further_recv) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.reset_far(pair);
    EXPECT_EQ(co_await outcome(pair.near->recv()), "disconnected");
    EXPECT_EQ(co_await outcome(pair.near->recv()), "disconnected");
    EXPECT_EQ(co_await outcome(pair.near->shutdown_send()), "disconnected");
  });
}

TEST_P(StreamEnds, a_reset_ends_a_recv_and_a_send_that_wait) {
  run([](StreamPair& pair) -> Task<> {
    const std::string sent = pattern(more_than_fits);
    std::string recv_end;
    Sending sending;
    TaskGroup group;
    group.spawn(sending.run(*pair.near, sent));
    group.spawn(observe_recv(*pair.near, recv_end));
    co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
    co_await pair.reset_far(pair);
    co_await group.join();
    EXPECT_EQ(recv_end, "disconnected");
    EXPECT_EQ(sending.end, "disconnected");
  });
}

// The kernel tells a reset once, to whoever asks first.
TEST_P(StreamEnds, a_reset_that_a_send_saw_first_is_no_end_to_the_receiver) {
  run([](StreamPair& pair) -> Task<> {
    co_await pair.reset_far(pair);
    std::string end = "done";
    while (end == "done") end = co_await outcome(pair.near->send("x"));
    EXPECT_EQ(end, "disconnected");
    EXPECT_EQ(co_await outcome(read_away(*pair.near)), "disconnected");
  });
}

TEST_P(StreamEnds, end_input_ends_a_recv_that_waits_and_the_later_ones) {
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

TEST_P(StreamEnds, last_active_moves_with_what_comes_and_goes) {
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

TEST_P(StreamEnds, a_cancelled_recv_takes_nothing) {
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

TEST_P(StreamEnds, a_time_limit_ends_a_recv) {
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

TEST_P(StreamEnds, in_a_cancelled_context_nothing_begins) {
  run([](StreamPair& pair) -> Task<> {
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
  });
}

TEST_P(StreamEnds, a_send_that_is_cancelled_before_its_turn_leaves_nothing) {
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
    co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
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

TEST_P(StreamEnds, a_send_that_is_cancelled_halfway_breaks_sending) {
  run([](StreamPair& pair) -> Task<> {
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
    // Receiving goes on, and what the peer gets is what was sent up to there.
    co_await pair.far->send("hello");
    EXPECT_EQ((co_await pair.near->recv()).text(), "hello");
    pair.near->close();
    const std::string got = co_await read_to_end(*pair.far);
    EXPECT_TRUE(got.size() < half.size() && half.starts_with(got));
  });
}

TEST_P(StreamEnds, a_stuck_peer_stays_stuck_when_another_send_is_cancelled) {
  run([](StreamPair& pair) -> Task<> {
    const std::string first = pattern(more_than_fits);
    Sending first_sending;
    TaskGroup group;
    group.spawn(first_sending.run(*pair.near, first));
    co_await until([&] { return pair.near->send_stalled() > Duration::zero(); });
    // For a while the kernel may still make room on its own; then nothing but a cancelled send happens.
    int times_in_a_row = 0;
    for (int round = 0; round < 1000 && times_in_a_row < 10; ++round) {
      const Duration before = pair.near->send_stalled();
      EXPECT_EQ(co_await outcome(timeout(2ms, pair.near->flush())), "timed_out");
      times_in_a_row = pair.near->send_stalled() > before ? times_in_a_row + 1 : 0;
    }
    EXPECT_EQ(times_in_a_row, 10);
    group.cancel();
    co_await group.join();
  });
}
