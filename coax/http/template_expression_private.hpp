// Expressions of templates: a subset of Python's, as a tree. Names are slots when it is parsed, so that rendering looks
// none up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coax/http/template.hpp"
#include "coax/http/value.hpp"

namespace coax::http::templates {

// Why a template cannot be compiled or rendered; where() of the caller adds the file and the line.
struct Fault {
  std::string reason;
};

inline std::string in_quotes(std::string_view text) { return "'" + std::string(text) + "'"; }

// What one rendering may use. Values that a template makes are counted when they are made, and never given back: the
// sum is an upper bound of the memory that is in use.
class Budget {
 public:
  explicit Budget(const TemplateOptions& options) noexcept
      : steps_(options.steps_max), bytes_(options.value_bytes_max) {}

  void spend_steps(std::uint64_t count) {
    if (count > steps_) refuse_steps();
    steps_ -= count;
  }
  void spend_bytes(std::uint64_t count) {
    if (count > bytes_) refuse_bytes();
    bytes_ -= count;
  }
  // Before a walk through all of a value.
  void spend_walk(const Value& value) { spend_steps(value.cost()); }
  // Before a text is made of all of a value.
  void spend_text(const Value& value);

 private:
  [[noreturn]] static void refuse_steps();
  [[noreturn]] static void refuse_bytes();

  std::uint64_t steps_;
  std::uint64_t bytes_;
};

// The arguments of a built-in function; of a method the first is the value before the point.
struct Arguments {
  std::string_view name;
  std::span<const Value* const> values;
  Budget& budget;
};

struct BuiltIn {
  std::string_view name;
  std::size_t arguments_min;
  std::size_t arguments_max;
  Value (*call)(const Arguments& arguments);
};

// Returns: nullptr when there is none. The number of arguments of a method includes the value before the point.
const BuiltIn* find_function(std::string_view name) noexcept;
const BuiltIn* find_method(std::string_view name) noexcept;

using OwnFunctions = std::vector<std::pair<std::string, std::shared_ptr<const TemplateFunction>>>;

enum class Operator : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
  is,
  is_not,
};

struct Expression {
  enum class Kind : std::uint8_t {
    literal,      // value
    variable,     // slot
    attribute,    // children[0] . value
    index,        // children[0] [ children[1] ]
    slice,        // children[0] [ children[1] : children[2] : children[3] ], literal null for those left out
    call,         // own or built_in, of children
    list,         // of children
    object,       // of children: name, value, name, value, ...
    negate,       // - children[0]
    negation,     // not children[0]
    all,          // children[0] and children[1]
    any,          // children[0] or children[1]
    comparison,   // children[0] operators[0] children[1] operators[1] children[2] ...
    arithmetic,   // children[0] operators[0] children[1]
    conditional,  // children[0] if children[1] else children[2]
  };
  Kind kind = Kind::literal;
  std::uint32_t slot = 0;
  std::uint32_t depth = 1;
  bool is_access = false;  // an attribute, or an element of a literal index, of a variable or of another access
  const BuiltIn* built_in = nullptr;
  const TemplateFunction* own = nullptr;
  Value value;
  std::vector<Operator> operators;
  std::vector<Expression> children;

  // Whether its value exists already, so that evaluating it makes none.
  [[nodiscard]] bool is_place() const noexcept { return kind == Kind::literal || kind == Kind::variable || is_access; }
};

// The variables of a template, with those of all that it includes: a name's slot is its place.
class Names {
 public:
  std::uint32_t slot_of(std::string_view name);
  [[nodiscard]] const std::vector<std::string>& all() const noexcept { return names_; }

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::uint32_t, std::less<>> slots_;
};

struct Scope {
  Names& names;
  const OwnFunctions& functions;
};

// Throws: Fault.
Expression parse_expression(std::string_view text, Scope scope);
// "a" or "a, b"; Throws: Fault when one is no name that can be assigned.
std::vector<std::uint32_t> parse_targets(std::string_view text, Scope scope);

// What "x = 1", "a, b = pair" and "x += 1" assign.
struct Assignment {
  std::vector<std::uint32_t> slots;
  Expression expression;
};
Assignment parse_assignment(std::string_view text, Scope scope);

// The built-in or own function of that name, for {% apply %}. Throws: Fault when there is none.
Expression function_named(std::string_view name, Scope scope);

}  // namespace coax::http::templates
