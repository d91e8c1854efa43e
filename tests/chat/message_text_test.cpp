// The text of a message: what is refused, and with which code.
#include "services/chat/message_text.hpp"

#include <gtest/gtest.h>

#include <string>

namespace coax::chat::message_text_test {
namespace {

// "" when it is accepted.
std::string code_of(BytesView text) {
  const auto refusal = check_text(text);
  return refusal ? std::string(refusal->code) : "";
}

TEST(CheckText, text_of_1_to_4096_bytes_is_accepted) {
  EXPECT_EQ(code_of("a"), "");
  EXPECT_EQ(code_of("日本語 😀"), "");
  EXPECT_EQ(code_of(std::string(4096, 'x')), "");
}

TEST(CheckText, text_above_4096_bytes_is_too_long) { EXPECT_EQ(code_of(std::string(4097, 'x')), "text_too_long"); }

TEST(CheckText, empty_non_utf8_or_control_text_is_invalid) {
  for (const std::string text : {"", "\xff", "a\tb", "a\nb", "a\x7f", "a\xe2\x80\xa8z", "\xe2\x80\xae"}) {
    EXPECT_EQ(code_of(text), "text_invalid") << text;
  }
}

}  // namespace
}  // namespace coax::chat::message_text_test
