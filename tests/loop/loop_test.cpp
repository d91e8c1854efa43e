// The turn of the loop: posts of other threads, fairness, and cancellation of tasks without budget.
#include "coax/loop/loop.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "coax/stream/socket_stream.hpp"
#include "tests/support/run.hpp"
#include "tests/support/sockets.hpp"
#include "tests/support/stream_pairs.hpp"

namespace loop_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

// --- other threads ---

TEST(Loop, runs_the_posts_of_each_thread_in_their_order) {
  COAX_NEEDS_KERNEL();
  constexpr std::size_t threads = 4;
  constexpr std::size_t posts = 5'000;
  Loop loop;
  std::array<std::size_t, threads> next{};
  bool in_order = true;
  std::vector<std::jthread> posters;
  for (std::size_t thread = 0; thread < threads; ++thread) {
    posters.emplace_back([&, thread] {
      for (std::size_t number = 0; number < posts; ++number) {
        loop.post([&, thread, number] { in_order = in_order && next[thread]++ == number; });
      }
    });
  }
  turn_until(loop, [&] { return std::ranges::count(next, posts) == threads; });
  EXPECT_TRUE(in_order);
}

TEST(Loop, is_woken_by_a_post_and_by_wake) {
  COAX_NEEDS_KERNEL();
  Loop loop;
  bool posted = false;
  std::atomic<bool> flag = false;
  std::jthread poster([&] { loop.post([&] { posted = true; }); });
  turn_until(loop, [&] { return posted; });
  std::jthread waker([&] {
    flag = true;
    loop.wake();
  });
  turn_until(loop, [&] { return flag.load(); });
}

TEST(Loop, runs_what_is_posted_by_a_post_in_a_later_turn) {
  Loop loop;
  std::vector<int> order;
  loop.post([&] {
    loop.post([&] { order.push_back(3); });
    order.push_back(1);
  });
  loop.post([&] { order.push_back(2); });
  turn_until(loop, [&] { return order.size() == 3; });
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

namespace {

// Keeps a loop from sleeping, so that it needs no wake().
struct Restless : Completion {
  explicit Restless(Loop& of)
      : Completion([](Completion& self) noexcept {
          auto& restless = static_cast<Restless&>(self);
          restless.loop.finish_later(restless);
        }),
        loop(of) {
    loop.finish_later(*this);
  }
  Loop& loop;
};

}  // namespace

// The loop may end, and be destroyed, in the moment in which a post has asked it to.
TEST(Loop, may_end_by_a_post_that_has_not_returned_yet) {
  COAX_NEEDS_KERNEL();
  for (int times = 0; times < 300; ++times) {
    bool over = false;  // the loop's thread only
    std::atomic<Loop*> made = nullptr;
    const std::jthread runner([&] {
      Loop loop;
      const Restless restless(loop);
      made = &loop;
      made.notify_one();
      turn_until(loop, [&] { return over; });
    });
    made.wait(nullptr);
    made.load()->post([&over] { over = true; });
  }
}

TEST(Loop, begins_with_what_was_queued_before_its_first_turn) {
  Loop loop;
  bool flushed = false;
  struct Noted : Flush {
    explicit Noted(bool& of) : Flush([](Flush& self) noexcept { static_cast<Noted&>(self).flag = true; }), flag(of) {}
    bool& flag;
  } noted(flushed);
  loop.flush_later(noted);
  turn_until(loop, [&] { return flushed; });
}

TEST(Loop, its_time_is_that_of_the_turn_and_not_of_the_one_before) {
  COAX_NEEDS_KERNEL();
  NativePair pair = native_tcp_pair();
  TimePoint sent;
  std::jthread sender;
  run([&]() -> Task<> {
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    for (int turn = 0; turn < 3; ++turn) co_await next_turn();
    sender = std::jthread([&] {
      sent = Clock::now();
      ::send(pair.far.get(), "x", 1, MSG_NOSIGNAL);
    });
    co_await stream->recv();
    sender.join();
    EXPECT_GE(Loop::current().now(), sent);
    EXPECT_GE(stream->last_active(), sent);
  });
}

TEST(Loop, the_current_one_is_the_innermost) {
  Loop outer;
  EXPECT_EQ(&Loop::current(), &outer);
  {
    Loop inner;
    EXPECT_EQ(&Loop::current(), &inner);
  }
  EXPECT_EQ(&Loop::current(), &outer);
}

// --- fairness ---

namespace {

// Counts turns of the loop until it is stopped, and the most operations between two of them.
struct Turns {
  std::size_t happened = 0;
  std::size_t most = 0;
  bool over = false;
  Task<> watch() {
    while (!over) {
      const std::size_t before = happened;
      co_await next_turn();
      most = std::max(most, happened - before);
    }
  }
};

Task<> recv_bytes(Stream& stream, std::size_t count, Turns& turns) {
  std::array<char, 1> byte{};
  for (; turns.happened < count; ++turns.happened) co_await stream.recv(byte);
  turns.over = true;
}
Task<> send_times(Stream& stream, std::size_t count, BytesView bytes, Turns& turns) {
  for (; turns.happened < count; ++turns.happened) co_await stream.send(bytes);
  turns.over = true;
}

}  // namespace

// 32 operations at once, the deferred one, and the same again when it was deferred at the start of a turn.
constexpr std::size_t fair_share = 2 * 33;

TEST(Fairness, a_receiver_that_never_has_to_wait_does_not_hold_the_loop) {
  run([]() -> Task<> {
    for (const StreamKind& kind : stream_kinds) {
      StreamPair pair = co_await kind.make();
      const std::string bytes(3'000, 'x');
      co_await pair.near->send(bytes);
      co_await pair.near->flush();
      Turns turns;
      co_await all(turns.watch(), recv_bytes(*pair.far, bytes.size(), turns));
      EXPECT_LE(turns.most, fair_share) << kind.name;
    }
  });
}

TEST(Fairness, a_sender_that_never_has_to_wait_does_not_hold_the_loop) {
  COAX_NEEDS_KERNEL();
  NativePair pair = native_tcp_pair();
  std::jthread reader([&pair] {
    std::string buffer(1_MiB, '\0');
    while (::recv(pair.far.get(), buffer.data(), buffer.size(), 0) > 0) {
    }
  });
  run([&]() -> Task<> {
    const auto stream = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
    const std::string bytes(17'000, 'x');  // too large for the queue: each is a system call
    Turns turns;
    co_await all(turns.watch(), send_times(*stream, 2'000, bytes, turns));
    EXPECT_LE(turns.most, fair_share);
  });
}

// --- operations that wait for their turn only because of fairness ---

namespace {

// Uses the whole budget of this task's turn.
Task<> use_up_turn() {
  while (Loop::current().backend().consume_budget()) {
  }
  co_return;
}

Task<std::string> recv_when_used_up(Stream& stream) {
  co_await use_up_turn();
  co_return (co_await stream.recv()).string();
}
Task<> nothing() { co_return; }

}  // namespace

TEST(Deferred, a_recv_is_done_in_the_next_turn) {
  run([]() -> Task<> {
    for (const StreamKind& kind : stream_kinds) {
      StreamPair pair = co_await kind.make();
      co_await pair.near->send("x");
      co_await pair.near->flush();
      EXPECT_EQ(co_await recv_when_used_up(*pair.far), "x") << kind.name;
    }
  });
}

TEST(Deferred, a_cancelled_recv_loses_no_byte) {
  run([]() -> Task<> {
    for (const StreamKind& kind : stream_kinds) {
      StreamPair pair = co_await kind.make();
      co_await pair.near->send("x");
      co_await pair.near->flush();
      const auto first = co_await race(recv_when_used_up(*pair.far), nothing());
      EXPECT_EQ(first.index(), 1U);
      EXPECT_EQ(co_await recv_when_used_up(*pair.far), "x") << kind.name;
    }
  });
}

TEST(Deferred, a_recv_is_ended_by_close_and_by_end_input) {
  run([]() -> Task<> {
    const auto recv = [](Stream& stream, std::string& end) -> Task<> {
      end = co_await outcome(recv_when_used_up(stream));
    };
    for (const StreamKind& kind : stream_kinds) {
      for (const bool closes : {true, false}) {
        StreamPair pair = co_await kind.make();
        co_await pair.near->send("x");
        co_await pair.near->flush();
        std::string end;
        TaskGroup group;
        group.spawn(recv(*pair.far, end));
        if (closes) {
          pair.far->close();
        } else {
          pair.far->end_input();
        }
        co_await group.join();
        EXPECT_EQ(end, closes ? "invalid" : "done") << kind.name;
      }
    }
  });
}

// --- busy polling before sleeping ---

TEST(Spin, follows_a_brief_sleep_and_stops_when_it_does_not_pay) {
  const char* const forbidden = std::getenv("COAX_SPIN");  // NOLINT(concurrency-mt-unsafe): never set by us
  if (forbidden != nullptr || std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "busy polling is off here";
  Spin spin;
  EXPECT_FALSE(spin.is_worth_it()) << "nothing is known yet";
  spin.slept(3 * Spin::max);
  EXPECT_TRUE(spin.is_worth_it());
  spin.failed();
  EXPECT_FALSE(spin.is_worth_it());
  EXPECT_TRUE(spin.is_worth_it()) << "one was left out";
  spin.slept(5 * Spin::max);
  EXPECT_FALSE(spin.is_worth_it());
}

}  // namespace loop_test
