// Topics and outboxes: one order for all subscribers, no loss before an end, and slow readers that affect only
// themselves.
#include "coax/bus/topic.hpp"

#include <atomic>

#include "coax/stream/memory.hpp"
#include "tests/support/run.hpp"

namespace coax::topic_test {
namespace {

using test::outcome;
using test::run;
using namespace std::chrono_literals;

// All bytes of a stream's other end, up to its end.
Task<std::string> read_all(Stream& stream) {
  std::string all;
  while (const BytesView bytes = co_await stream.recv()) all.append(bytes.text());
  co_return all;
}

Task<> drain_and_finish(Outbox& outbox, Stream& stream) {
  co_await drain(outbox, stream);
  co_await stream.shutdown_send();
}

// A subscriber whose outbox is drained into a memory stream; returns all received bytes.
Task<std::string> listen(Topic& topic, std::size_t form, std::function<void()> subscribed) {
  auto [near, far] = memory_stream_pair();
  Outbox outbox({.form = form});
  const Subscription subscription = topic.subscribe(outbox);
  subscribed();
  auto [nothing, all_of_it] = co_await all(drain_and_finish(outbox, *near), read_all(*far));
  co_return all_of_it;
}

TEST(Topic, subscriber_gets_what_is_published_while_it_subscribes) {
  run([]() -> Task<> {
    Topic topic;
    topic.publish_now("before ");
    const auto publish = [&]() -> Task<> {
      topic.publish_now("one ");
      topic.publish_now("two");
      topic.close();
      topic.publish_now("after");
      co_return;
    };
    auto [heard, nothing] = co_await all(listen(topic, 0, [] {}), publish());
    EXPECT_EQ(heard, "one two");
  });
}

TEST(Topic, gives_each_outbox_the_form_that_it_names) {
  run([]() -> Task<> {
    Topic topic(2);
    const auto publish = [&]() -> Task<> {
      const std::array<BytesView, 2> forms{"line", "frame"};
      topic.publish_now(forms);
      topic.close();
      co_return;
    };
    auto [line, frame, nothing] = co_await all(listen(topic, 0, [] {}), listen(topic, 1, [] {}), publish());
    EXPECT_EQ(line, "line");
    EXPECT_EQ(frame, "frame");
    Outbox wrong({.form = 2});
    EXPECT_THROW((void)topic.subscribe(wrong), Error);
  });
}

TEST(Topic, messages_before_the_end_are_in_the_outbox) {
  run([]() -> Task<> {
    Topic topic;
    Outbox outbox;
    {
      const Subscription subscription = topic.subscribe(outbox);
      topic.publish_now("last words");
    }
    topic.publish_now("too late");
    EXPECT_EQ(outbox.bytes(), std::string_view("last words").size());
    co_return;
  });
}

TEST(Topic, catching_up_precedes_new_messages) {
  run([]() -> Task<> {
    Topic topic;
    auto [near, far] = memory_stream_pair();
    Outbox outbox;
    Subscription subscription = topic.subscribe(outbox);
    topic.publish_now("said ");
    subscription.catch_up();
    outbox.push("pushed");
    outbox.finish();
    co_await drain_and_finish(outbox, *near);
    EXPECT_EQ(co_await read_all(*far), "said pushed");
  });
}

TEST(Topic, on_two_loops_all_subscribers_receive_all_in_one_order) {
  static constexpr int each = 2000;
  run(
      []() -> Task<> {
        Topic topic;
        std::atomic<int> subscribed = 0;
        std::atomic<int> publishing = 2;
        const auto publish = [&](char name) -> Task<> {
          while (subscribed.load() < 4) co_await sleep(1ms);
          for (int number = 0; number < each; ++number) {
            topic.publish_now(fmt::format("{}{} ", name, number));
            if (number % 100 == 0) co_await test::next_turn();
          }
          if (--publishing == 0) topic.close();
        };
        const auto on_loop = [&](Loop& loop, std::string& heard) -> Task<> {
          co_await run_on(loop, [](Topic& t, std::atomic<int>& s, std::string& h) -> Task<> {
            h = co_await listen(t, 0, [&s] { ++s; });
          }(topic, subscribed, heard));
        };
        Loop& here = *Loop::current().together()[0];
        Loop& there = *Loop::current().together()[1];
        std::array<std::string, 4> heard;
        co_await all(on_loop(here, heard[0]), on_loop(here, heard[1]), on_loop(there, heard[2]),
                     on_loop(there, heard[3]), publish('a'), run_on(there, publish('b')));
        for (const std::string& each_heard : heard) EXPECT_EQ(each_heard, heard[0]);
        std::string a;
        for (int number = 0; number < each; ++number) a += fmt::format("a{} ", number);
        std::string only_a;
        for (std::size_t at = 0; at < heard[0].size();) {
          const std::size_t end = heard[0].find(' ', at) + 1;
          if (heard[0][at] == 'a') only_a += heard[0].substr(at, end - at);
          at = end;
        }
        EXPECT_EQ(only_a, a);
        EXPECT_EQ(heard[0].size(), 2 * a.size());
      },
      {.threads = 2});
}

TEST(Topic, refuses_another_number_of_encodings_than_it_has) {
  run([]() -> Task<> {
    EXPECT_THROW(Topic(0), Error);
    Topic topic(2);
    Outbox outbox({.form = 1});
    const Subscription subscription = topic.subscribe(outbox);
    EXPECT_THROW(topic.publish_now("hello"), Error);
    EXPECT_EQ(co_await outcome(topic.publish("hello")), "invalid");
    const std::array<BytesView, 2> forms{"a", "b"};
    topic.publish_now(forms);
  });
}

TEST(Subscription, finish_brings_what_was_published_before) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Topic topic;
    Outbox outbox;
    Subscription subscription = topic.subscribe(outbox);
    topic.publish_now("the last words");
    subscription.finish();
    co_await drain(outbox, *near);
    EXPECT_EQ((co_await far->recv()).text(), "the last words");
  });
}

TEST(Topic, closing_finishes_an_outbox_without_another_open_topic) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Topic first;
    Topic second;
    Outbox outbox;
    const Subscription to_first = first.subscribe(outbox);
    const Subscription to_second = second.subscribe(outbox);
    const auto close_one_by_one = [&]() -> Task<> {
      first.publish_now("first ");
      first.close();
      for (int turn = 0; turn < 5; ++turn) co_await test::next_turn();
      second.publish_now("second");
      second.close();
    };
    auto [nothing, heard, neither] = co_await all(drain_and_finish(outbox, *near), read_all(*far), close_one_by_one());
    EXPECT_EQ(heard, "first second");
  });
}

TEST(Subscription, last_of_an_open_topic_finishes_the_outbox_after_closed_ones) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Topic closed;
    Topic open;
    Outbox outbox;
    const Subscription to_closed = closed.subscribe(outbox);
    std::optional<Subscription> to_open;
    to_open.emplace(open, outbox);
    closed.close();
    for (int turn = 0; turn < 5; ++turn) co_await test::next_turn();
    open.publish_now("the last words");
    to_open.reset();
    co_await drain_and_finish(outbox, *near);
    EXPECT_EQ(co_await read_all(*far), "the last words");
  });
}

TEST(Outbox, overflow_ends_its_drain_while_the_peer_does_not_read) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair(1000);
    Outbox outbox({.bytes_max = 5000, .stalled_max = 50ms});
    const auto fill = [&]() -> Task<> {
      for (int count = 0; count < 100; ++count) {
        outbox.push(std::string(1000, 'x'));
        co_await test::next_turn();
      }
    };
    const auto drained = [&]() -> Task<> {
      EXPECT_EQ(co_await outcome(drain(outbox, *near)), to_string(ErrorKind::overloaded));
    };
    co_await all(drained(), fill());
    EXPECT_TRUE(outbox.overflowed());
  });
}

TEST(Outbox, that_is_abandoned_drops_what_waits) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Outbox outbox;
    outbox.push("never");
    outbox.abandon();
    outbox.push("neither");
    co_await drain_and_finish(outbox, *near);
    EXPECT_EQ(co_await read_all(*far), "");
  });
}

TEST(Outbox, drain_ends_when_it_is_cancelled) {
  run([]() -> Task<> {
    auto [near, far] = memory_stream_pair();
    Outbox outbox;
    EXPECT_EQ(co_await race(drain(outbox, *near), sleep(1ms)), 1U);
  });
}

}  // namespace
}  // namespace coax::topic_test
