// What values mean in a template: their text, their order, and arithmetic that is checked.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "coax/http/template_evaluate_private.hpp"

namespace coax::http::templates {

namespace {

using ValueKind = Value::Kind;

bool is_integer(const Value& value) noexcept {
  return value.kind() == ValueKind::integer || value.kind() == ValueKind::boolean;
}
bool is_number(const Value& value) noexcept { return is_integer(value) || value.kind() == ValueKind::number; }
std::int64_t integer_of(const Value& value) {
  return value.kind() == ValueKind::boolean ? static_cast<std::int64_t>(value.as_bool()) : value.as_integer();
}
double number_of(const Value& value) {
  return value.kind() == ValueKind::boolean ? static_cast<double>(value.as_bool()) : value.as_number();
}

std::string_view symbol_of(Operator what) noexcept {
  switch (what) {
    case Operator::add: return "+";
    case Operator::subtract: return "-";
    case Operator::multiply: return "*";
    case Operator::divide: return "/";
    case Operator::floor_divide: return "//";
    default: return "%";
  }
}

[[noreturn]] void refuse_operands(Operator what, const Value& left, const Value& right) {
  throw Fault{"'" + std::string(symbol_of(what)) + "' does not take " + kind_of(left) + " and " + kind_of(right) +
              (what == Operator::add ? "; write str(...) around what is no string" : "")};
}

// As Python's repr(), for strings in lists and objects.
void append_quoted(std::string& text, std::string_view string) {
  constexpr std::string_view digits = "0123456789abcdef";
  const char quote = string.contains('\'') && !string.contains('"') ? '"' : '\'';
  text += quote;
  for (const char c : string) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else if (c == '\r') {
      text += "\\r";
    } else if (byte < 0x20 || byte == 0x7f) {
      text += "\\x";
      text += digits[byte >> 4];
      text += digits[byte & 0xf];
    } else {
      if (c == quote || c == '\\') text += '\\';
      text += c;
    }
  }
  text += quote;
}

void append_element(std::string& text, const Value& value) {
  if (value.kind() == ValueKind::string) {
    append_quoted(text, value.as_string());
  } else {
    append_text(text, value);
  }
}

// Exact, unlike a comparison of doubles: so sorting has an order that contradicts nothing.
std::strong_ordering order_of(std::int64_t integer, double number) {
  constexpr double limit = 9223372036854775808.0;
  if (std::isnan(number) || number >= limit) return std::strong_ordering::less;
  if (number < -limit) return std::strong_ordering::greater;
  const double whole = std::trunc(number);
  const auto result = integer <=> static_cast<std::int64_t>(whole);
  return result != 0      ? result
         : whole < number ? std::strong_ordering::less
         : whole > number ? std::strong_ordering::greater
                          : std::strong_ordering::equal;
}

// NaN is above all numbers.
std::strong_ordering order_of(double left, double right) {
  if (std::isnan(left) || std::isnan(right)) return std::isnan(left) <=> std::isnan(right);
  return left < right   ? std::strong_ordering::less
         : left > right ? std::strong_ordering::greater
                        : std::strong_ordering::equal;
}

std::strong_ordering order_of_numbers(const Value& left, const Value& right) {
  if (is_integer(left)) {
    return is_integer(right) ? integer_of(left) <=> integer_of(right) : order_of(integer_of(left), right.as_number());
  }
  if (!is_integer(right)) return order_of(left.as_number(), right.as_number());
  return 0 <=> order_of(integer_of(right), left.as_number());
}

Value checked(bool has_overflown, std::int64_t result) {
  if (has_overflown) throw Fault{"the result is above the largest integer, 9223372036854775807, or below the smallest"};
  return result;
}

Value of_integers(Operator what, std::int64_t left, std::int64_t right) {
  std::int64_t result = 0;
  switch (what) {
    case Operator::add: return checked(__builtin_add_overflow(left, right, &result), result);
    case Operator::subtract: return checked(__builtin_sub_overflow(left, right, &result), result);
    case Operator::multiply: return checked(__builtin_mul_overflow(left, right, &result), result);
    default: break;
  }
  if (right == 0) throw Fault{"division by zero"};
  if (what == Operator::divide) return static_cast<double>(left) / static_cast<double>(right);
  if (right == -1) return what == Operator::modulo ? Value(0) : of_integers(Operator::subtract, 0, left);
  // Towards minus infinity, as in Python; C++ rounds towards 0.
  const bool is_below = left % right != 0 && (left % right < 0) != (right < 0);
  return what == Operator::modulo ? left % right + (is_below ? right : 0) : left / right - (is_below ? 1 : 0);
}

Value of_numbers(Operator what, double left, double right) {
  switch (what) {
    case Operator::add: return left + right;
    case Operator::subtract: return left - right;
    case Operator::multiply: return left * right;
    default: break;
  }
  if (right == 0) throw Fault{"division by zero"};
  if (what == Operator::divide) return left / right;
  const double rest = std::fmod(left, right);
  const bool is_below = rest != 0 && (rest < 0) != (right < 0);
  if (what == Operator::modulo) return is_below ? rest + right : rest;
  return std::floor((left - rest) / right - (is_below ? 1 : 0));
}

Value repeated(const Value& value, std::int64_t count, Budget& budget) {
  const std::uint64_t times = static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
  const bool is_text = value.kind() == ValueKind::string;
  std::uint64_t size = std::max<std::uint64_t>(value.size(), 1) * (is_text ? 1 : sizeof(Value));
  if (__builtin_mul_overflow(size, times, &size)) size = std::numeric_limits<std::uint64_t>::max();
  budget.spend_bytes(size);
  if (is_text) {
    std::string text;
    text.reserve(size);
    for (std::uint64_t done = 0; done < times; ++done) text += value.as_string();
    return text;
  }
  Value::List elements;
  for (std::uint64_t done = 0; done < times; ++done) {
    elements.insert(elements.end(), value.as_list().begin(), value.as_list().end());
  }
  for (const Value& element : elements) {
    if (element.kind() == ValueKind::string) budget.spend_bytes(element.size());
  }
  return Value::list(std::move(elements));
}

Value joined(const Value& left, const Value& right, Budget& budget) {
  if (left.kind() == ValueKind::string) {
    budget.spend_bytes(left.size() + right.size());
    std::string text;
    text.reserve(left.size() + right.size());
    return Value(std::move(text.append(left.as_string()).append(right.as_string())));
  }
  Value::List elements;
  elements.reserve(left.size() + right.size());
  budget.spend_bytes((left.size() + right.size()) * sizeof(Value));
  for (const Value* part : {&left, &right}) {
    for (const Value& element : part->as_list()) {
      if (element.kind() == ValueKind::string) budget.spend_bytes(element.size());
      elements.push_back(element);
    }
  }
  return Value::list(std::move(elements));
}

}  // namespace

void Budget::refuse_steps() {
  throw Fault{"the rendering takes too many steps; give the template less data, or raise TemplateOptions::steps_max"};
}

void Budget::refuse_bytes() {
  throw Fault{"the template makes values that are too large; raise TemplateOptions::value_bytes_max if it may"};
}

void Budget::spend_text(const Value& value) {
  spend_walk(value);
  spend_bytes(value.cost() * 64);
}

std::string kind_of(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null: return "None";
    case ValueKind::integer: return "an integer";
    case ValueKind::object: return "an object";
    default: return "a " + std::string(to_string(value.kind()));
  }
}

void append_text(std::string& text, const Value& value) {
  const char* separator = "";
  switch (value.kind()) {
    case ValueKind::null: text += "None"; break;
    case ValueKind::boolean: text += value.as_bool() ? "True" : "False"; break;
    case ValueKind::integer: text += std::to_string(value.as_integer()); break;
    case ValueKind::number: text += to_text(value.as_number()); break;
    case ValueKind::string: text += value.as_string(); break;
    case ValueKind::list:
      text += '[';
      for (const Value& element : value.as_list()) {
        text += std::exchange(separator, ", ");
        append_element(text, element);
      }
      text += ']';
      break;
    case ValueKind::object:
      text += '{';
      for (const Member& member : value.as_object()) {
        text += std::exchange(separator, ", ");
        append_quoted(text, member.name);
        text += ": ";
        append_element(text, member.value);
      }
      text += '}';
      break;
  }
}

std::string text_of(const Value& value, Budget& budget) {
  budget.spend_text(value);
  std::string text;
  append_text(text, value);
  return text;
}

bool is_true(const Value& value) noexcept {
  switch (value.kind()) {
    case ValueKind::null: return false;
    case ValueKind::boolean:
    case ValueKind::integer: return integer_of(value) != 0;
    case ValueKind::number: return value.as_number() != 0;
    default: return value.size() != 0;
  }
}

std::strong_ordering order(const Value& left, const Value& right, Budget& budget) {
  if (is_number(left) && is_number(right)) return order_of_numbers(left, right);
  if (left.kind() == ValueKind::string && right.kind() == ValueKind::string) {
    budget.spend_steps(1 + std::min(left.size(), right.size()) / 64);
    return left.as_string() <=> right.as_string();
  }
  if (left.kind() != ValueKind::list || right.kind() != ValueKind::list) {
    throw Fault{kind_of(left) + " and " + kind_of(right) + " have no order"};
  }
  const std::size_t count = std::min(left.size(), right.size());
  for (std::size_t index = 0; index < count; ++index) {
    budget.spend_steps(1);
    const auto result = order(left[index], right[index], budget);
    if (result != 0) return result;
  }
  return left.size() <=> right.size();
}

bool is_equal(const Value& left, const Value& right, Budget& budget) {
  if (is_number(left) && is_number(right))
    return number_of(left) == number_of(right) && order_of_numbers(left, right) == 0;
  if (left.kind() != right.kind()) return false;
  budget.spend_steps(std::min(left.cost(), right.cost()));
  return left == right;
}

Value arithmetic(Operator what, const Value& left, const Value& right, Budget& budget) {
  if (is_integer(left) && is_integer(right)) return of_integers(what, integer_of(left), integer_of(right));
  if (is_number(left) && is_number(right)) return of_numbers(what, number_of(left), number_of(right));
  const auto is_sequence = [](const Value& value) {
    return value.kind() == ValueKind::string || value.kind() == ValueKind::list;
  };
  if (what == Operator::add && is_sequence(left) && left.kind() == right.kind()) return joined(left, right, budget);
  if (what == Operator::multiply && is_sequence(left) && is_integer(right)) {
    return repeated(left, integer_of(right), budget);
  }
  if (what == Operator::multiply && is_integer(left) && is_sequence(right)) {
    return repeated(right, integer_of(left), budget);
  }
  refuse_operands(what, left, right);
}

}  // namespace coax::http::templates
