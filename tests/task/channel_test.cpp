// Channels: order, back-pressure, the end, and that no value is lost, whichever task is cancelled and when.
#include "coax/task/channel.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "coax/task/scope.hpp"
#include "coax/test/random.hpp"
#include "tests/support/run.hpp"

namespace channel_test {

using namespace coax;
using namespace coax::test;
using namespace std::chrono_literals;

namespace {

Task<> send_all(Channel<int>& channel, int first, int count) {
  for (int value = first; value < first + count; ++value) co_await channel.send(value);
}
Task<> recv_some(Channel<int>& channel, int count, std::vector<int>& out) {
  for (int left = count; left != 0; --left) {
    const auto value = co_await channel.recv();
    if (!value) co_return;
    out.push_back(*value);
  }
}
Task<> recv_all(Channel<int>& channel, std::vector<int>& out) {
  while (const auto value = co_await channel.recv()) out.push_back(*value);
}
// The values by receiver, in the order of their arrival: "name:value".
Task<> recv_one_as(Channel<int>& channel, char name, std::string& log) {
  const auto value = co_await channel.recv();
  log += name;
  log += value ? ":" + std::to_string(*value) + " " : "- ";
}
Task<> send_one_as(Channel<int>& channel, char name, int value, std::string& log) {
  co_await channel.send(value);
  log += name;
}
Task<> observe(Task<> task, std::string& end) { end = co_await outcome(std::move(task)); }
Task<> wait_turns(int turns) {
  for (int turn = 0; turn < turns; ++turn) co_await next_turn();
}
std::vector<int> count_to(int count) {
  std::vector<int> result;
  for (int value = 0; value < count; ++value) result.push_back(value);
  return result;
}

constexpr std::size_t capacities[] = {0, 1, 2, 7, 1000};

}  // namespace

// --- order and back-pressure ---

TEST(Channel, gives_each_value_once_and_in_order) {
  for (const std::size_t capacity : capacities) {
    run([&]() -> Task<> {
      Channel<int> channel(capacity);
      std::vector<int> got;
      co_await all(send_all(channel, 0, 500), recv_some(channel, 500, got));
      EXPECT_EQ(got, count_to(500)) << capacity;
    });
  }
}

TEST(Channel, accepts_values_up_to_its_capacity_then_senders_wait) {
  for (const std::size_t capacity : {1UZ, 2UZ, 7UZ}) {
    run([&]() -> Task<> {
      Channel<int> channel(capacity);
      std::string sent;
      TaskGroup group;
      for (std::size_t index = 0; index < capacity + 2; ++index) group.spawn(send_one_as(channel, 's', 1, sent));
      co_await wait_turns(5);
      EXPECT_EQ(sent.size(), capacity);
      EXPECT_EQ(co_await channel.recv(), 1);
      co_await wait_turns(5);
      EXPECT_EQ(sent.size(), capacity + 1);
      group.cancel();
      co_await group.join();
      EXPECT_EQ(sent.size(), capacity + 1);
    });
  }
}

TEST(Channel, without_room_makes_a_sender_wait_for_a_receiver) {
  run([]() -> Task<> {
    Channel<int> channel(0);
    std::string sent;
    TaskGroup group;
    group.spawn(send_one_as(channel, 's', 5, sent));
    co_await wait_turns(5);
    EXPECT_EQ(sent, "");
    EXPECT_EQ(co_await channel.recv(), 5);
    co_await group.join();
    EXPECT_EQ(sent, "s");
  });
}

TEST(Channel, serves_receivers_and_senders_in_order_of_arrival) {
  for (const std::size_t capacity : {0UZ, 1UZ, 7UZ}) {
    run([&]() -> Task<> {
      Channel<int> channel(capacity);
      std::string log;
      TaskGroup receivers;
      for (const char name : {'a', 'b', 'c'}) receivers.spawn(recv_one_as(channel, name, log));
      co_await send_all(channel, 1, 3);
      co_await receivers.join();
      EXPECT_EQ(log, "a:1 b:2 c:3 ") << capacity;

      log.clear();
      if (capacity == 7) co_await send_all(channel, 0, 7);
      if (capacity == 1) co_await channel.send(0);
      TaskGroup senders;
      for (const char name : {'a', 'b', 'c'}) senders.spawn(send_one_as(channel, name, 1, log));
      std::vector<int> got;
      co_await recv_some(channel, static_cast<int>(capacity) + 3, got);
      co_await senders.join();
      EXPECT_EQ(log, "abc") << capacity;
    });
  }
}

TEST(Channel, a_value_goes_to_the_first_waiting_receiver) {
  run([]() -> Task<> {
    Channel<int> channel(3);
    std::string log;
    TaskGroup group;
    group.spawn(recv_one_as(channel, 'a', log));
    co_await channel.send(1);
    group.spawn(recv_one_as(channel, 'b', log));
    EXPECT_EQ(log, "") << "sending resumes no task";
    co_await channel.send(2);
    co_await group.join();
    EXPECT_EQ(log, "a:1 b:2 ");
  });
}

TEST(Channel, room_goes_to_the_first_waiting_sender) {
  run([]() -> Task<> {
    Channel<int> channel(1);
    co_await channel.send(0);
    std::string log;
    TaskGroup group;
    group.spawn(send_one_as(channel, 'a', 1, log));
    EXPECT_EQ(co_await channel.recv(), 0);
    group.spawn(send_one_as(channel, 'b', 2, log));
    EXPECT_EQ(log, "") << "receiving resumes no task";
    EXPECT_EQ(co_await channel.recv(), 1);
    EXPECT_EQ(co_await channel.recv(), 2);
    co_await group.join();
    EXPECT_EQ(log, "ab");
  });
}

TEST(Channel, yields_to_other_tasks_now_and_then) {
  run([]() -> Task<> {
    Channel<int> channel(1);
    bool over = false;
    const auto set = [](bool& flag) -> Task<> {
      co_await wait_turns(3);
      flag = true;
    };
    TaskGroup group;
    group.spawn(set(over));
    int times = 0;
    for (; !over && times < 1'000'000; ++times) {  // neither ever has to wait
      co_await channel.send(1);
      co_await channel.recv();
    }
    EXPECT_LT(times, 1'000'000);
    co_await group.join();
  });
}

TEST(Channel, two_that_feed_each_other_do_not_hold_the_loop) {
  run([]() -> Task<> {
    const auto pump = [](Channel<int>& from, Channel<int>& to) -> Task<> {
      while (const auto value = co_await from.recv()) co_await to.send(*value);
    };
    for (const std::size_t capacity : capacities) {
      Channel<int> there(capacity);
      Channel<int> back(capacity);
      co_await race(pump(there, back), pump(back, there), send_all(there, 0, 3), sleep(2ms));
    }
  });
}

TEST(Channel, moves_what_cannot_be_copied_and_copies_what_is_named) {
  run([]() -> Task<> {
    Channel<std::unique_ptr<int>> pointers(1);
    auto one = std::make_unique<int>(1);
    co_await pointers.send(std::move(one));
    EXPECT_EQ(one, nullptr);
    EXPECT_EQ(**co_await pointers.recv(), 1);
    Channel<std::string> texts(1);
    const std::string text = "a text that is too long for the small-string buffer";
    co_await texts.send(text);
    EXPECT_EQ(co_await texts.recv(), text);
  });
}

// --- the end ---

TEST(Channel, closed_returns_buffered_values_then_nothing) {
  run([]() -> Task<> {
    Channel<int> channel(7);
    co_await send_all(channel, 0, 3);
    channel.close();
    channel.close();
    std::vector<int> got;
    co_await recv_all(channel, got);
    EXPECT_EQ(got, count_to(3));
    EXPECT_EQ(co_await channel.recv(), std::nullopt);
  });
}

TEST(Channel, closed_wakes_all_waiting_receivers) {
  for (const std::size_t capacity : {0UZ, 2UZ}) {
    run([&]() -> Task<> {
      Channel<int> channel(capacity);
      std::string log;
      TaskGroup group;
      for (const char name : {'a', 'b', 'c'}) group.spawn(recv_one_as(channel, name, log));
      if (capacity != 0) co_await channel.send(1);
      channel.close();
      co_await group.join();
      EXPECT_EQ(log, capacity != 0 ? "a:1 b- c- " : "a- b- c- ");
    });
  }
}

TEST(Channel, closed_refuses_values_which_stay_with_their_senders) {
  run([]() -> Task<> {
    Channel<std::unique_ptr<int>> channel(0);
    auto waiting = std::make_unique<int>(1);
    auto late = std::make_unique<int>(2);
    const auto send = [](Channel<std::unique_ptr<int>>& to, std::unique_ptr<int>& value) -> Task<> {
      co_await to.send(std::move(value));
    };
    std::string end;
    TaskGroup group;
    group.spawn(observe(send(channel, waiting), end));
    channel.close();
    co_await group.join();
    EXPECT_EQ(end, "disconnected");
    EXPECT_EQ(co_await outcome(send(channel, late)), "disconnected");
    EXPECT_NE(waiting, nullptr);
    EXPECT_NE(late, nullptr);
  });
}

TEST(Channel, destroyed_wakes_all_waiting_tasks) {
  run([]() -> Task<> {
    for (const bool is_full : {true, false}) {
      auto channel = std::make_unique<Channel<int>>(1);
      if (is_full) co_await channel->send(0);
      std::string ends[2];
      TaskGroup group;
      std::string log;
      for (std::string& end : ends) {
        group.spawn(observe(is_full ? send_one_as(*channel, 's', 1, log) : recv_one_as(*channel, 'r', log), end));
      }
      channel.reset();
      co_await group.join();
      EXPECT_EQ(ends[0] + ends[1], is_full ? "disconnecteddisconnected" : "donedone");
    }
  });
}

TEST(Channel, may_be_destroyed_by_one_whom_it_has_just_served) {
  for (const std::size_t capacity : {0UZ, 3UZ}) {
    run([&]() -> Task<> {
      auto channel = std::make_unique<Channel<int>>(capacity);
      const auto recv_and_destroy = [](std::unique_ptr<Channel<int>>& owned) -> Task<> {
        co_await owned->recv();
        owned.reset();
      };
      std::string log;
      TaskGroup group;
      group.spawn(recv_and_destroy(channel));
      group.spawn(recv_one_as(*channel, 'b', log));
      group.spawn(send_one_as(*channel, 's', 1, log));
      co_await group.join();
      EXPECT_EQ(log, "sb- ");
    });
  }
}

// --- cancelling ---

TEST(Channel, a_cancelled_receiver_has_taken_nothing) {
  for (const std::size_t capacity : {0UZ, 2UZ}) {
    run([&]() -> Task<> {
      Channel<int> channel(capacity);
      std::string log;
      TaskGroup early;
      TaskGroup late;
      early.spawn(recv_one_as(channel, 'a', log));
      late.spawn(recv_one_as(channel, 'b', log));
      TaskGroup sender;
      sender.spawn(send_all(channel, 1, 1));
      early.cancel();  // the value is buffered, and a has not run yet
      co_await early.join();
      co_await late.join();
      co_await sender.join();
      EXPECT_EQ(log, "b:1 ");
    });
  }
}

TEST(Channel, a_cancelled_sender_still_has_its_value) {
  for (const std::size_t capacity : {0UZ, 1UZ}) {
    run([&]() -> Task<> {
      Channel<std::unique_ptr<int>> channel(capacity);
      if (capacity == 1) co_await channel.send(std::make_unique<int>(0));
      const auto send = [](Channel<std::unique_ptr<int>>& to, std::unique_ptr<int>& value) -> Task<> {
        co_await to.send(std::move(value));
      };
      auto first = std::make_unique<int>(1);
      auto second = std::make_unique<int>(2);
      TaskGroup cancelled;
      TaskGroup served;
      cancelled.spawn(send(channel, first));
      served.spawn(send(channel, second));
      if (capacity == 1) {
        EXPECT_EQ(**co_await channel.recv(), 0);  // there is room for the first, which has not run yet
      }
      cancelled.cancel();
      EXPECT_EQ(**co_await channel.recv(), 2);
      co_await cancelled.join();
      co_await served.join();
      EXPECT_EQ(*first, 1);
      EXPECT_EQ(second, nullptr);
    });
  }
}

TEST(Channel, in_a_cancelled_context_does_nothing) {
  run([]() -> Task<> {
    Channel<int> channel(2);
    co_await channel.send(1);
    std::string ends[2];
    std::string log;
    TaskGroup group;
    group.cancel();
    group.spawn(observe(send_all(channel, 2, 1), ends[0]));
    group.spawn(observe(recv_one_as(channel, 'a', log), ends[1]));
    co_await group.join();
    EXPECT_EQ(ends[0] + ends[1], "cancelledcancelled");
    channel.close();
    std::vector<int> got;
    co_await recv_all(channel, got);
    EXPECT_EQ(got, std::vector{1});
  });
}

namespace {

// A channel under stress: tasks are cancelled at random, and in the end every value must be in exactly one place.
class Traffic {
 public:
  explicit Traffic(std::size_t capacity, Random& random) : channel_(capacity), random_(random) {}

  Task<> go() {
    for (int round = 0; round < 300; ++round) {
      TaskGroup group;
      for (std::size_t left = random_.between(1, 4); left != 0; --left) {
        group.spawn(send());
        group.spawn(recv());
      }
      co_await wait_turns(static_cast<int>(random_.below(6)));
      group.cancel();
      co_await group.join();
    }
    channel_.close();
    while (auto value = co_await channel_.recv()) note(*value);
    EXPECT_EQ(received_, sent_) << "seed " << random_.seed();
    EXPECT_EQ(received_ + kept_, next_) << "seed " << random_.seed();
    EXPECT_GT(received_, 100U);
  }

 private:
  using Value = std::unique_ptr<std::size_t>;

  Task<> send() {
    while (true) {
      Value value = std::make_unique<std::size_t>(next_++);
      try {
        if (random_.one_in(3)) {
          // Either may win, and the other may have been served in the same turn.
          const auto first = co_await race(channel_.send(std::move(value)), next_turn());
          EXPECT_TRUE(first == 1 || value == nullptr);
        } else {
          co_await channel_.send(std::move(value));
        }
      } catch (const Cancelled&) {
        count(value);
        throw;
      }
      count(value);
      if (random_.one_in(3)) co_await next_turn();
    }
  }
  Task<> recv() {
    while (true) {
      if (random_.one_in(3)) {
        auto first = co_await race(channel_.recv(), next_turn());
        if (first.index() == 0) note(**std::get<0>(first));
      } else {
        note(**co_await channel_.recv());
      }
      if (random_.one_in(3)) co_await next_turn();
    }
  }
  void count(const Value& value) { ++(value ? kept_ : sent_); }
  void note(const Value& value) { note(*value); }
  void note(std::size_t value) {
    EXPECT_TRUE(seen_.insert(value).second) << "twice; seed " << random_.seed();
    ++received_;
  }

  Channel<Value> channel_;
  Random& random_;
  std::set<std::size_t> seen_;
  std::size_t next_ = 0;
  std::size_t sent_ = 0;
  std::size_t kept_ = 0;
  std::size_t received_ = 0;
};

}  // namespace

TEST(Channel, loses_and_repeats_no_value_whichever_task_is_cancelled) {
  run([]() -> Task<> {
    Random random;
    for (const std::size_t capacity : capacities) {
      Traffic traffic(capacity, random);
      co_await traffic.go();
    }
  });
}

}  // namespace channel_test
