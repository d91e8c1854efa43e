// Values from and to JSON (RFC 8259). check_json() has the grammar, so the walk that builds the value has no error of
// syntax left to find.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "coax/base/text.hpp"
#include "coax/codec/json.hpp"
#include "coax/http/value_private.hpp"

namespace coax::http {

namespace {

// --- from JSON ---

void append_utf8(std::string& text, std::uint32_t point) {
  const auto add = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (point < 0x80) return add(point);
  if (point < 0x800) {
    add(0xc0 | point >> 6);
  } else {
    if (point < 0x10000) {
      add(0xe0 | point >> 12);
    } else {
      add(0xf0 | point >> 18);
      add(0x80 | (point >> 12 & 0x3f));
    }
    add(0x80 | (point >> 6 & 0x3f));
  }
  add(0x80 | (point & 0x3f));
}

class JsonWalk {
 public:
  explicit JsonWalk(std::string_view text) : text_(text) {}

  [[noreturn]] void fail(std::size_t at, std::string_view reason) const {
    const std::string_view before = text_.substr(0, at);
    const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
    const std::string_view line = before.substr(line_begin);
    const std::size_t column = is_utf8(line) ? count_characters(line) : line.size();
    throw Error(ErrorKind::invalid, "read JSON", {},
                "line " + std::to_string(std::ranges::count(before, '\n') + 1) + ", column " +
                    std::to_string(column + 1) + ": " + std::string(reason));
  }

  Value value() {
    skip_space();
    switch (text_[at_]) {
      case '{': return object();
      case '[': return list();
      case '"': return string();
      case 't': at_ += 4; return true;
      case 'f': at_ += 5; return false;
      case 'n': at_ += 4; return nullptr;
      default: return number();
    }
  }

 private:
  void skip_space() { at_ = text_.find_first_not_of(" \t\r\n", at_); }
  // The next character that is no space; consumes it if it is `c`.
  bool take(char c) {
    skip_space();
    if (text_[at_] != c) return false;
    ++at_;
    return true;
  }

  Value list() {
    ++at_;
    Value::List elements;
    if (take(']')) return Value::list();
    do {
      elements.push_back(value());
    } while (take(','));
    take(']');
    return Value::list(std::move(elements));
  }

  Value object() {
    const std::size_t begin = at_++;
    std::vector<Member> members;
    if (take('}')) return Value::object();
    do {
      skip_space();
      std::string name = string();
      take(':');
      members.push_back({std::move(name), value()});
    } while (take(','));
    take('}');
    refuse_repeated(members, begin);
    return Value::object(std::move(members));
  }

  void refuse_repeated(const std::vector<Member>& members, std::size_t begin) const {
    std::vector<std::string_view> names;
    names.reserve(members.size());
    for (const Member& member : members) names.push_back(member.name);
    std::ranges::sort(names);
    const auto repeated = std::ranges::adjacent_find(names);
    if (repeated != names.end()) fail(begin, "the object has the name \"" + std::string(*repeated) + "\" twice");
  }

  std::string string() {
    std::string result;
    ++at_;
    while (true) {
      const std::size_t end = text_.find_first_of("\"\\", at_);
      result.append(text_, at_, end - at_);
      at_ = end + 1;
      if (text_[end] == '"') return result;
      escape(result);
    }
  }

  void escape(std::string& result) {
    constexpr std::string_view letters = "\"\\/bfnrt";
    constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    const char letter = text_[at_++];
    if (letter != 'u') {
      result += meanings[letters.find(letter)];
      return;
    }
    std::uint32_t point = unit();
    if (point >= 0xd800 && point < 0xdc00) {
      at_ += 2;
      point = 0x10000 + ((point - 0xd800) << 10) + (unit() - 0xdc00);
    }
    append_utf8(result, point);
  }

  std::uint32_t unit() {
    std::uint32_t result = 0;
    std::from_chars(text_.data() + at_, text_.data() + at_ + 4, result, 16);
    at_ += 4;
    return result;
  }

  Value number() {
    const std::size_t begin = at_;
    at_ = std::min(text_.find_first_not_of("+-.0123456789eE", at_), text_.size());
    const std::string_view digits = text_.substr(begin, at_ - begin);
    const char* end = digits.data() + digits.size();
    if (digits.find_first_of(".eE") == std::string_view::npos) {
      std::int64_t integer = 0;
      if (std::from_chars(digits.data(), end, integer).ec == std::errc()) return integer;
    }
    double result = 0;
    const bool is_in_range = std::from_chars(digits.data(), end, result).ec == std::errc();
    // Out of range is also a number too small, which is 0 to the precision of a double.
    if (!is_in_range && is_large(digits)) fail(begin, "the number is larger than the largest double");
    return is_in_range ? result : 0.0;
  }

  // Of a number that is out of range: whether its power of ten, counted from its first digit, is not negative.
  static bool is_large(std::string_view digits) {
    const std::size_t exponent_at = std::min(digits.find_first_of("eE"), digits.size());
    const std::string_view mantissa = digits.substr(0, exponent_at);
    const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
    const std::size_t first = mantissa.find_first_of("123456789");
    if (first == std::string_view::npos) return false;
    if (exponent_at == digits.size()) return first < point;
    const bool is_negative = digits[exponent_at + 1] == '-';
    const std::size_t power_at = digits.find_first_of("0123456789", exponent_at);
    std::int64_t power = 0;
    constexpr std::int64_t huge = std::int64_t{1} << 60;
    if (std::from_chars(digits.data() + power_at, digits.data() + digits.size(), power).ec != std::errc()) power = huge;
    const auto offset = static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first);
    return (is_negative ? -power : power) + offset > 0;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// --- to JSON ---

// Returns: the length of the character at the start; 0 when it is not UTF-8.
std::size_t character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return size <= text.size() && is_utf8(text.substr(0, size)) ? size : 0;
}

void append_escape(std::string& text, unsigned unit) {
  constexpr std::string_view digits = "0123456789abcdef";
  text += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) text += digits[unit >> shift & 0xf];
}

void append_special(std::string& text, char c) {
  switch (c) {
    case '"': text += "\\\""; break;
    case '\\': text += "\\\\"; break;
    case '\n': text += "\\n"; break;
    case '\r': text += "\\r"; break;
    case '\t': text += "\\t"; break;
    default: append_escape(text, static_cast<unsigned char>(c));
  }
}

// Appends the character that is not ASCII at the start. Returns: its length.
std::size_t append_wide(std::string& text, std::string_view string, bool for_script) {
  const std::size_t size = character_bytes(string);
  if (size == 0) {
    text += "\xef\xbf\xbd";
    return 1;
  }
  const std::string_view character = string.substr(0, size);
  if (for_script && (character == "\xe2\x80\xa8" || character == "\xe2\x80\xa9")) {
    append_escape(text, character.back() == '\xa8' ? 0x2028 : 0x2029);
  } else {
    text += character;
  }
  return size;
}

}  // namespace

void append_json_string(std::string& text, std::string_view string, bool for_script) {
  std::size_t done = 0;
  const auto append_before = [&](std::size_t at) { text.append(string, done, at - done); };
  for (std::size_t at = 0; at < string.size();) {
    const char c = string[at];
    const bool is_wide = static_cast<unsigned char>(c) >= 0x80;
    const bool is_special = static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' || c == '\x7f' ||
                            (for_script && (c == '<' || c == '>' || c == '&' || c == '\''));
    if (!is_wide && !is_special) {
      ++at;
      continue;
    }
    append_before(at);
    if (is_wide) {
      at += append_wide(text, string.substr(at), for_script);
    } else {
      append_special(text, c);
      ++at;
    }
    done = at;
  }
  append_before(string.size());
}

void append_json(std::string& text, const Value& value, bool for_script) {
  bool is_first = true;
  const auto separate = [&] {
    if (!is_first) text += ',';
    is_first = false;
  };
  switch (value.kind()) {
    case Value::Kind::null: text += "null"; break;
    case Value::Kind::boolean: text += value.as_bool() ? "true" : "false"; break;
    case Value::Kind::integer: text += std::to_string(value.as_integer()); break;
    case Value::Kind::number:
      if (!std::isfinite(value.as_number()))
        throw Error(ErrorKind::invalid, "write JSON", {}, "JSON has no " + to_text(value.as_number()));
      text += to_text(value.as_number());
      break;
    case Value::Kind::string:
      text += '"';
      append_json_string(text, value.as_string(), for_script);
      text += '"';
      break;
    case Value::Kind::list:
      text += '[';
      for (const Value& element : value.as_list()) {
        separate();
        append_json(text, element, for_script);
      }
      text += ']';
      break;
    case Value::Kind::object:
      text += '{';
      for (const Member& member : value.as_object()) {
        separate();
        text += '"';
        append_json_string(text, member.name, for_script);
        text += "\":";
        append_json(text, member.value, for_script);
      }
      text += '}';
      break;
  }
}

std::string Value::to_json() const {
  std::string text;
  append_json(text, *this, false);
  return text;
}

std::string Value::to_script_json() const {
  std::string text;
  append_json(text, *this, true);
  return text;
}

Value parse_json(std::string_view text, JsonOptions options) {
  JsonWalk walk(text);
  if (const auto fault = check_json(text, std::min(options.depth_max, Value::depth_max)))
    walk.fail(fault->at, fault->reason);
  return walk.value();
}

}  // namespace coax::http
