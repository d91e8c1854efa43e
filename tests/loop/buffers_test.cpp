// The pool of receive buffers: few, warm in the cache, and as large as the traffic needs.
#include "coax/loop/buffers.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace buffers_test {

using namespace coax;

TEST(Buffers, reuse_the_buffer_that_was_returned_last) {
  Buffers buffers;
  LentBuffer* first = buffers.take();
  LentBuffer* second = buffers.take();
  EXPECT_EQ(buffers.lent(), 2U);
  buffers.give_back(first);
  buffers.give_back(second);
  EXPECT_EQ(buffers.lent(), 0U);
  EXPECT_TRUE(buffers.take() == second);
  EXPECT_TRUE(buffers.take() == first);
  buffers.give_back(first);
  buffers.give_back(second);
}

TEST(Buffers, double_when_one_was_filled_up_to_512_KiB) {
  Buffers buffers;
  std::vector<std::size_t> sizes;
  for (int times = 0; times < 6; ++times) {
    LentBuffer* buffer = buffers.take();
    sizes.push_back(buffer->size());
    buffers.filled(*buffer);
    buffers.give_back(buffer);
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{64_KiB, 128_KiB, 256_KiB, 512_KiB, 512_KiB, 512_KiB}));
}

TEST(Buffers, a_small_one_that_is_filled_late_changes_nothing) {
  Buffers buffers;
  LentBuffer* small = buffers.take();
  LentBuffer* other = buffers.take();
  buffers.filled(*small);
  buffers.filled(*other);
  buffers.give_back(small);
  buffers.give_back(other);
  LentBuffer* larger = buffers.take();
  EXPECT_EQ(larger->size(), 128_KiB) << "the small ones were not kept";
  buffers.give_back(larger);
}

TEST(Buffers, keep_only_a_few) {
  Buffers buffers;
  std::vector<LentBuffer*> lent;
  for (int times = 0; times < 100; ++times) lent.push_back(buffers.take());
  for (LentBuffer* buffer : lent) buffers.give_back(buffer);
  EXPECT_EQ(buffers.lent(), 0U);
}

}  // namespace buffers_test
