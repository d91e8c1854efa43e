// The intrusive list: elements are added, removed and destroyed at any moment.
#include "coax/base/list.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace list_test {

using coax::List;
using coax::ListHook;

namespace {

struct Other {
  int value = 0;
};
// The hook is not at the front of the object.
struct Item : Other, ListHook {
  explicit Item(char item_name) : name(item_name) {}
  char name;
};

std::string names(List<Item>& list) {
  std::string result;
  list.for_each([&](Item& item) { result += item.name; });
  return result;
}

class ListTest : public ::testing::Test {
 protected:
  Item a{'a'};
  Item b{'b'};
  Item c{'c'};
  List<Item> list;
};

}  // namespace

TEST_F(ListTest, keeps_the_order_of_insertion) {
  EXPECT_TRUE(list.empty());
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  EXPECT_EQ(names(list), "abc");
  EXPECT_EQ(list.pop_front().name, 'a');
  EXPECT_EQ(list.front().name, 'b');
  EXPECT_FALSE(a.linked());
  EXPECT_TRUE(b.linked());
}

TEST_F(ListTest, lets_any_go) {
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  b.unlink();
  b.unlink();
  EXPECT_EQ(names(list), "ac");
  {
    Item d('d');
    list.push_back(d);
    EXPECT_EQ(names(list), "acd");
  }
  EXPECT_EQ(names(list), "ac");
}

TEST_F(ListTest, moves_an_element_that_is_pushed_again_to_the_end) {
  for (Item* item : {&a, &b, &c, &a}) list.push_back(*item);
  EXPECT_EQ(names(list), "bca");
  List<Item> other;
  other.push_back(c);
  EXPECT_EQ(names(list), "ba");
  EXPECT_EQ(names(other), "c");
}

TEST_F(ListTest, takes_over_another) {
  List<Item> other;
  list.splice_back(other);
  EXPECT_TRUE(list.empty());
  list.push_back(a);
  other.push_back(b);
  other.push_back(c);
  list.splice_back(other);
  EXPECT_EQ(names(list), "abc");
  EXPECT_TRUE(other.empty());
  other.push_back(a);
  EXPECT_EQ(names(list), "bc");
  EXPECT_EQ(names(other), "a");
}

TEST_F(ListTest, lets_the_one_that_it_shows_go) {
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  list.for_each([](Item& item) { item.unlink(); });
  EXPECT_TRUE(list.empty());
}

TEST_F(ListTest, frees_its_elements_when_it_ends) {
  {
    List<Item> short_lived;
    short_lived.push_back(a);
    short_lived.push_back(b);
  }
  EXPECT_FALSE(a.linked());
  EXPECT_FALSE(b.linked());
}

TEST_F(ListTest, a_moved_element_is_in_no_list) {
  list.push_back(a);
  const Item moved = std::move(a);
  EXPECT_FALSE(moved.linked());
  EXPECT_TRUE(a.linked());  // NOLINT(bugprone-use-after-move): the documented state
}

}  // namespace list_test
