// Objects that are kept for reuse, and messages that are logged at most once per interval.
#include "coax/base/free_list.hpp"

#include <gtest/gtest.h>

#include "coax/base/log_throttle.hpp"

namespace free_list_test {

using namespace coax;
using namespace std::chrono_literals;

TEST(FreeList, empty_returns_null) {
  FreeList<int, 2> list;
  EXPECT_EQ(list.acquire(), nullptr);
}

TEST(FreeList, last_released_is_acquired_first) {
  FreeList<int, 2> list;
  list.release(std::make_unique<int>(1));
  list.release(std::make_unique<int>(2));
  EXPECT_EQ(*list.acquire(), 2);
  EXPECT_EQ(*list.acquire(), 1);
  EXPECT_EQ(list.acquire(), nullptr);
}

TEST(FreeList, full_list_destroys_what_is_released) {
  struct Counted {
    explicit Counted(int& of) : count(of) { ++count; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --count; }
    int& count;
  };
  int count = 0;
  {
    FreeList<Counted, 1> list;
    list.release(std::make_unique<Counted>(count));
    EXPECT_TRUE(list.full());
    list.release(std::make_unique<Counted>(count));
    EXPECT_EQ(count, 1);
    list.clear();
    EXPECT_EQ(count, 0);
    list.release(std::make_unique<Counted>(count));
  }
  EXPECT_EQ(count, 0);
}

TEST(LogThrottle, allows_one_message_per_interval) {
  LogThrottle throttle(10s);
  const TimePoint start{};
  EXPECT_TRUE(throttle.should_log(start));
  EXPECT_FALSE(throttle.should_log(start));
  EXPECT_FALSE(throttle.should_log(start + 9999ms));
  EXPECT_TRUE(throttle.should_log(start + 10s));
  EXPECT_FALSE(throttle.should_log(start + 19s));
}

}  // namespace free_list_test
