// The search for invalid characters in a value or a target, many at a time: it misses none.
#include "coax/codec/token.hpp"

#include <gtest/gtest.h>

#include "tests/codec/pieces.hpp"

namespace token_test {

using coax::http1::find_control;
using coax::http1::find_outside;

namespace {

// Each octet, alone in each place of texts of each length; calls check(text, octet, place).
template <class Check>
void for_each_octet_and_place(Check check) {
  for (std::size_t size = 1; size <= 40; ++size) {
    for (std::size_t place = 0; place < size; ++place) {
      for (int octet = 0; octet < 256; ++octet) {
        // an allocation of its own, so that a sanitizer reports an access beyond its end
        std::vector<char> text(size, 'x');
        text[place] = static_cast<char>(octet);
        check(text, octet, place);
      }
    }
  }
}

}  // namespace

TEST(FindControl, finds_all_but_tabs_wherever_they_stand) {
  for_each_octet_and_place([](const std::vector<char>& text, int octet, std::size_t place) {
    const bool is_control = (octet < ' ' && octet != '\t') || octet == 0x7F;
    const char* const end = text.data() + text.size();
    EXPECT_EQ(find_control(text.data(), end), is_control ? text.data() + place : end) << octet << " at " << place;
  });
}

TEST(FindOutside, finds_all_that_is_not_visible_ascii_wherever_it_stands) {
  for_each_octet_and_place([](const std::vector<char>& text, int octet, std::size_t place) {
    const bool is_visible = octet > ' ' && octet < 0x7F;
    const char* const end = text.data() + text.size();
    const char* const found = find_outside<'!', true>(text.data(), end);
    EXPECT_EQ(found, is_visible ? end : text.data() + place) << octet << " at " << place;
  });
}

TEST(FindOutside, finds_the_first_of_several) {
  std::mt19937 random(coax::test::seed());
  for (int round = 0; round < 20'000; ++round) {
    std::vector<char> text(random() % 50);
    for (char& c : text) c = static_cast<char>(random() % 8 != 0 ? 'x' : random());
    const auto expected = std::ranges::find_if(text, [](char c) { return c < '!' || c == 0x7F; });
    const char* const found = find_outside<'!', true>(text.data(), text.data() + text.size());
    EXPECT_EQ(found - text.data(), expected - text.begin()) << "--gtest_random_seed=" << coax::test::seed();
  }
}

}  // namespace token_test
