// Value: data whose shape is known only when the program runs, as in JSON or Python: what a template is filled with,
// and what a JSON body is parsed into.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coax/base/error.hpp"

namespace coax::http {

class Value;
struct Member;

namespace detail {
struct NewMember;
template <class T>
concept Text = std::convertible_to<T, std::string_view>;
template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>;
// std::map and its like: a range of pairs whose first is a text.
template <class R>
concept MapRange = std::ranges::input_range<R> && !Text<R> && requires(std::ranges::range_reference_t<R> pair) {
  { pair.first } -> Text;
  { Value(pair.second) };
};
template <class R>
using Element = std::remove_cvref_t<std::ranges::range_reference_t<R>>;
// A range of itself, such as std::filesystem::path, is none.
template <class R>
concept ListRange =
    std::ranges::input_range<R> && !Text<R> && !MapRange<R> && !std::same_as<Element<R>, Member> &&
    !std::same_as<Element<R>, std::remove_cv_t<R>> && std::constructible_from<Value, std::ranges::range_reference_t<R>>;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
// All that a Value can be made from.
template <class T>
concept ValueSource = std::same_as<T, bool> || Integer<T> || std::floating_point<T> || Text<T> ||
                      std::same_as<T, std::nullptr_t> || std::derived_from<T, Value> || is_optional<T> ||
                      requires(const T& from) { from.operator Value(); } || MapRange<const T> || ListRange<const T>;
}  // namespace detail

// Null, a boolean, an integer, a number, a string, a list or an object. Copies of a list or object share it until one
// of them is changed, so a copy is cheap whatever its size.
//
//   Value{{"title", "Tea"}, {"prices", Value::list({3, 2.5})}, {"owner", {{"name", "Ada"}}}}
//
// Thread: different Values may be used on different threads, even when they share a list or an object.
class Value {
 public:
  enum class Kind : std::uint8_t { null, boolean, integer, number, string, list, object };
  using List = std::vector<Value>;
  // The maximum nesting of lists and objects, this one included.
  static constexpr std::size_t depth_max = 128;

  Value() noexcept = default;
  Value(std::nullptr_t) noexcept {}
  template <std::same_as<bool> B>
  Value(B value) noexcept : data_(value) {}
  // Throws: Error(invalid) for an unsigned integer above the largest std::int64_t.
  template <detail::Integer I>
  Value(I value) : data_(checked(value)) {}
  template <std::floating_point F>
  Value(F value) noexcept : data_(static_cast<double>(value)) {}
  // UTF-8.
  Value(std::string text) noexcept : data_(std::move(text)) {}
  Value(std::string_view text) : data_(std::string(text)) {}
  Value(const char* text) : data_(std::string(text)) {}
  // An object; the last of two members with the same name wins.
  // Throws: Error(invalid) above depth_max, as all that make a list or an object do.
  Value(std::initializer_list<detail::NewMember> members);
  template <class R>
    requires detail::MapRange<const R>
  Value(const R& map);
  template <class R>
    requires detail::ListRange<const R>
  Value(const R& range) : Value(list(List(std::ranges::begin(range), std::ranges::end(range)))) {}
  // Null when it is empty.
  template <class T>
    requires std::constructible_from<Value, const T&>
  Value(const std::optional<T>& value) : Value(value ? Value(*value) : Value()) {}
  // Anything else: an error of the compiler, in words.
  template <class T>
    requires(!detail::ValueSource<T>)
  Value(const T& /*from*/) {
    static_assert(
        detail::ValueSource<T>,
        "a coax::http::Value is made from nullptr, bool, numbers, text in UTF-8 (std::string, "
        "std::string_view), std::vector, std::map with names of text, std::optional, and {{name, value}, ...}; "
        "from a struct with members() by coax::http::to_value(); a char is a number or a text: convert it");
  }

  static Value list(List elements = {});
  static Value object();
  static Value object(std::vector<Member> members);

  [[nodiscard]] Kind kind() const noexcept { return static_cast<Kind>(data_.index()); }
  [[nodiscard]] bool is_null() const noexcept { return kind() == Kind::null; }

  // Throws: Error(invalid) when it is of another kind; as_number() takes integers, too.
  // Lifetime: of strings, lists and objects: as long as this Value is neither changed nor destroyed.
  [[nodiscard]] bool as_bool() const;
  [[nodiscard]] std::int64_t as_integer() const;
  [[nodiscard]] double as_number() const;
  [[nodiscard]] const std::string& as_string() const;
  [[nodiscard]] std::span<const Value> as_list() const;
  // In the order of insertion.
  [[nodiscard]] std::span<const Member> as_object() const;

  // Returns: nullptr when it is no object, or has no member of that name.
  [[nodiscard]] const Value* find(std::string_view name) const noexcept;
  // Throws: Error(invalid) when it is no object or has no such member; when it is no list or is too short.
  const Value& operator[](std::string_view name) const;
  const Value& operator[](std::size_t index) const;
  // The number of elements, of members, or of the string's bytes; 0 for all others.
  [[nodiscard]] std::size_t size() const noexcept;

  // Adds or replaces a member; null becomes an object first. Throws: Error(invalid) when it is anything else.
  Value& set(std::string_view name, Value value);
  // Adds an element; null becomes a list first. Throws: Error(invalid) when it is anything else.
  Value& append(Value value);

  // JSON (RFC 8259) without white space; bytes that are not UTF-8 become U+FFFD.
  // Throws: Error(invalid) for NaN and infinity, which JSON does not have.
  [[nodiscard]] std::string to_json() const;
  // The same value, with < > & ' U+2028 and U+2029 as \uNNNN: safe inside <script> and in attributes of HTML.
  [[nodiscard]] std::string to_script_json() const;

  // Numbers are compared by value (1 == 1.0), objects without regard to the order of their members.
  friend bool operator==(const Value& left, const Value& right);

  // How many lists and objects are nested in it: 0 for a string.
  [[nodiscard]] std::size_t depth() const noexcept;
  // An upper bound of the work of a walk through all of it, in elements and pieces of 64 bytes.
  [[nodiscard]] std::uint64_t cost() const noexcept;

 private:
  struct ListData;
  struct ObjectData;

  template <class I>
  static std::int64_t checked(I value) {
    if constexpr (std::unsigned_integral<I> && sizeof(I) >= sizeof(std::int64_t)) {
      if (value > static_cast<I>(std::numeric_limits<std::int64_t>::max())) refuse_integer();
    }
    return static_cast<std::int64_t>(value);
  }
  [[noreturn]] static void refuse_integer();
  [[noreturn]] void refuse_kind(std::string_view wanted) const;

  std::variant<std::monostate, bool, std::int64_t, double, std::string, std::shared_ptr<const ListData>,
               std::shared_ptr<const ObjectData>>
      data_;
};

// A member of an object.
struct Member {
  std::string name;
  Value value;
};

// The same in a list between braces, whose elements are const, and could not be moved from otherwise.
struct detail::NewMember {
  mutable std::string name;
  mutable Value value;
};

template <class R>
  requires detail::MapRange<const R>
Value::Value(const R& map) {
  std::vector<Member> members;
  for (const auto& [name, value] : map) members.push_back({std::string(std::string_view(name)), Value(value)});
  *this = object(std::move(members));
}

// "list", "object", ...
std::string_view to_string(Value::Kind kind) noexcept;

struct JsonOptions {
  std::size_t depth_max = 64;  // at most Value::depth_max
};

// Integers that fit into std::int64_t become integers, all other numbers become doubles.
// Throws: Error(invalid) with line and column ("read JSON: line 3, column 7: ...") when it is not one value of JSON in
// UTF-8, nested too deeply, has a name twice in an object, or a number above the largest double.
Value parse_json(std::string_view text, JsonOptions options = {});

// The shortest text that gives the same double, as Python writes it: 0.1, 2.0, 1e+16, nan, inf.
std::string to_text(double number);

}  // namespace coax::http
