// The interpreter of expressions, and the text of values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coax/http/template_expression_private.hpp"

namespace coax::http::templates {

// As Python's str(): a string itself, None, True, 1.0, ['a', 1].
void append_text(std::string& text, const Value& value);
std::string text_of(const Value& value, Budget& budget);

bool is_true(const Value& value) noexcept;
// Throws: Fault when the two have no order.
std::strong_ordering order(const Value& left, const Value& right, Budget& budget);
bool is_equal(const Value& left, const Value& right, Budget& budget);
// Throws: Fault, as for all that follow.
Value arithmetic(Operator what, const Value& left, const Value& right, Budget& budget);

// "a list", "an integer", "None": for messages.
std::string kind_of(const Value& value);
[[noreturn]] void refuse_argument(const Arguments& arguments, std::size_t index, std::string_view wanted);

// The characters of a text, as UTF-8: an element begins at each byte that continues no other.
std::size_t count_of(std::string_view text) noexcept;
Value characters_of(std::string_view text, Budget& budget);
Value range_of(std::int64_t first, std::int64_t end, std::int64_t step, Budget& budget);

// What evaluate() returned with this scratch, moved where that can be.
Value owned(const Value& value, Value& scratch);

struct Slot {
  void assign(Value other) {
    owned = std::move(other);
    value = &owned;
  }
  const Value* value = nullptr;  // null: it has not been assigned
  Value owned;
};

class Evaluator {
 public:
  Evaluator(const Names& names, const Value& data, Budget& budget);

  // Returns: `scratch`, or a value that lasts until its variable is assigned again.
  const Value& evaluate(const Expression& expression, Value& scratch);
  // Of an expression that is a place.
  const Value& place(const Expression& expression) const;
  bool truth(const Expression& expression);
  Slot& slot(std::uint32_t index) noexcept { return slots_[index]; }
  [[nodiscard]] Budget& budget() const noexcept { return budget_; }
  Value call(const Expression& function, std::vector<Value> arguments);

 private:
  const Value& variable(std::uint32_t slot) const;
  const Value& attribute(const Expression& expression, Value& scratch);
  const Value& index(const Expression& expression, Value& scratch);
  Value slice(const Expression& expression);
  Value call(const Expression& expression);
  Value list(const Expression& expression);
  Value object(const Expression& expression);
  bool compare(const Expression& expression);

  const Names& names_;
  Budget& budget_;
  std::vector<Slot> slots_;
};

}  // namespace coax::http::templates
