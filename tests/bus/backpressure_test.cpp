// Publishers are slowed before a subscriber is disconnected, and only a peer that does not read is.
#include <atomic>
#include <list>

#include "coax/bus/topic.hpp"
#include "coax/stream/memory.hpp"
#include "tests/support/run.hpp"

namespace coax::backpressure_test {
namespace {

using test::outcome;
using test::run;
using namespace std::chrono_literals;

// An outbox that drains into a memory stream with a small capacity, and the bytes at its other end.
struct Reader {
  explicit Reader(OutboxOptions options = {.bytes_max = 4000}, std::size_t capacity = 1000)
      : pair(memory_stream_pair(capacity)), outbox(options) {}

  Task<> drain_all() {
    end = co_await outcome(drain(outbox, *pair.first));
    if (end == "done") co_await pair.first->shutdown_send();
  }
  Task<> read() {
    while (const BytesView bytes = co_await pair.second->recv()) heard.append(bytes.text());
  }
  Task<> read_all() { co_await all(drain_all(), read()); }

  std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> pair;
  Outbox outbox;
  std::string heard;
  std::string end;
};

std::string line(int number) { return fmt::format("{:09}\n", number); }

std::string lines(int count) {
  std::string text;
  for (int number = 0; number < count; ++number) text += line(number);
  return text;
}

Task<> publish_lines(Topic& topic, int count, int& published) {
  for (int number = 0; number < count; ++number) {
    const std::string text = line(number);
    co_await topic.publish(text);
    ++published;
  }
}

TEST(Publish, waits_for_a_slow_subscriber_and_loses_no_message) {
  run([]() -> Task<> {
    Topic topic;
    Reader reader;
    const Subscription subscription = topic.subscribe(reader.outbox);
    int published = 0;
    const auto read_late = [&]() -> Task<> {
      co_await test::until([&] { return reader.outbox.behind(); });
      for (int turn = 0; turn < 50; ++turn) co_await test::next_turn();
      EXPECT_LT(published, 30'000) << "the publisher did not wait";
      co_await reader.read();
    };
    const auto publish = [&]() -> Task<> {
      co_await publish_lines(topic, 30'000, published);
      topic.close();
    };
    co_await all(reader.drain_all(), read_late(), publish());
    EXPECT_EQ(reader.heard, lines(30'000));
    EXPECT_EQ(reader.end, "done");
  });
}

TEST(Publish, waits_at_most_a_second_for_each_message) {
  run([]() -> Task<> {
    Topic topic;
    Reader reader;
    const Subscription subscription = topic.subscribe(reader.outbox);
    reader.outbox.push(std::string(10'000, 'x'));
    topic.publish_now("first");
    co_await test::next_turn();
    co_await test::next_turn();
    const TimePoint begin = Loop::current().backend().now();
    co_await topic.publish("second");
    EXPECT_GE(Loop::current().backend().now() - begin, 1s);
    EXPECT_LT(Loop::current().backend().now() - begin, 30s);
  });
}

TEST(Publish, cancelled_publishes_nothing) {
  run([]() -> Task<> {
    Topic topic;
    Reader reader;
    const Subscription subscription = topic.subscribe(reader.outbox);
    reader.outbox.push(std::string(10'000, 'x'));
    topic.publish_now("first");
    co_await test::next_turn();
    co_await test::next_turn();
    const auto publish = [](Topic& to) -> Task<> { co_await to.publish("never"); };
    const std::size_t before = reader.outbox.bytes();
    EXPECT_EQ(co_await race(publish(topic), sleep(1ms)), 1U);
    co_await test::next_turn();
    co_await test::next_turn();
    EXPECT_EQ(reader.outbox.bytes(), before);
  });
}

TEST(Publish, publishers_take_turns) {
  run([]() -> Task<> {
    Topic topic;
    Reader reader;
    const Subscription subscription = topic.subscribe(reader.outbox);
    std::array<int, 3> published{};
    const auto talk = [&](std::size_t who) -> Task<> { co_await publish_lines(topic, 20'000, published[who]); };
    bool checked = false;
    const auto check = [&]() -> Task<> {
      co_await test::until([&] { return std::ranges::min(published) > 100; });
      checked = std::ranges::max(published) < 20'000;
    };
    const auto finish = [&]() -> Task<> {
      co_await all(talk(0), talk(1), talk(2), check());
      topic.close();
    };
    co_await all(reader.read_all(), finish());
    EXPECT_TRUE(checked) << "one publisher was served before the others began";
    EXPECT_EQ(reader.heard.size(), 3 * lines(20'000).size());
  });
}

TEST(Publish, a_subscriber_that_never_reads_is_lost_alone) {
  run([]() -> Task<> {
    Topic topic;
    std::list<Reader> readers(3);
    Reader& lazy = readers.emplace_back(OutboxOptions{.bytes_max = 4000, .stalled_max = 100ms});
    std::list<Subscription> subscriptions;
    for (Reader& reader : readers) subscriptions.emplace_back(topic, reader.outbox);
    int published = 0;
    const auto publish = [&]() -> Task<> {
      co_await publish_lines(topic, 20'000, published);
      topic.close();
    };
    auto reader = readers.begin();
    co_await all((reader++)->read_all(), (reader++)->read_all(), (reader++)->read_all(), lazy.drain_all(), publish());
    EXPECT_EQ(lazy.end, "overloaded");
    reader = readers.begin();
    for (int number = 0; number < 3; ++number, ++reader) EXPECT_EQ(reader->heard, lines(20'000));
  });
}

TEST(Publish, on_two_loops_waits_for_subscribers_of_both) {
  run(
      []() -> Task<> {
        Topic topic;
        std::array<std::string, 2> heard;
        std::atomic<int> subscribed = 0;
        const auto listen = [&](std::string& result) -> Task<> {
          Reader reader;
          const Subscription subscription = topic.subscribe(reader.outbox);
          ++subscribed;
          co_await reader.read_all();
          result = reader.heard;
        };
        const auto publish = [&]() -> Task<> {
          while (subscribed.load() < 2) co_await sleep(1ms);
          int published = 0;
          co_await publish_lines(topic, 50'000, published);
          topic.close();
        };
        Loop& there = *Loop::current().together()[1];
        co_await all(listen(heard[0]), run_on(there, listen(heard[1])), publish());
        EXPECT_EQ(heard[0], lines(50'000));
        EXPECT_EQ(heard[1], lines(50'000));
      },
      {.threads = 2});
}

TEST(Topic, subscriptions_within_a_turn_receive_their_messages) {
  run([]() -> Task<> {
    Topic topic;
    Reader reader;
    const Subscription subscription = topic.subscribe(reader.outbox);
    std::list<Outbox> outboxes;
    std::size_t expected = 0;
    for (int number = 0; number < 3000; ++number) {  // more than is copied: blocks are sealed in between
      topic.publish_now(line(number));
      Outbox& outbox = outboxes.emplace_back();
      const Subscription brief = topic.subscribe(outbox);
      topic.publish_now("x");
      EXPECT_EQ(outbox.bytes(), 0U);
      expected += line(number).size() + 1;
    }
    for (const Outbox& outbox : outboxes) EXPECT_EQ(outbox.bytes(), 1U);
    topic.close();
    co_await reader.read_all();
    EXPECT_EQ(reader.heard.size(), expected);
  });
}

TEST(Topic, closed_returns_the_end_to_a_new_subscriber) {
  run([]() -> Task<> {
    Topic topic;
    Reader early;
    const Subscription before = topic.subscribe(early.outbox);
    topic.close();
    co_await early.read_all();
    Reader late;
    const Subscription after = topic.subscribe(late.outbox);
    co_await late.read_all();
    EXPECT_EQ(late.end, "done");
  });
}

TEST(Outbox, gives_a_reader_that_keeps_up_more_than_its_bound) {
  run([]() -> Task<> {
    Reader reader({.bytes_max = 1000, .stalled_max = 1ms});
    const std::string large(1_MiB, 'x');
    reader.outbox.push(large);
    reader.outbox.finish();
    EXPECT_TRUE(reader.outbox.behind());
    co_await reader.read_all();
    EXPECT_EQ(reader.heard, large);
    EXPECT_FALSE(reader.outbox.behind());
  });
}

// A WebSocket answers pings on the stream that is drained: not in the middle of a message.
TEST(Outbox, sends_nothing_of_others_within_a_block) {
  run([]() -> Task<> {
    Reader reader;
    const std::string large(300'000, 'x');
    const std::string small(20'000, 'y');
    for (const std::string& block : {large, small, large}) reader.outbox.push(block);
    reader.outbox.finish();
    int sent = 0;
    const auto send_others = [&]() -> Task<> {
      for (; sent < 20; ++sent) co_await reader.pair.first->send("-");
    };
    const auto send = [&]() -> Task<> {
      co_await all(drain(reader.outbox, *reader.pair.first), send_others());
      co_await reader.pair.first->shutdown_send();
    };
    co_await all(send(), reader.read());
    EXPECT_EQ(sent, 20);
    std::string blocks = reader.heard;
    std::erase(blocks, '-');
    EXPECT_EQ(blocks, large + small + large);
    for (const std::size_t at : {std::size_t{0}, large.size(), large.size() + small.size()}) {
      // Where the block begins, when what was sent before it is counted.
      std::size_t begin = 0;
      for (std::size_t count = 0; reader.heard[begin] == '-' || count < at; ++begin)
        count += reader.heard[begin] != '-';
      const std::size_t size = at == large.size() ? small.size() : large.size();
      EXPECT_FALSE(reader.heard.substr(begin, size).contains('-')) << "within the block at " << at;
    }
  });
}

TEST(Outbox, that_overflowed_before_its_drain_began_ends_it_at_once) {
  run([]() -> Task<> {
    Reader reader({.bytes_max = 1000, .stalled_max = 1ms});
    reader.outbox.push(std::string(2000, 'x'));
    co_await test::until([&] { return reader.outbox.overflowed(); });
    co_await reader.drain_all();
    EXPECT_EQ(reader.end, "overloaded");
  });
}

TEST(Outbox, whose_publishers_never_wait_has_a_bound_of_memory) {
  run([]() -> Task<> {
    Reader reader;
    for (int count = 0; count < 17 && !reader.outbox.overflowed(); ++count) {
      reader.outbox.push(std::string(1_MiB, 'x'));
      EXPECT_EQ(reader.outbox.overflowed(), count == 15) << count;
    }
    co_await reader.drain_all();
    EXPECT_EQ(reader.end, "overloaded");
  });
}

TEST(Outbox, counts_what_a_piece_costs_beside_its_bytes) {
  run([]() -> Task<> {
    Reader reader;
    int pieces = 0;
    while (!reader.outbox.behind() && ++pieces < 4000) reader.outbox.push("x");
    EXPECT_LT(pieces, 100);
    co_return;
  });
}

TEST(Outbox, ready_waits_until_half_of_it_has_been_sent) {
  run([]() -> Task<> {
    Reader reader;
    co_await reader.outbox.ready();
    for (int count = 0; count < 10; ++count) reader.outbox.push(std::string(1000, 'x'));
    const auto wait = [](Outbox& outbox) -> Task<> { co_await outbox.ready(); };
    EXPECT_EQ(co_await race(wait(reader.outbox), sleep(1ms)), 1U);
    bool is_ready = false;
    const auto wait_and_look = [&]() -> Task<> {
      co_await reader.outbox.ready();
      is_ready = true;
      EXPECT_LE(reader.outbox.bytes(), 2000U);
      reader.outbox.finish();
    };
    co_await all(reader.read_all(), wait_and_look());
    EXPECT_TRUE(is_ready);
  });
}

TEST(Outbox, ready_ends_when_it_overflows_or_is_abandoned) {
  run([]() -> Task<> {
    Reader lost({.bytes_max = 1000, .stalled_max = 1ms});
    lost.outbox.push(std::string(2000, 'x'));
    co_await lost.outbox.ready();
    EXPECT_TRUE(lost.outbox.overflowed());
    Reader left;
    left.outbox.push(std::string(9000, 'x'));
    const auto abandon = [&]() -> Task<> {
      co_await test::next_turn();
      left.outbox.abandon();
    };
    const auto wait = [](Outbox& outbox) -> Task<> { co_await outbox.ready(); };
    co_await all(wait(left.outbox), abandon());
  });
}

// --- turns ---

TEST(Checkpoint, a_task_that_never_waits_lets_others_run) {
  run([]() -> Task<> {
    int rounds = 0;
    int rounds_between = 0;
    bool stop = false;
    const auto busy = [&]() -> Task<> {
      while (!stop) {
        co_await checkpoint();
        ++rounds;
      }
    };
    const auto other = [&]() -> Task<> {
      for (int turn = 0; turn < 20; ++turn) {
        const int before = rounds;
        co_await test::next_turn();
        rounds_between = std::max(rounds_between, rounds - before);
      }
      stop = true;
    };
    co_await all(busy(), other());
    EXPECT_GT(rounds, 1000);
    EXPECT_LE(rounds_between, 2 * 256) << "a turn's share, or two where a turn begins between";
  });
}

TEST(Checkpoint, cancelled_throws) {
  run([]() -> Task<> {
    const auto busy = []() -> Task<> {
      while (true) co_await checkpoint(256);
    };
    EXPECT_EQ(co_await race(busy(), sleep(1ms)), 1U);
  });
}

}  // namespace
}  // namespace coax::backpressure_test
