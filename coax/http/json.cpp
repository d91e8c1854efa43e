// What is wrong with JSON, in words; and the body of a request.
#include "coax/http/json.hpp"

#include <fmt/core.h>

#include "coax/base/text.hpp"
#include "coax/http/site_private.hpp"
#include "coax/http/status_error.hpp"

namespace coax::http::detail {

namespace {

constexpr std::size_t errors_max = 100;
constexpr std::size_t name_bytes_max = 64;  // of a client's name in a path

std::string_view with_article(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::null: return "null";
    case Value::Kind::boolean: return "a boolean";
    case Value::Kind::integer: return "an integer";
    case Value::Kind::number: return "a number";
    case Value::Kind::string: return "a string";
    case Value::Kind::list: return "a list";
    case Value::Kind::object: return "an object";
  }
  return "";
}

}  // namespace

JsonReader::Step::Step(JsonReader& reader, std::string_view name) : reader_(reader), before_(reader.path_.size()) {
  if (!reader_.path_.empty()) reader_.path_ += '.';
  reader_.path_ += first_characters(name, name_bytes_max);
}

JsonReader::Step::Step(JsonReader& reader, std::size_t index) : reader_(reader), before_(reader.path_.size()) {
  reader_.path_ += fmt::format("[{}]", index);
}

bool JsonReader::expect(const Value& value, Value::Kind kind) {
  const bool is_number = kind == Value::Kind::number && value.kind() == Value::Kind::integer;
  if (value.kind() == kind || is_number) return true;
  fail(fmt::format("must be {}, is {}", with_article(kind), with_article(value.kind())));
  return false;
}

void JsonReader::check_length(const Value& value, std::size_t minimum, std::size_t maximum) {
  const bool is_text = value.kind() == Value::Kind::string;
  const std::size_t length = is_text ? count_characters(value.as_string()) : value.size();
  if (length >= minimum && length <= maximum) return;
  const std::string_view unit = is_text ? "characters" : "elements";
  if (maximum == SIZE_MAX) return fail(fmt::format("must have at least {} {}, has {}", minimum, unit, length));
  fail(fmt::format("must have {} to {} {}, has {}", minimum, maximum, unit, length));
}

void JsonReader::fail(std::string_view message) {
  if (errors_.size() < errors_max) errors_.push_back({.field = path_, .message = std::string(message)});
}

Value json_body(Request& request) {
  const std::string_view field = request.header("Content-Type");
  const std::string_view type = trim(field.substr(0, field.find(';')));
  const bool is_json = equal_ignoring_case(type, "application/json") ||
                       (type.size() > 5 && equal_ignoring_case(type.substr(type.size() - 5), "+json"));
  if (!is_json) throw StatusError(415, "read JSON", "", "the body must be application/json");
  require_no_content_coding(request, "read JSON from");
  auto value = try_parse_json(request.body());
  if (!value) throw StatusError(400, "read JSON", "", value.error());
  return std::move(*value);
}

std::expected<Value, std::string> try_parse_json(std::string_view text) {
  try {
    return parse_json(text);
  } catch (const Error& error) {
    return std::unexpected(std::string(error.what()).substr(std::size("read JSON: ") - 1));
  }
}

}  // namespace coax::http::detail
