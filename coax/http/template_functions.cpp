// The functions and methods that every template has.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>

#include "coax/base/text.hpp"
#include "coax/http/template_escape_private.hpp"
#include "coax/http/template_evaluate_private.hpp"

namespace coax::http::templates {

namespace {

using ValueKind = Value::Kind;

const std::string& string_in(const Arguments& arguments, std::size_t index) {
  if (arguments.values[index]->kind() != ValueKind::string) refuse_argument(arguments, index, "a string");
  return arguments.values[index]->as_string();
}

std::int64_t integer_in(const Arguments& arguments, std::size_t index) {
  if (arguments.values[index]->kind() != ValueKind::integer) refuse_argument(arguments, index, "an integer");
  return arguments.values[index]->as_integer();
}

const Value& object_in(const Arguments& arguments) {
  if (arguments.values[0]->kind() != ValueKind::object) refuse_argument(arguments, 0, "an object");
  return *arguments.values[0];
}

// A list itself, the characters of a string, the names of an object.
Value elements_in(const Arguments& arguments, std::size_t index) {
  const Value& value = *arguments.values[index];
  if (value.kind() == ValueKind::list) return value;
  if (value.kind() == ValueKind::string) return characters_of(value.as_string(), arguments.budget);
  if (value.kind() != ValueKind::object) refuse_argument(arguments, index, "a list");
  arguments.budget.spend_bytes(value.size() * sizeof(Value) + value.cost() * 64);
  Value::List names;
  for (const Member& member : value.as_object()) names.emplace_back(member.name);
  return Value::list(std::move(names));
}

// --- functions ---

Value len(const Arguments& arguments) {
  const Value& value = *arguments.values[0];
  if (value.kind() != ValueKind::string && value.kind() != ValueKind::list && value.kind() != ValueKind::object) {
    refuse_argument(arguments, 0, "a string, a list or an object");
  }
  if (value.kind() != ValueKind::string) return value.size();
  arguments.budget.spend_walk(value);
  return count_of(value.as_string());
}

Value str(const Arguments& arguments) { return text_of(*arguments.values[0], arguments.budget); }

// The number that a whole text is, with spaces around it.
template <class T>
T parse_number(const Arguments& arguments, std::string_view wanted) {
  std::string_view text = trim(string_in(arguments, 0));
  if (text.starts_with('+')) text.remove_prefix(1);
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) refuse_argument(arguments, 0, wanted);
  return number;
}

Value integer(const Arguments& arguments) {
  const Value& value = *arguments.values[0];
  switch (value.kind()) {
    case ValueKind::integer: return value;
    case ValueKind::boolean: return value.as_bool() ? 1 : 0;
    case ValueKind::number: {
      constexpr double limit = 9223372036854775808.0;
      const double number = value.as_number();
      if (!(number >= -limit && number < limit)) refuse_argument(arguments, 0, "a number that fits into an integer");
      return static_cast<std::int64_t>(number);
    }
    default: return parse_number<std::int64_t>(arguments, "the text of an integer");
  }
}

Value number(const Arguments& arguments) {
  const Value& value = *arguments.values[0];
  if (value.kind() == ValueKind::integer || value.kind() == ValueKind::number) return value.as_number();
  return parse_number<double>(arguments, "the text of a number");
}

Value boolean(const Arguments& arguments) { return is_true(*arguments.values[0]); }

Value absolute(const Arguments& arguments) {
  const Value& value = *arguments.values[0];
  if (value.kind() == ValueKind::number) return std::abs(value.as_number());
  const std::int64_t integer = integer_in(arguments, 0);
  return integer < 0 ? arithmetic(Operator::subtract, 0, value, arguments.budget) : value;
}

// To an integer, or to so many digits after the point.
Value rounded(const Arguments& arguments) {
  const Value& value = *arguments.values[0];
  if (value.kind() == ValueKind::integer) return value;
  if (value.kind() != ValueKind::number) refuse_argument(arguments, 0, "a number");
  const std::int64_t digits = arguments.values.size() == 2 ? integer_in(arguments, 1) : 0;
  if (digits < 0 || digits > 15) refuse_argument(arguments, 1, "a number of digits from 0 to 15");
  std::array<char, 400> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value.as_number(), std::chars_format::fixed,
                                 static_cast<int>(digits));
  double result = value.as_number();
  std::from_chars(text.data(), end.ptr, result);
  if (arguments.values.size() == 2) return result;
  const Value whole(result);
  const Value* const pointer = &whole;
  return integer({arguments.name, std::span(&pointer, 1), arguments.budget});
}

Value extreme(const Arguments& arguments, bool is_largest) {
  const bool is_one = arguments.values.size() == 1;
  const Value list = is_one ? elements_in(arguments, 0) : Value();
  std::vector<const Value*> candidates(arguments.values.begin(), arguments.values.end());
  if (is_one) {
    arguments.budget.spend_bytes(list.size() * sizeof(void*));
    candidates.clear();
    for (const Value& element : list.as_list()) candidates.push_back(&element);
  }
  if (candidates.empty()) refuse_argument(arguments, 0, "a list that is not empty");
  const Value* best = candidates.front();
  for (const Value* candidate : candidates) {
    arguments.budget.spend_steps(1);
    const auto result = order(*candidate, *best, arguments.budget);
    if (is_largest ? result > 0 : result < 0) best = candidate;
  }
  return *best;
}
Value smallest(const Arguments& arguments) { return extreme(arguments, false); }
Value largest(const Arguments& arguments) { return extreme(arguments, true); }

Value sum(const Arguments& arguments) {
  Value result = 0;
  const Value list = elements_in(arguments, 0);
  for (const Value& element : list.as_list()) {
    arguments.budget.spend_steps(1);
    result = arithmetic(Operator::add, result, element, arguments.budget);
  }
  return result;
}

Value range(const Arguments& arguments) {
  const std::size_t count = arguments.values.size();
  const std::int64_t first = count == 1 ? 0 : integer_in(arguments, 0);
  const std::int64_t end = integer_in(arguments, count == 1 ? 0 : 1);
  return range_of(first, end, count == 3 ? integer_in(arguments, 2) : 1, arguments.budget);
}

Value enumerate(const Arguments& arguments) {
  std::int64_t number = arguments.values.size() == 2 ? integer_in(arguments, 1) : 0;
  const Value list = elements_in(arguments, 0);
  if (number > std::numeric_limits<std::int64_t>::max() - static_cast<std::int64_t>(list.size())) {
    refuse_argument(arguments, 1, "a smaller integer");
  }
  Value::List pairs;
  for (const Value& element : list.as_list()) {
    // The two values of a pair, and what the list of the pair needs itself.
    arguments.budget.spend_bytes(4 * sizeof(Value) + (element.kind() == ValueKind::string ? element.size() : 0));
    Value::List pair;
    pair.reserve(2);
    pair.emplace_back(number++);
    pair.push_back(element);
    pairs.push_back(Value::list(std::move(pair)));
  }
  return Value::list(std::move(pairs));
}

Value sorted(const Arguments& arguments) {
  const Value list = elements_in(arguments, 0);
  const std::span elements = list.as_list();
  arguments.budget.spend_bytes(elements.size() * (sizeof(Value) + sizeof(void*)));
  std::vector<const Value*> order_of(elements.size());
  std::ranges::transform(elements, order_of.begin(), [](const Value& element) { return &element; });
  std::ranges::sort(order_of, [&](const Value* left, const Value* right) {
    arguments.budget.spend_steps(1);
    const auto result = order(*left, *right, arguments.budget);
    return result != 0 ? result < 0 : left < right;
  });
  Value::List result;
  for (const Value* element : order_of) {
    if (element->kind() == ValueKind::string) arguments.budget.spend_bytes(element->size());
    result.push_back(*element);
  }
  return Value::list(std::move(result));
}

Value reversed(const Arguments& arguments) {
  const Value list = elements_in(arguments, 0);
  arguments.budget.spend_bytes(list.size() * sizeof(Value));
  Value::List result;
  for (std::size_t index = list.size(); index-- > 0;) {
    if (list[index].kind() == ValueKind::string) arguments.budget.spend_bytes(list[index].size());
    result.push_back(list[index]);
  }
  return Value::list(std::move(result));
}

Value xhtml_escape(const Arguments& arguments) {
  std::string text;
  const std::string before = text_of(*arguments.values[0], arguments.budget);
  arguments.budget.spend_bytes(before.size() * 6);
  append_html(text, before);
  return text;
}

Value url_escape(const Arguments& arguments) {
  std::string text;
  const std::string before = text_of(*arguments.values[0], arguments.budget);
  arguments.budget.spend_bytes(before.size() * 3);
  append_form_encoded(text, before);
  return text;
}

Value json_encode(const Arguments& arguments) {
  arguments.budget.spend_text(*arguments.values[0]);
  return arguments.values[0]->to_script_json();
}

// Runs of spaces and controls become one space; none is left at the ends.
Value squeeze(const Arguments& arguments) {
  const std::string& before = string_in(arguments, 0);
  arguments.budget.spend_bytes(before.size());
  std::string text;
  bool has_space = false;
  for (const char c : before) {
    if (static_cast<unsigned char>(c) <= 0x20) {
      has_space = true;
      continue;
    }
    if (has_space && !text.empty()) text += ' ';
    has_space = false;
    text += c;
  }
  return text;
}

// --- methods of strings ---

template <class Change>
Value changed(const Arguments& arguments, Change change) {
  std::string text = string_in(arguments, 0);
  arguments.budget.spend_bytes(text.size());
  bool is_in_word = false;
  for (char& c : text) {
    c = change(c, is_in_word);
    is_in_word = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
  }
  return text;
}
char to_upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

Value upper(const Arguments& arguments) {
  return changed(arguments, [](char c, bool) { return to_upper(c); });
}
Value lower(const Arguments& arguments) {
  return changed(arguments, [](char c, bool) { return to_lower(c); });
}
Value title(const Arguments& arguments) {
  return changed(arguments, [](char c, bool is_in_word) { return is_in_word ? to_lower(c) : to_upper(c); });
}
Value capitalize(const Arguments& arguments) {
  return changed(arguments, [is_first = true](char c, bool) mutable {
    return std::exchange(is_first, false) ? to_upper(c) : to_lower(c);
  });
}

Value stripped(const Arguments& arguments, bool at_start, bool at_end) {
  std::string_view text = string_in(arguments, 0);
  const std::string_view unwanted = arguments.values.size() == 2 ? string_in(arguments, 1) : white_space;
  arguments.budget.spend_bytes(text.size());
  arguments.budget.spend_steps((1 + text.size() / 64) * (1 + unwanted.size() / 8));
  if (at_start) text.remove_prefix(std::min(text.find_first_not_of(unwanted), text.size()));
  if (at_end) text = text.substr(0, text.find_last_not_of(unwanted) + 1);
  return text;
}
Value strip(const Arguments& arguments) { return stripped(arguments, true, true); }
Value lstrip(const Arguments& arguments) { return stripped(arguments, true, false); }
Value rstrip(const Arguments& arguments) { return stripped(arguments, false, true); }

// A search is quadratic at worst.
void spend_search(const Arguments& arguments, std::size_t text_bytes, std::size_t wanted_bytes) {
  arguments.budget.spend_steps((1 + text_bytes / 64) * (1 + std::min(text_bytes, wanted_bytes) / 8));
}

Value replace(const Arguments& arguments) {
  const std::string& text = string_in(arguments, 0);
  const std::string& old = string_in(arguments, 1);
  const std::string& other = string_in(arguments, 2);
  if (old.empty()) refuse_argument(arguments, 1, "a string that is not empty");
  spend_search(arguments, text.size(), old.size());
  arguments.budget.spend_bytes(text.size());
  std::string result;
  std::size_t done = 0;
  while (true) {
    const std::size_t found = text.find(old, done);
    result.append(text, done, found == std::string::npos ? std::string::npos : found - done);
    if (found == std::string::npos) return result;
    arguments.budget.spend_bytes(other.size());
    result += other;
    done = found + old.size();
  }
}

// At each separator, or without one at runs of spaces.
Value split(const Arguments& arguments) {
  std::string_view text = string_in(arguments, 0);
  Value::List parts;
  const auto add = [&](std::string_view part) {
    arguments.budget.spend_bytes(sizeof(Value) + part.size());
    parts.emplace_back(part);
  };
  if (arguments.values.size() == 1) {
    while (true) {
      text.remove_prefix(std::min(text.find_first_not_of(white_space), text.size()));
      if (text.empty()) return Value::list(std::move(parts));
      add(text.substr(0, text.find_first_of(white_space)));
      text.remove_prefix(parts.back().size());
    }
  }
  const std::string& separator = string_in(arguments, 1);
  if (separator.empty()) refuse_argument(arguments, 1, "a string that is not empty");
  spend_search(arguments, text.size(), separator.size());
  while (true) {
    const std::size_t found = text.find(separator);
    add(text.substr(0, found));
    if (found == std::string_view::npos) return Value::list(std::move(parts));
    text.remove_prefix(found + separator.size());
  }
}

Value join(const Arguments& arguments) {
  const std::string& separator = string_in(arguments, 0);
  const Value list = elements_in(arguments, 1);
  std::string text;
  for (const Value& element : list.as_list()) {
    if (element.kind() != ValueKind::string) refuse_argument(arguments, 1, "a list of strings");
    arguments.budget.spend_bytes(separator.size() + element.size() + 1);
    if (&element != list.as_list().data()) text += separator;
    text += element.as_string();
  }
  return text;
}

Value startswith(const Arguments& arguments) { return string_in(arguments, 0).starts_with(string_in(arguments, 1)); }
Value endswith(const Arguments& arguments) { return string_in(arguments, 0).ends_with(string_in(arguments, 1)); }

// --- methods of objects ---

Value keys(const Arguments& arguments) {
  object_in(arguments);
  return elements_in(arguments, 0);
}

Value values(const Arguments& arguments) {
  const Value& object = object_in(arguments);
  Value::List list;
  for (const Member& member : object.as_object()) {
    arguments.budget.spend_bytes(sizeof(Value) + (member.value.kind() == ValueKind::string ? member.value.size() : 0));
    list.push_back(member.value);
  }
  return Value::list(std::move(list));
}

Value items(const Arguments& arguments) {
  const Value& object = object_in(arguments);
  Value::List pairs;
  for (const Member& member : object.as_object()) {
    arguments.budget.spend_bytes(4 * sizeof(Value) + member.name.size() +
                                 (member.value.kind() == ValueKind::string ? member.value.size() : 0));
    Value::List pair;
    pair.reserve(2);
    pair.emplace_back(member.name);
    pair.push_back(member.value);
    pairs.push_back(Value::list(std::move(pair)));
  }
  return Value::list(std::move(pairs));
}

Value get(const Arguments& arguments) {
  const Value* found = object_in(arguments).find(string_in(arguments, 1));
  if (found == nullptr) return arguments.values.size() == 3 ? *arguments.values[2] : Value();
  if (found->kind() == ValueKind::string) arguments.budget.spend_bytes(found->size());
  return *found;
}

constexpr std::array<BuiltIn, 20> functions{
    {{"len", 1, 1, len},
     {"str", 1, 1, str},
     {"int", 1, 1, integer},
     {"float", 1, 1, number},
     {"bool", 1, 1, boolean},
     {"abs", 1, 1, absolute},
     {"round", 1, 2, rounded},
     {"min", 1, 4, smallest},
     {"max", 1, 4, largest},
     {"sum", 1, 1, sum},
     {"range", 1, 3, range},
     {"enumerate", 1, 2, enumerate},
     {"sorted", 1, 1, sorted},
     {"reversed", 1, 1, reversed},
     {"escape", 1, 1, xhtml_escape},
     {"xhtml_escape", 1, 1, xhtml_escape},
     {"url_escape", 1, 1, url_escape},
     {"json_encode", 1, 1, json_encode},
     {"squeeze", 1, 1, squeeze},
     {"list", 1, 1, [](const Arguments& arguments) { return elements_in(arguments, 0); }}}};

constexpr std::array<BuiltIn, 16> methods{{{"upper", 1, 1, upper},
                                           {"lower", 1, 1, lower},
                                           {"title", 1, 1, title},
                                           {"capitalize", 1, 1, capitalize},
                                           {"strip", 1, 2, strip},
                                           {"lstrip", 1, 2, lstrip},
                                           {"rstrip", 1, 2, rstrip},
                                           {"replace", 3, 3, replace},
                                           {"split", 1, 2, split},
                                           {"join", 2, 2, join},
                                           {"startswith", 2, 2, startswith},
                                           {"endswith", 2, 2, endswith},
                                           {"items", 1, 1, items},
                                           {"keys", 1, 1, keys},
                                           {"values", 1, 1, values},
                                           {"get", 2, 3, get}}};

}  // namespace

const BuiltIn* find_function(std::string_view name) noexcept {
  const auto* found = std::ranges::find(functions, name, &BuiltIn::name);
  return found == functions.end() ? nullptr : found;
}

const BuiltIn* find_method(std::string_view name) noexcept {
  const auto* found = std::ranges::find(methods, name, &BuiltIn::name);
  return found == methods.end() ? nullptr : found;
}

void refuse_argument(const Arguments& arguments, std::size_t index, std::string_view wanted) {
  throw Fault{"'" + std::string(arguments.name) + "' needs " + std::string(wanted) + ", not " +
              (arguments.values[index]->kind() == ValueKind::string && wanted.contains("text")
                   ? "'" + arguments.values[index]->as_string().substr(0, 40) + "'"
                   : kind_of(*arguments.values[index]))};
}

Value range_of(std::int64_t first, std::int64_t end, std::int64_t step, Budget& budget) {
  if (step == 0) throw Fault{"the step of a range is 0"};
  Value::List numbers;
  std::int64_t number = first;
  while (step > 0 ? number < end : number > end) {
    budget.spend_bytes(sizeof(Value));
    numbers.emplace_back(number);
    if (__builtin_add_overflow(number, step, &number)) break;
  }
  return Value::list(std::move(numbers));
}

}  // namespace coax::http::templates
