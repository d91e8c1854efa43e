// The parser of expressions: precedence climbing over tokens, with a limit on the depth of the tree, which is what
// bounds the recursion here and of the evaluation.
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "coax/base/text.hpp"
#include "coax/http/template_expression_private.hpp"

namespace coax::http::templates {

namespace {

constexpr std::uint32_t depth_max = 100;
constexpr std::uint32_t levels_max = 200;  // of the recursion of the parser
constexpr std::size_t names_max = 10'000;

constexpr std::array<std::string_view, 23> keywords{
    "and",    "as", "assert", "class",  "def",  "del", "elif", "else",   "False", "for",   "from", "if",
    "import", "in", "is",     "lambda", "None", "not", "or",   "return", "True",  "while", "yield"};

bool is_name_start(char c) noexcept { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_name_character(char c) noexcept { return is_name_start(c) || is_digit(c); }

bool is_assignable(std::string_view name) noexcept {
  return !name.empty() && is_name_start(name.front()) && std::ranges::all_of(name, is_name_character) &&
         std::ranges::find(keywords, name) == keywords.end();
}

struct Token {
  enum class Kind : std::uint8_t { end, name, number, string, mark };
  Kind kind = Kind::end;
  std::string_view text;  // without quotes for a string
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) { next(); }

  [[nodiscard]] const Token& token() const noexcept { return token_; }
  void next() {
    at_ = std::min(text_.find_first_not_of(" \t\r\n\f", at_), text_.size());
    if (at_ == text_.size()) {
      token_ = {};
    } else if (is_name_start(text_[at_])) {
      token_ = {Token::Kind::name, text_.substr(at_, end_of(is_name_character) - at_)};
    } else if (is_digit(text_[at_]) || (text_[at_] == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))) {
      token_ = {Token::Kind::number, text_.substr(at_, number_end() - at_)};
    } else if (text_[at_] == '"' || text_[at_] == '\'') {
      return string();
    } else {
      token_ = {Token::Kind::mark, mark()};
    }
    at_ += token_.text.size();
  }
  [[nodiscard]] bool is(std::string_view text) const noexcept {
    return (token_.kind == Token::Kind::mark || token_.kind == Token::Kind::name) && token_.text == text;
  }
  bool take(std::string_view text) {
    if (!is(text)) return false;
    next();
    return true;
  }
  void expect(std::string_view text, std::string_view where) {
    if (!take(text)) throw Fault{in_quotes(text) + " is missing " + std::string(where) + ", before " + found()};
  }
  [[nodiscard]] std::string found() const {
    return token_.kind == Token::Kind::end ? "the end of the expression" : in_quotes(token_.text);
  }

 private:
  [[nodiscard]] std::size_t end_of(bool (*belongs)(char)) const {
    std::size_t end = at_;
    while (end < text_.size() && belongs(text_[end])) ++end;
    return end;
  }

  [[nodiscard]] std::size_t number_end() const {
    std::size_t end = at_;
    for (; end < text_.size(); ++end) {
      const bool is_sign = (text_[end] == '+' || text_[end] == '-') && (text_[end - 1] | 0x20) == 'e' && end != at_;
      if (!is_name_character(text_[end]) && text_[end] != '.' && !is_sign) break;
    }
    return end;
  }

  [[nodiscard]] std::string_view mark() const {
    constexpr std::array<std::string_view, 11> doubles{"==", "!=", "<=", ">=", "//", "**",
                                                       "<<", ">>", "->", ":=", "<>"};
    const std::string_view two = text_.substr(at_, 2);
    return std::ranges::find(doubles, two) != doubles.end() ? two : two.substr(0, 1);
  }

  void string() {
    const char quote = text_[at_];
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) {
      throw Fault{"a string has no end; a directive ends at the first }} or %}, also inside a string"};
    }
    token_ = {Token::Kind::string, text_.substr(at_ + 1, end - at_ - 1)};
    at_ = end + 1;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Token token_;
};

// "\x41" and "\u20ac" name a character by its number.
void append_escape(std::string& result, std::string_view digits, std::size_t count) {
  std::uint32_t point = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + std::min(count, digits.size()), point, 16);
  if (error != std::errc() || end != digits.data() + count || (point >= 0xd800 && point < 0xe000)) {
    throw Fault{"an escape in a string has no valid number of a character: write \\xNN or \\uNNNN"};
  }
  const auto add = [&](std::uint32_t byte) { result += static_cast<char>(byte); };
  if (point < 0x80) return add(point);
  if (point < 0x800) {
    add(0xc0 | point >> 6);
  } else {
    add(0xe0 | point >> 12);
    add(0x80 | (point >> 6 & 0x3f));
  }
  add(0x80 | (point & 0x3f));
}

std::string unescaped(std::string_view text) {
  constexpr std::string_view letters = "\\'\"nrtabfv0";
  constexpr std::string_view meanings("\\'\"\n\r\t\a\b\f\v\0", 11);
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\') {
      result += text[at];
      continue;
    }
    const char letter = text[++at];  // a string does not end in one backslash
    if (const std::size_t index = letters.find(letter); index != std::string_view::npos) {
      result += meanings[index];
    } else if (letter == 'x' || letter == 'u') {
      const std::size_t count = letter == 'x' ? 2 : 4;
      append_escape(result, text.substr(at + 1), count);
      at += count;
    } else {
      throw Fault{"a string has the unknown escape '\\" + std::string(1, letter) + "'; write \\\\ for a backslash"};
    }
  }
  return result;
}

Value number_of(std::string_view text) {
  std::string digits(text);
  std::erase(digits, '_');
  const char* end = digits.data() + digits.size();
  std::int64_t integer = 0;
  if (std::ranges::all_of(digits, is_digit)) {
    const auto result = std::from_chars(digits.data(), end, integer);
    if (result.ec == std::errc()) return integer;
    throw Fault{"the integer " + digits + " is too large: at most 9223372036854775807"};
  }
  double number = 0;
  const auto result = std::from_chars(digits.data(), end, number);
  if (result.ptr != end || result.ec == std::errc::invalid_argument) throw Fault{in_quotes(text) + " is no number"};
  if (result.ec != std::errc()) throw Fault{"the number " + digits + " is out of range"};
  return number;
}

class Parser {
 public:
  Parser(std::string_view text, Scope scope) : lexer_(text), scope_(scope) {}

  Expression whole() {
    if (lexer_.token().kind == Token::Kind::end) throw Fault{"an expression is missing"};
    Expression result = tuple();
    if (lexer_.token().kind != Token::Kind::end) {
      throw Fault{lexer_.found() + " is not expected here; the expression ends before it"};
    }
    return result;
  }

 private:
  using Kind = Expression::Kind;

  // Counts the levels of the parser's own recursion, which may exceed those of the tree: "((((x))))".
  class Level {
   public:
    explicit Level(std::uint32_t& depth) : depth_(depth) {
      if (++depth_ > levels_max) throw Fault{"the expression is nested too deeply; {% set %} a part of it first"};
    }
    ~Level() { --depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    std::uint32_t& depth_;
  };

  static Expression node(Kind kind, std::vector<Expression> children) {
    Expression result{.kind = kind};
    for (const Expression& child : children) result.depth = std::max(result.depth, child.depth + 1);
    if (result.depth > depth_max)
      throw Fault{"the expression is too long or nested too deeply; {% set %} a part first"};
    result.children = std::move(children);
    return result;
  }
  static Expression unary(Kind kind, Expression child) {
    std::vector<Expression> children;
    children.push_back(std::move(child));
    return node(kind, std::move(children));
  }
  static Expression binary(Kind kind, Expression left, Expression right) {
    std::vector<Expression> children;
    children.push_back(std::move(left));
    children.push_back(std::move(right));
    return node(kind, std::move(children));
  }

  // "a, b" without parentheses makes a list, as it makes a tuple in Python.
  Expression tuple() {
    Expression first = conditional();
    if (!lexer_.is(",")) return first;
    std::vector<Expression> elements;
    elements.push_back(std::move(first));
    while (lexer_.take(",")) {
      if (lexer_.token().kind == Token::Kind::end || lexer_.is(")")) break;
      elements.push_back(conditional());
    }
    return node(Kind::list, std::move(elements));
  }

  Expression conditional() {
    const Level level(depth_);
    Expression value = disjunction();
    if (!lexer_.take("if")) return value;
    std::vector<Expression> children;
    children.push_back(std::move(value));
    children.push_back(disjunction());
    lexer_.expect("else", "after 'A if B'");
    children.push_back(conditional());
    return node(Kind::conditional, std::move(children));
  }

  Expression disjunction() {
    Expression left = conjunction();
    while (lexer_.take("or")) left = binary(Kind::any, std::move(left), conjunction());
    return left;
  }

  Expression conjunction() {
    Expression left = negation();
    while (lexer_.take("and")) left = binary(Kind::all, std::move(left), negation());
    return left;
  }

  Expression negation() {
    const Level level(depth_);
    return lexer_.take("not") ? unary(Kind::negation, negation()) : comparison();
  }

  std::optional<Operator> comparison_operator() {
    constexpr std::array<std::pair<std::string_view, Operator>, 7> marks{{{"==", Operator::equal},
                                                                          {"!=", Operator::not_equal},
                                                                          {"<", Operator::less},
                                                                          {"<=", Operator::less_equal},
                                                                          {">", Operator::greater},
                                                                          {">=", Operator::greater_equal},
                                                                          {"in", Operator::in}}};
    for (const auto& [mark, result] : marks) {
      if (lexer_.take(mark)) return result;
    }
    if (lexer_.take("is")) return lexer_.take("not") ? Operator::is_not : Operator::is;
    if (!lexer_.take("not")) return std::nullopt;
    lexer_.expect("in", "after 'not'");
    return Operator::not_in;
  }

  Expression comparison() {
    std::vector<Expression> children;
    std::vector<Operator> operators;
    children.push_back(sum());
    while (const auto found = comparison_operator()) {
      operators.push_back(*found);
      children.push_back(sum());
    }
    if (operators.empty()) return std::move(children.front());
    Expression result = node(Kind::comparison, std::move(children));
    result.operators = std::move(operators);
    return result;
  }

  static Expression arithmetic(Operator what, Expression left, Expression right) {
    Expression result = binary(Kind::arithmetic, std::move(left), std::move(right));
    result.operators.push_back(what);
    return result;
  }

  Expression sum() {
    Expression left = product();
    while (true) {
      if (lexer_.take("+")) {
        left = arithmetic(Operator::add, std::move(left), product());
      } else if (lexer_.take("-")) {
        left = arithmetic(Operator::subtract, std::move(left), product());
      } else {
        return left;
      }
    }
  }

  Expression product() {
    constexpr std::array<std::pair<std::string_view, Operator>, 4> marks{
        {{"*", Operator::multiply}, {"/", Operator::divide}, {"//", Operator::floor_divide}, {"%", Operator::modulo}}};
    Expression left = sign();
    while (true) {
      const auto found = std::ranges::find_if(marks, [&](const auto& mark) { return lexer_.take(mark.first); });
      if (found == marks.end()) return left;
      left = arithmetic(found->second, std::move(left), sign());
    }
  }

  Expression sign() {
    const Level level(depth_);
    if (lexer_.take("+")) return sign();
    return lexer_.take("-") ? unary(Kind::negate, sign()) : postfix();
  }

  Expression postfix() {
    Expression result = primary();
    while (true) {
      if (lexer_.take(".")) {
        result = attribute(std::move(result));
      } else if (lexer_.take("[")) {
        result = subscript(std::move(result));
      } else if (lexer_.is("(")) {
        throw Fault{"only a name or an attribute can be called"};
      } else {
        return result;
      }
    }
  }

  Expression attribute(Expression object) {
    if (lexer_.token().kind != Token::Kind::name) throw Fault{"a name is missing after '.', before " + lexer_.found()};
    const std::string_view name = lexer_.token().text;
    lexer_.next();
    std::vector<Expression> children;
    children.push_back(std::move(object));
    if (lexer_.take("(")) {
      const BuiltIn* method = find_method(name);
      if (method == nullptr) throw Fault{"there is no method " + in_quotes(name)};
      return call(name, method, nullptr, std::move(children));
    }
    Expression result = node(Kind::attribute, std::move(children));
    result.value = name;
    result.is_access = result.children[0].is_place();
    return result;
  }

  Expression subscript(Expression object) {
    std::vector<Expression> children;
    children.push_back(std::move(object));
    const auto add_bound = [&] { children.push_back(lexer_.is(":") || lexer_.is("]") ? Expression() : conditional()); };
    if (lexer_.is("]")) throw Fault{"an index is missing between [ and ]"};
    add_bound();
    const bool is_slice = lexer_.is(":");
    while (children.size() < 4 && lexer_.take(":")) add_bound();
    lexer_.expect("]", "after an index");
    if (is_slice) children.resize(4);
    Expression result = node(is_slice ? Kind::slice : Kind::index, std::move(children));
    // A character of a string is made, so only names of members count.
    const Expression& key = result.children[1];
    result.is_access = !is_slice && result.children[0].is_place() && key.kind == Kind::literal &&
                       key.value.kind() == Value::Kind::string;
    return result;
  }

  Expression call(std::string_view name, const BuiltIn* built_in, const TemplateFunction* own,
                  std::vector<Expression> children) {
    const std::size_t before = children.size();
    while (!lexer_.take(")")) {
      if (children.size() != before) lexer_.expect(",", "between arguments");
      if (lexer_.take(")")) break;
      children.push_back(conditional());
      if (lexer_.is("=")) throw Fault{"arguments have no names here: write the value alone"};
    }
    const std::size_t count = children.size();
    if (built_in != nullptr && (count < built_in->arguments_min || count > built_in->arguments_max)) {
      throw Fault{in_quotes(name) + " does not take " + std::to_string(count - before) + " arguments"};
    }
    Expression result = node(Kind::call, std::move(children));
    result.built_in = built_in;
    result.own = own;
    return result;
  }

  Expression primary() {
    const Token token = lexer_.token();
    switch (token.kind) {
      case Token::Kind::number: lexer_.next(); return {.value = number_of(token.text)};
      case Token::Kind::string: lexer_.next(); return {.value = unescaped(token.text)};
      case Token::Kind::name: return name();
      case Token::Kind::mark: break;
      case Token::Kind::end: throw Fault{"the expression is cut off"};
    }
    if (lexer_.take("(")) {
      if (lexer_.take(")")) return node(Kind::list, {});
      Expression inner = tuple();
      lexer_.expect(")", "at the end of parentheses");
      return inner;
    }
    if (lexer_.take("[")) return list();
    if (lexer_.take("{")) return object();
    throw Fault{lexer_.found() + " is not expected here; a value is"};
  }

  Expression name() {
    const std::string_view name = lexer_.token().text;
    lexer_.next();
    if (name == "None") return {};
    if (name == "True") return {.value = true};
    if (name == "False") return {.value = false};
    if (!is_assignable(name)) throw Fault{in_quotes(name) + " is not expected here; a value is"};
    if (!lexer_.take("(")) return {.kind = Kind::variable, .slot = scope_.names.slot_of(name)};
    const Expression function = function_named(name, scope_);
    return call(name, function.built_in, function.own, {});
  }

  Expression list() {
    std::vector<Expression> elements;
    while (!lexer_.take("]")) {
      if (!elements.empty()) lexer_.expect(",", "between elements");
      if (lexer_.take("]")) break;
      elements.push_back(conditional());
      if (lexer_.is("for")) throw Fault{"there are no comprehensions; use {% for %}"};
    }
    return node(Kind::list, std::move(elements));
  }

  Expression object() {
    std::vector<Expression> parts;
    while (!lexer_.take("}")) {
      if (!parts.empty()) lexer_.expect(",", "between members");
      if (lexer_.take("}")) break;
      parts.push_back(conditional());
      lexer_.expect(":", "after a member's name");
      parts.push_back(conditional());
    }
    return node(Kind::object, std::move(parts));
  }

  Lexer lexer_;
  Scope scope_;
  std::uint32_t depth_ = 0;
};

}  // namespace

std::uint32_t Names::slot_of(std::string_view name) {
  if (const auto found = slots_.find(name); found != slots_.end()) return found->second;
  if (names_.size() == names_max) throw Fault{"the template has too many variables"};
  names_.emplace_back(name);
  return slots_.emplace(name, static_cast<std::uint32_t>(slots_.size())).first->second;
}

Expression parse_expression(std::string_view text, Scope scope) { return Parser(text, scope).whole(); }

std::vector<std::uint32_t> parse_targets(std::string_view text, Scope scope) {
  std::vector<std::uint32_t> slots;
  constexpr std::string_view spaces = " \t\r\n\f()";
  while (true) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view name = text.substr(0, comma);
    name.remove_prefix(std::min(name.find_first_not_of(spaces), name.size()));
    name = name.substr(0, name.find_last_not_of(spaces) + 1);
    if (!is_assignable(name)) throw Fault{in_quotes(name) + " is no name of a variable"};
    slots.push_back(scope.names.slot_of(name));
    if (comma == text.size()) return slots;
    text.remove_prefix(comma + 1);
  }
}

Assignment parse_assignment(std::string_view text, Scope scope) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) throw Fault{"{% set %} is written {% set NAME = EXPRESSION %}"};
  constexpr std::array<std::pair<char, Operator>, 3> augmented{
      {{'+', Operator::add}, {'-', Operator::subtract}, {'*', Operator::multiply}}};
  const char before = equals == 0 ? '\0' : text[equals - 1];
  const auto found = std::ranges::find(augmented, before, &std::pair<char, Operator>::first);
  Assignment result{.slots = parse_targets(text.substr(0, found == augmented.end() ? equals : equals - 1), scope),
                    .expression = parse_expression(text.substr(equals + 1), scope)};
  if (found == augmented.end()) return result;
  if (result.slots.size() != 1) throw Fault{"only one variable can be changed by +=, -= and *="};
  Expression sum{.kind = Expression::Kind::arithmetic, .depth = result.expression.depth + 1};
  sum.operators.push_back(found->second);
  sum.children.push_back({.kind = Expression::Kind::variable, .slot = result.slots.front()});
  sum.children.push_back(std::move(result.expression));
  result.expression = std::move(sum);
  return result;
}

Expression function_named(std::string_view name, Scope scope) {
  Expression result{.kind = Expression::Kind::call};
  const auto own = std::ranges::find(scope.functions, name, &OwnFunctions::value_type::first);
  if (own != scope.functions.end()) {
    result.own = own->second.get();
  } else {
    result.built_in = find_function(name);
  }
  if (result.own == nullptr && result.built_in == nullptr) {
    throw Fault{"there is no function " + in_quotes(name) + "; register it with Templates::function()"};
  }
  return result;
}

}  // namespace coax::http::templates
