// A recursive-descent grammar of JSON without recursion: one pass, with one bit for each level of nesting.
#include "coax/codec/json.hpp"

#include <algorithm>
#include <bitset>

#include "coax/base/text.hpp"

namespace coax {

namespace {

class JsonCheck {
 public:
  JsonCheck(std::string_view text, std::size_t depth_max) noexcept
      : text_(text), depth_max_(std::min(depth_max, json_depth_limit)) {}

  std::optional<JsonFault> run() {
    bool good = value();
    while (good && depth_ != 0) good = after_value();
    if (!good) return fault_;
    skip_space();
    if (at_ != text_.size()) return JsonFault{at_, "unexpected text after the value"};
    return std::nullopt;
  }

 private:
  // NUL at the end, which is not valid anywhere in JSON.
  [[nodiscard]] char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) noexcept {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_space() noexcept { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }
  bool fail(std::string_view reason) noexcept {
    fault_ = {.at = at_, .reason = at_ < text_.size() ? reason : "it is cut off"};
    return false;
  }
  [[nodiscard]] bool in_object() const noexcept { return is_object_[depth_ - 1]; }

  // Up to the end of a scalar or of an empty container.
  bool value() {
    while (true) {
      skip_space();
      switch (peek()) {
        case '"': return string();
        case 't': return word("true");
        case 'f': return word("false");
        case 'n': return word("null");
        case '{':
        case '[': break;
        default: return number();
      }
      if (depth_ == depth_max_) return fail("arrays and objects are nested too deeply");
      is_object_[depth_++] = text_[at_++] == '{';
      skip_space();
      if (take(in_object() ? '}' : ']')) {
        --depth_;
        return true;
      }
      if (in_object() && !name()) return false;
    }
  }

  // Inside a container.
  bool after_value() {
    skip_space();
    if (take(in_object() ? '}' : ']')) {
      --depth_;
      return true;
    }
    if (!take(','))
      return fail(in_object() ? "neither , nor } follows a member" : "neither , nor ] follows an element");
    return (!in_object() || name()) && value();
  }

  bool name() {
    skip_space();
    if (peek() != '"') return fail("a member of an object begins with its name, a string");
    if (!string()) return false;
    skip_space();
    return take(':') || fail("no : follows the name of a member");
  }

  bool word(std::string_view expected) {
    for (const char c : expected) {
      if (!take(c)) return fail("an unexpected character");
    }
    return true;
  }

  bool digits() {
    if (!is_digit(peek())) return fail("a digit is missing");
    while (is_digit(peek())) ++at_;
    return true;
  }

  bool number() {
    if (!take('-') && !is_digit(peek())) return fail("an unexpected character");
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (!take('e') && !take('E')) return true;
    if (!take('+')) take('-');
    return digits();
  }

  bool string() {
    ++at_;
    while (true) {
      const char c = peek();
      if (static_cast<unsigned char>(c) < 0x20) return fail("a control character in a string");
      ++at_;
      if (c == '"') return true;
      if (c == '\\' && !escape()) return false;
    }
  }

  bool escape() {
    constexpr std::string_view letters = "\"\\/bfnrt";
    if (peek() != 'u') {
      if (!letters.contains(peek())) return fail("an unknown escape");
      ++at_;
      return true;
    }
    const auto first = unit();
    if (!first) return false;
    bool is_half = *first >= 0xdc00 && *first < 0xe000;
    if (*first >= 0xd800 && *first < 0xdc00) {
      const auto second = take('\\') && peek() == 'u' ? unit() : 0;
      if (!second) return false;
      is_half = *second < 0xdc00 || *second >= 0xe000;
    }
    return !is_half || fail("half of a surrogate pair");
  }

  // The u of an escape and its four digits.
  std::optional<unsigned> unit() {
    ++at_;
    unsigned result = 0;
    for (int count = 0; count < 4; ++count) {
      const char c = peek();
      const char low = static_cast<char>(c | 0x20);
      if (!is_digit(c) && (low < 'a' || low > 'f')) {
        fail("a \\u has four hexadecimal digits");
        return std::nullopt;
      }
      result = result * 16 + static_cast<unsigned>(is_digit(c) ? c - '0' : low - 'a' + 10);
      ++at_;
    }
    return result;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t depth_max_;
  std::bitset<json_depth_limit> is_object_;  // at each level: an object, otherwise an array
  JsonFault fault_;
};

}  // namespace

std::optional<JsonFault> check_json(BytesView text, std::size_t depth_max) {
  if (!is_utf8(text)) return JsonFault{.at = 0, .reason = "it is not UTF-8"};
  return JsonCheck(text.text(), depth_max).run();
}

std::string json_on_one_line(std::string_view json) {
  std::string line(json);  // in strings both are escaped
  std::ranges::replace_if(line, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line;
}

}  // namespace coax
