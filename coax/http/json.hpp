// JSON into structs that describe their members, and back.
//
//   struct Todo {
//     std::string title;
//     bool done = false;
//     int priority = 1;
//     static constexpr auto members() {
//       using coax::http::member;
//       return std::tuple(member("title", &Todo::title).length(1, 200), member("done", &Todo::done).optional(),
//                         member("priority", &Todo::priority).range(1, 5));
//     }
//   };
//   app.post("/todos", [](Request& request) {
//     const auto todo = http::read_json<Todo>(request);
//     return Response::json(http::to_json(todo));
//   });
//
// Members are bool, integers, float and double, std::string (UTF-8), std::optional, std::vector, std::map with names of
// std::string, Value, and other described structs.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "coax/http/message.hpp"
#include "coax/http/status_error.hpp"
#include "coax/http/value.hpp"

namespace coax::http {

template <class T>
concept Described = requires { std::tuple_size<decltype(T::members())>::value; };

// A number whose range may be limited.
template <class T>
concept JsonNumber = (std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>) || std::floating_point<T>;

namespace detail {
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_map = false;
template <class T, class L>
inline constexpr bool is_map<std::map<std::string, T, L>> = true;

// Of a std::optional its value.
template <class T>
struct ValueOf {
  using Type = T;
};
template <class T>
struct ValueOf<std::optional<T>> {
  using Type = T;
};
template <class T>
using value_of = typename ValueOf<T>::Type;
template <class T>
inline constexpr bool has_range = JsonNumber<value_of<T>>;
template <class T>
inline constexpr bool has_length =
    std::same_as<value_of<T>, std::string> || is_vector<value_of<T>> || is_map<value_of<T>>;
}  // namespace detail

template <class Struct, class T>
struct MemberOf {
  // Of a number, or of one in a std::optional; double, so that the others are refused with words.
  using Bound = std::conditional_t<detail::has_range<T>, detail::value_of<T>, double>;

  std::string_view name;
  T Struct::* pointer;
  bool is_optional = false;  // it keeps its value when it is missing
  bool is_limited = false;
  Bound least = {};
  Bound most = {};
  std::size_t length_min = 0;
  std::size_t length_max = SIZE_MAX;

  [[nodiscard]] constexpr MemberOf optional() const {
    MemberOf result = *this;
    result.is_optional = true;
    return result;
  }
  // Both are allowed. A std::optional is checked when it is present.
  [[nodiscard]] constexpr MemberOf range(Bound minimum, Bound maximum) const {
    static_assert(detail::has_range<T>,
                  ".range() is for members that are numbers, or std::optional of a number; for the length of a "
                  "std::string, std::vector or std::map there is .length()");
    MemberOf result = *this;
    result.least = minimum;
    result.most = maximum;
    result.is_limited = true;
    return result;
  }
  // Of a string in characters, of a list or map in elements. A std::optional is checked when it is present.
  [[nodiscard]] constexpr MemberOf length(std::size_t minimum, std::size_t maximum) const {
    static_assert(detail::has_length<T>,
                  ".length() is for members that are std::string, std::vector or std::map, or std::optional of these; "
                  "for a number there is .range()");
    MemberOf result = *this;
    result.length_min = minimum;
    result.length_max = maximum;
    return result;
  }
};

// A member is required, unless it is a std::optional or `.optional()`.
template <class Struct, class T>
constexpr MemberOf<Struct, T> member(std::string_view name, T Struct::* pointer) {
  return {.name = name, .pointer = pointer};
}

namespace detail {
class JsonReader {
 public:
  [[nodiscard]] std::vector<FieldError> errors() && { return std::move(errors_); }
  [[nodiscard]] bool has_errors() const noexcept { return !errors_.empty(); }

  template <class T>
  void read(const Value& value, T& out) {
    if constexpr (std::same_as<T, Value>) {
      out = value;
    } else if constexpr (Described<T>) {
      if (!expect(value, Value::Kind::object)) return;
      std::apply([&](const auto&... members) { (read_member(value, members, out), ...); }, T::members());
    } else if constexpr (is_optional<T>) {
      if (value.is_null()) return out.reset();
      read(value, out.emplace());
    } else if constexpr (std::same_as<T, bool>) {
      if (expect(value, Value::Kind::boolean)) out = value.as_bool();
    } else if constexpr (std::same_as<T, std::string>) {
      if (expect(value, Value::Kind::string)) out = value.as_string();
    } else if constexpr (std::integral<T>) {
      if (!expect(value, Value::Kind::integer)) return;
      const std::int64_t number = value.as_integer();
      if (!std::in_range<T>(number)) {
        return fail_range(std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
      }
      out = static_cast<T>(number);
    } else if constexpr (std::floating_point<T>) {
      if (expect(value, Value::Kind::number)) out = static_cast<T>(value.as_number());
    } else if constexpr (is_vector<T>) {
      if (!expect(value, Value::Kind::list)) return;
      out.clear();
      std::size_t index = 0;
      for (const Value& element : value.as_list()) {
        const Step step(*this, index++);
        typename T::value_type read_element{};
        read(element, read_element);
        out.push_back(std::move(read_element));
      }
    } else {
      static_assert(is_map<T>, "JSON has no such type, or the struct has no members() (coax/http/json.hpp)");
      if (!expect(value, Value::Kind::object)) return;
      out.clear();
      for (const Member& member : value.as_object()) {
        const Step step(*this, member.name);
        read(member.value, out[member.name]);
      }
    }
  }

 private:
  // A part of the path of the value that is read.
  class Step {
   public:
    Step(JsonReader& reader, std::string_view name);
    Step(JsonReader& reader, std::size_t index);
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { reader_.path_.resize(before_); }

   private:
    JsonReader& reader_;
    std::size_t before_;
  };

  template <class Struct, class T>
  void read_member(const Value& object, const MemberOf<Struct, T>& member, Struct& out) {
    const Step step(*this, member.name);
    const Value* const value = object.find(member.name);
    if (value == nullptr) {
      if (!member.is_optional && !is_optional<T>) fail("is missing");
      return;
    }
    const std::size_t errors_before = errors_.size();
    read(*value, out.*member.pointer);
    if (errors_.size() != errors_before || value->is_null()) return;
    if constexpr (has_range<T>) {
      const auto number = number_in(out.*member.pointer);
      if (member.is_limited && (number < member.least || number > member.most)) fail_range(member.least, member.most);
    }
    if constexpr (has_length<T>) check_length(*value, member.length_min, member.length_max);
  }

  template <class T>
  static T number_in(T number) {
    return number;
  }
  template <class T>
  static T number_in(const std::optional<T>& number) {
    return *number;  // it was read
  }
  bool expect(const Value& value, Value::Kind kind);
  void check_length(const Value& value, std::size_t minimum, std::size_t maximum);
  void fail(std::string_view message);
  template <class T>
  void fail_range(T least, T most) {
    fail("must be " + to_text_of(least) + " to " + to_text_of(most));
  }
  template <class T>
  static std::string to_text_of(T number) {
    if constexpr (std::floating_point<T>)
      return to_text(static_cast<double>(number));
    else
      return std::to_string(number);
  }

  std::string path_;
  std::vector<FieldError> errors_;
};

// The body of a request, parsed. Throws: as read_json().
Value json_body(Request& request);
// Returns: why it is no JSON: "line 3, column 7: ...".
std::expected<Value, std::string> try_parse_json(std::string_view text);
}  // namespace detail

// Members that the struct does not have are ignored.
// Returns: the struct, or all that is wrong, at most 100 errors.
template <class T>
std::expected<T, std::vector<FieldError>> from_json(const Value& value) {
  T result{};
  detail::JsonReader reader;
  reader.read(value, result);
  if (reader.has_errors()) return std::unexpected(std::move(reader).errors());
  return result;
}

// The same of a text: from_json<Todo>(R"({"title":"Tea"})"). What is no JSON is one error, without a field.
template <class T, detail::Text Text>
std::expected<T, std::vector<FieldError>> from_json(const Text& text) {
  const auto value = detail::try_parse_json(text);
  if (value) return from_json<T>(*value);
  return std::unexpected(std::vector{FieldError{.field = "", .message = "is not JSON: " + value.error()}});
}

// The body of a request for which the route has no BodyReader.
// Throws: StatusError: 415 when its Content-Type is neither application/json nor ends with +json, or it has a
// Content-Encoding; 400 when it is no JSON (parse_json() says what that is). ValidationError (422) when it is not a T,
// with all errors in the response: {"errors":[{"field":"priority","message":"must be 1 to 5"}]}.
template <class T>
T read_json(Request& request) {
  std::expected<T, std::vector<FieldError>> result = from_json<T>(detail::json_body(request));
  if (!result) throw ValidationError(std::move(result.error()), "read JSON");
  return std::move(*result);
}

// An empty optional is left out.
// Throws: Error(invalid) for an unsigned integer above the largest std::int64_t.
template <class T>
Value to_value(const T& from) {
  if constexpr (Described<T>) {
    Value result = Value::object();
    const auto add = [&]<class M>(const MemberOf<T, M>& member) {
      const M& value = from.*member.pointer;
      if constexpr (detail::is_optional<M>) {
        if (value) result.set(member.name, to_value(*value));
      } else {
        result.set(member.name, to_value(value));
      }
    };
    std::apply([&](const auto&... members) { (add(members), ...); }, T::members());
    return result;
  } else if constexpr (detail::is_optional<T>) {
    return from ? to_value(*from) : Value();
  } else if constexpr (detail::is_vector<T>) {
    Value::List list;
    for (const auto& element : from) list.push_back(to_value(element));
    return Value::list(std::move(list));
  } else if constexpr (detail::is_map<T>) {
    std::vector<Member> members;
    for (const auto& [name, value] : from) members.push_back({name, to_value(value)});
    return Value::object(std::move(members));
  } else {
    return Value(from);
  }
}

// Throws: Error(invalid) for NaN and infinity, which JSON does not have; as to_value().
template <class T>
std::string to_json(const T& from) {
  return to_value(from).to_json();
}

}  // namespace coax::http
