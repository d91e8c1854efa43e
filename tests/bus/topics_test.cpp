// Topics by name: shared while they are used, and gone afterwards.
#include "coax/bus/topics.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/run.hpp"

namespace coax::topics_test {
namespace {

TEST(Topics, name_is_one_topic_while_it_is_used) {
  test::run([]() -> Task<> {
    Topics topics;
    std::shared_ptr<Topic> first = topics["a"];
    const std::shared_ptr<Topic> second = topics["a"];
    const std::shared_ptr<Topic> other = topics["b"];
    EXPECT_EQ(first, second);
    EXPECT_NE(first, other);
    EXPECT_EQ(topics.size(), 2U);
    Outbox outbox;
    Subscription subscription = second->subscribe(outbox);
    first->publish_now("hello");
    first.reset();
    EXPECT_EQ(topics["a"], second);
    subscription.catch_up();
    EXPECT_EQ(outbox.bytes(), 5U);
    co_return;
  });
}

TEST(Topics, topic_without_an_owner_is_removed) {
  Topics topics;
  for (int number = 0; number < 1000; ++number) static_cast<void>(topics[std::to_string(number)]);
  EXPECT_EQ(topics.size(), 0U);
  std::shared_ptr<Topic> left;
  {
    Topics gone;
    left = gone["a"];
  }
  left->publish_now("to none");
}

TEST(Topics, may_be_used_on_several_threads) {
  Topics topics;
  std::atomic<int> different = 0;
  {
    std::vector<std::jthread> threads;
    for (int number = 0; number < 4; ++number) {
      threads.emplace_back([&] {
        for (int round = 0; round < 2000; ++round) {
          const std::shared_ptr<Topic> one = topics["a"];
          if (topics["a"] != one) ++different;
        }
      });
    }
  }
  EXPECT_EQ(different, 0);
  EXPECT_EQ(topics.size(), 0U);
}

}  // namespace
}  // namespace coax::topics_test
