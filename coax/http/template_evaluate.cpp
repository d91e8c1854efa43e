// The interpreter of expressions. It returns references to values of the data wherever it can, so that rendering copies
// none.
#include <algorithm>
#include <array>
#include <utility>

#include "coax/http/template_evaluate_private.hpp"

namespace coax::http::templates {

namespace {

using Kind = Expression::Kind;
using ValueKind = Value::Kind;

// "title, rows, user, ...": what a variable that is missing may have been meant to be.
std::string names_in(std::span<const Member> members) {
  constexpr std::size_t shown_max = 8;
  std::string text;
  for (std::size_t index = 0; index < std::min(members.size(), shown_max); ++index) {
    text += (index == 0 ? "" : ", ") + members[index].name.substr(0, 40);
  }
  return members.size() > shown_max ? text + ", ..." : text;
}

[[noreturn]] void refuse_member(const Value& object, std::string_view name) {
  if (object.kind() != ValueKind::object) {
    throw Fault{"it is " + kind_of(object) + ", which has no attribute " + in_quotes(name)};
  }
  const std::string names = names_in(object.as_object());
  throw Fault{"the object has no member " + in_quotes(name) + (names.empty() ? "" : ", but " + names) +
              "; write .get('" + std::string(name) + "') when it may be missing"};
}

void require_member_access(const Value& object, const Value& name) {
  if (object.kind() == ValueKind::list || object.kind() == ValueKind::string) {
    throw Fault{"the index of a " + std::string(to_string(object.kind())) + " is an integer, not " + kind_of(name)};
  }
  if (object.kind() != ValueKind::object) throw Fault{"it is " + kind_of(object) + ", which has no elements"};
  if (name.kind() != ValueKind::string) throw Fault{"the names of members are strings, not " + kind_of(name)};
}

// The place of an index in a sequence; negative ones count from its end.
std::size_t place_of(const Value& index, std::size_t size, std::string_view what) {
  if (index.kind() != ValueKind::integer) {
    throw Fault{"the index of a " + std::string(what) + " is an integer, not " + kind_of(index)};
  }
  const std::int64_t at = index.as_integer();
  const auto count = static_cast<std::int64_t>(size);
  if (at >= count || at < -count) {
    throw Fault{"the index " + std::to_string(at) + " is outside of the " + std::string(what) + " of " +
                std::to_string(size)};
  }
  return static_cast<std::size_t>(at < 0 ? at + count : at);
}

bool is_start(char c) noexcept { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

std::string_view character_at(std::string_view text, std::size_t index) noexcept {
  std::size_t at = 0;
  const auto skip = [&] {
    do ++at;
    while (at < text.size() && !is_start(text[at]));
  };
  while (index-- > 0) skip();
  const std::size_t begin = at;
  skip();
  return text.substr(begin, at - begin);
}

struct Bounds {
  std::int64_t first;
  std::int64_t end;
  std::int64_t step;
};

// As Python's slice.indices().
Bounds bounds_of(const Value& first, const Value& end, const Value& step, std::size_t size) {
  for (const Value* bound : {&first, &end, &step}) {
    if (!bound->is_null() && bound->kind() != ValueKind::integer) {
      throw Fault{"the bounds of a slice are integers, not " + kind_of(*bound)};
    }
  }
  const auto count = static_cast<std::int64_t>(size);
  const std::int64_t by = step.is_null() ? 1 : step.as_integer();
  if (by == 0) throw Fault{"the step of a slice is 0"};
  const bool forwards = by > 0;
  const std::int64_t lowest = forwards ? 0 : -1;
  const std::int64_t highest = forwards ? count : count - 1;
  const auto bound = [&](const Value& value, std::int64_t otherwise) {
    if (value.is_null()) return otherwise;
    const std::int64_t at = value.as_integer();
    return at < 0 ? std::max(at + count, lowest) : std::min(at, highest);
  };
  // A step beyond the sequence takes one element, whatever its size is: so no sum overflows.
  const std::int64_t limit = count + 1;
  return {bound(first, forwards ? lowest : highest), bound(end, forwards ? highest : lowest),
          std::clamp(by, -limit, limit)};
}

bool contains(const Value& container, const Value& value, Budget& budget) {
  budget.spend_walk(container);
  switch (container.kind()) {
    case ValueKind::list:
      return std::ranges::any_of(container.as_list(),
                                 [&](const Value& element) { return is_equal(element, value, budget); });
    case ValueKind::object: return value.kind() == ValueKind::string && container.find(value.as_string()) != nullptr;
    case ValueKind::string:
      if (value.kind() != ValueKind::string) throw Fault{"a string contains strings, not " + kind_of(value)};
      // The search is quadratic at worst.
      budget.spend_steps(std::min(container.size(), value.size()) / 8 * (container.size() / 64));
      return container.as_string().contains(value.as_string());
    default: throw Fault{"'in' needs a list, an object or a string, not " + kind_of(container)};
  }
}

bool holds(Operator what, const Value& left, const Value& right, Budget& budget) {
  switch (what) {
    case Operator::equal: return is_equal(left, right, budget);
    case Operator::not_equal: return !is_equal(left, right, budget);
    case Operator::is: return left.kind() == right.kind() && is_equal(left, right, budget);
    case Operator::is_not: return left.kind() != right.kind() || !is_equal(left, right, budget);
    case Operator::in: return contains(right, left, budget);
    case Operator::not_in: return !contains(right, left, budget);
    case Operator::less: return order(left, right, budget) < 0;
    case Operator::less_equal: return order(left, right, budget) <= 0;
    case Operator::greater: return order(left, right, budget) > 0;
    default: return order(left, right, budget) >= 0;
  }
}

}  // namespace

Value owned(const Value& value, Value& scratch) {
  if (&value == &scratch) return std::move(scratch);
  return value;
}

std::size_t count_of(std::string_view text) noexcept { return std::ranges::count_if(text, is_start); }

Value characters_of(std::string_view text, Budget& budget) {
  budget.spend_bytes(text.size() * sizeof(Value));
  Value::List characters;
  while (!text.empty()) {
    const std::string_view character = character_at(text, 0);
    characters.emplace_back(character);
    text.remove_prefix(character.size());
  }
  return Value::list(std::move(characters));
}

Evaluator::Evaluator(const Names& names, const Value& data, Budget& budget)
    : names_(names), budget_(budget), slots_(names.all().size()) {
  for (std::size_t index = 0; index < slots_.size(); ++index) slots_[index].value = data.find(names.all()[index]);
}

const Value& Evaluator::variable(std::uint32_t slot) const {
  if (slots_[slot].value == nullptr) {
    throw Fault{"there is no variable " + in_quotes(names_.all()[slot]) +
                "; pass it to render(), or {% set %} it before"};
  }
  return *slots_[slot].value;
}

const Value& Evaluator::place(const Expression& expression) const {
  if (expression.kind == Kind::literal) return expression.value;
  if (expression.kind == Kind::variable) return variable(expression.slot);
  const Value& object = place(expression.children[0]);
  const Value& name = expression.kind == Kind::attribute ? expression.value : expression.children[1].value;
  if (expression.kind == Kind::index) require_member_access(object, name);
  const Value* found = object.find(name.as_string());
  if (found == nullptr) refuse_member(object, name.as_string());
  return *found;
}

bool Evaluator::truth(const Expression& expression) {
  if (expression.is_place()) return is_true(place(expression));
  budget_.spend_steps(1);
  switch (expression.kind) {
    case Kind::comparison: return compare(expression);
    case Kind::negation: return !truth(expression.children[0]);
    case Kind::all: return truth(expression.children[0]) && truth(expression.children[1]);
    case Kind::any: return truth(expression.children[0]) || truth(expression.children[1]);
    default: {
      Value scratch;
      return is_true(evaluate(expression, scratch));
    }
  }
}

const Value& Evaluator::evaluate(const Expression& expression, Value& scratch) {
  if (expression.is_place()) return place(expression);
  if (expression.kind > Kind::attribute) budget_.spend_steps(1);
  switch (expression.kind) {
    case Kind::literal:
    case Kind::variable: return place(expression);
    case Kind::attribute: return attribute(expression, scratch);
    case Kind::index: return index(expression, scratch);
    case Kind::slice: return scratch = slice(expression);
    case Kind::call: return scratch = call(expression);
    case Kind::list: return scratch = list(expression);
    case Kind::object: return scratch = object(expression);
    case Kind::negate: {
      const Value& value = evaluate(expression.children[0], scratch);
      return scratch =
                 arithmetic(Operator::subtract, value.kind() == ValueKind::number ? -0.0 : Value(0), value, budget_);
    }
    case Kind::negation: return scratch = !truth(expression.children[0]);
    case Kind::all:
    case Kind::any: {
      const Value& left = evaluate(expression.children[0], scratch);
      if (is_true(left) == (expression.kind == Kind::any)) return left;
      return evaluate(expression.children[1], scratch);
    }
    case Kind::comparison: return scratch = compare(expression);
    case Kind::arithmetic: {
      Value left;
      Value right;
      return scratch = arithmetic(expression.operators[0], evaluate(expression.children[0], left),
                                  evaluate(expression.children[1], right), budget_);
    }
    case Kind::conditional: {
      const bool is_first = truth(expression.children[1]);
      return evaluate(expression.children[is_first ? 0 : 2], scratch);
    }
  }
  std::unreachable();
}

const Value& Evaluator::attribute(const Expression& expression, Value& scratch) {
  Value temporary;
  const Value& object = evaluate(expression.children[0], temporary);
  const std::string& name = expression.value.as_string();
  const Value* found = object.find(name);
  if (found == nullptr) refuse_member(object, name);
  if (&object != &temporary) return *found;
  return scratch = *found;
}

const Value& Evaluator::index(const Expression& expression, Value& scratch) {
  Value temporary;
  Value key_temporary;
  const Value& object = evaluate(expression.children[0], temporary);
  const Value& key = evaluate(expression.children[1], key_temporary);
  const Value* found = nullptr;
  switch (object.kind()) {
    case ValueKind::list: found = &object.as_list()[place_of(key, object.size(), "list")]; break;
    case ValueKind::object:
      require_member_access(object, key);
      found = object.find(key.as_string());
      if (found == nullptr) refuse_member(object, key.as_string());
      break;
    case ValueKind::string: {
      budget_.spend_walk(object);
      const std::string& text = object.as_string();
      return scratch = character_at(text, place_of(key, count_of(text), "string"));
    }
    default: throw Fault{"it is " + kind_of(object) + ", which has no elements"};
  }
  if (&object != &temporary) return *found;
  return scratch = *found;
}

Value Evaluator::slice(const Expression& expression) {
  std::array<Value, 4> temporary;
  const Value& sequence = evaluate(expression.children[0], temporary[0]);
  const bool is_text = sequence.kind() == ValueKind::string;
  if (!is_text && sequence.kind() != ValueKind::list)
    throw Fault{"it is " + kind_of(sequence) + ", which has no slices"};
  const Value& first = evaluate(expression.children[1], temporary[1]);
  const Value& end = evaluate(expression.children[2], temporary[2]);
  const Value& step = evaluate(expression.children[3], temporary[3]);
  const Value list = is_text ? characters_of(sequence.as_string(), budget_) : sequence;
  const auto bounds = bounds_of(first, end, step, list.size());
  const std::span elements = list.as_list();
  Value::List taken;
  std::string text;
  for (std::int64_t at = bounds.first; bounds.step > 0 ? at < bounds.end : at > bounds.end; at += bounds.step) {
    const Value& element = elements[static_cast<std::size_t>(at)];
    budget_.spend_bytes(sizeof(Value) + (element.kind() == ValueKind::string ? element.size() : 0));
    if (is_text) {
      text += element.as_string();
    } else {
      taken.push_back(element);
    }
  }
  return is_text ? Value(std::move(text)) : Value::list(std::move(taken));
}

Value Evaluator::call(const Expression& expression, std::vector<Value> arguments) {
  budget_.spend_steps(1);
  if (expression.built_in == nullptr) return (*expression.own)(arguments);
  const BuiltIn& function = *expression.built_in;
  std::vector<const Value*> pointers;
  for (const Value& argument : arguments) pointers.push_back(&argument);
  if (pointers.size() < function.arguments_min || pointers.size() > function.arguments_max) {
    throw Fault{in_quotes(function.name) + " does not take " + std::to_string(pointers.size()) + " arguments"};
  }
  return function.call({function.name, pointers, budget_});
}

Value Evaluator::call(const Expression& expression) {
  const std::size_t count = expression.children.size();
  if (expression.built_in == nullptr || count > 4) {
    std::vector<Value> arguments;
    arguments.reserve(count);
    for (const Expression& child : expression.children) {
      Value scratch;
      const Value& value = evaluate(child, scratch);
      if (value.kind() == ValueKind::string) budget_.spend_bytes(value.size());
      arguments.push_back(owned(value, scratch));
    }
    return call(expression, std::move(arguments));
  }
  budget_.spend_steps(1);
  std::array<Value, 4> scratch;
  std::array<const Value*, 4> pointers{};
  for (std::size_t index = 0; index < count; ++index) {
    pointers[index] = &evaluate(expression.children[index], scratch[index]);
  }
  return expression.built_in->call({expression.built_in->name, std::span(pointers).first(count), budget_});
}

Value Evaluator::list(const Expression& expression) {
  Value::List elements;
  elements.reserve(expression.children.size());
  for (const Expression& child : expression.children) {
    Value scratch;
    const Value& value = evaluate(child, scratch);
    budget_.spend_bytes(sizeof(Value) + (value.kind() == ValueKind::string ? value.size() : 0));
    elements.push_back(owned(value, scratch));
  }
  return Value::list(std::move(elements));
}

Value Evaluator::object(const Expression& expression) {
  std::vector<Member> members;
  for (std::size_t index = 0; index < expression.children.size(); index += 2) {
    Value name_scratch;
    Value scratch;
    const Value& name = evaluate(expression.children[index], name_scratch);
    if (name.kind() != ValueKind::string) throw Fault{"the names of members are strings, not " + kind_of(name)};
    const Value& value = evaluate(expression.children[index + 1], scratch);
    budget_.spend_bytes(sizeof(Member) + name.size() + (value.kind() == ValueKind::string ? value.size() : 0));
    members.push_back({name.as_string(), owned(value, scratch)});
  }
  return Value::object(std::move(members));
}

// a < b < c is a < b and b < c, with b evaluated once.
bool Evaluator::compare(const Expression& expression) {
  std::array<Value, 2> scratch;
  const Value* left = &evaluate(expression.children[0], scratch[0]);
  for (std::size_t index = 0; index < expression.operators.size(); ++index) {
    Value& other = scratch[(index + 1) % 2];
    const Value& right = evaluate(expression.children[index + 1], other);
    budget_.spend_steps(1);
    if (!holds(expression.operators[index], *left, right, budget_)) return false;
    left = &right;
  }
  return true;
}

}  // namespace coax::http::templates
