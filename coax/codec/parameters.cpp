// A scanner from the front of the text to its end: every function removes what it has read.
#include "coax/codec/parameters.hpp"

#include <algorithm>
#include <array>

#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"
#include "coax/codec/urlencoded.hpp"

namespace coax::http {

namespace {

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return out;
}

void skip_space(std::string_view& text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

struct Syntax {
  char separator;
  Backslash backslash = Backslash::path;

  // At the end of a parameter's value.
  [[nodiscard]] bool is_end(std::string_view text) const noexcept {
    skip_space(text);
    return text.empty() || text[0] == separator;
  }
  [[nodiscard]] bool is_escape(std::string_view text) const noexcept {
    if (text.size() < 2 || text[0] != '\\') return false;
    return text[1] == '"' || text[1] == '\\' || backslash == Backslash::pair;
  }
};

// After the opening quote. `closes_at_backslash`: \" before the end of the value is a backslash and the closing quote.
std::optional<std::string> read_quoted(std::string_view& text, const Syntax& syntax, bool closes_at_backslash = false) {
  std::string out;
  std::string_view rest = text;
  while (!rest.empty() && rest[0] != '"') {
    const bool is_end = closes_at_backslash && rest.starts_with("\\\"") && syntax.is_end(rest.substr(2));
    if (!is_end && syntax.is_escape(rest)) rest.remove_prefix(1);
    out.push_back(rest[0]);
    rest.remove_prefix(1);
  }
  if (rest.empty() || !syntax.is_end(rest.substr(1))) {
    if (syntax.backslash != Backslash::form || closes_at_backslash) return std::nullopt;
    return read_quoted(text, syntax, true);
  }
  text = rest.substr(1);
  return out;
}

std::optional<std::string> read_value(std::string_view& text, const Syntax& syntax) {
  if (text.starts_with('"')) {
    text.remove_prefix(1);
    return read_quoted(text, syntax);
  }
  const char separator = syntax.separator;
  const std::string_view value = text.substr(0, text.find_first_of(std::array{separator, ' ', '\t', '\0'}.data()));
  if (value.contains('"')) return std::nullopt;
  text.remove_prefix(value.size());
  return std::string(value);
}

// "name=value", and the white space after it. Nothing when it is malformed.
std::optional<std::pair<std::string, std::string>> read_parameter(std::string_view& text, const Syntax& syntax) {
  const std::string_view name = text.substr(0, text.find('='));
  if (!http1::is_token(name) || name.size() == text.size()) return std::nullopt;
  text.remove_prefix(name.size() + 1);
  auto value = read_value(text, syntax);
  if (!value || !syntax.is_end(text)) return std::nullopt;
  skip_space(text);
  return std::pair(lower_case(name), std::move(*value));
}

}  // namespace

std::optional<std::string_view> ParameterizedValue::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(parameters, name, &std::pair<std::string, std::string>::first);
  return found == parameters.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

namespace {

// False: they are malformed, or too many.
bool read_parameters(std::string_view text, const Syntax& syntax, ParameterizedValue& result) {
  constexpr std::size_t parameters_max = 32;  // each is compared with all others
  while (!text.empty()) {
    if (text[0] == syntax.separator) {  // an empty parameter is allowed
      text.remove_prefix(1);
      skip_space(text);
      continue;
    }
    auto parameter = read_parameter(text, syntax);
    if (!parameter || result.find(parameter->first) || result.parameters.size() == parameters_max) return false;
    result.parameters.push_back(std::move(*parameter));
  }
  return true;
}

}  // namespace

std::optional<ParameterizedValue> parse_parameters(std::string_view text, Backslash backslash) {
  if (!http1::is_field_value(text)) return std::nullopt;
  ParameterizedValue result{.value = lower_case(trim(text.substr(0, text.find(';')))), .parameters = {}};
  if (result.value.empty() || result.value.find_first_of(" \t\",=") != std::string::npos) return std::nullopt;
  text.remove_prefix(std::min(text.find(';'), text.size()));
  if (!read_parameters(text, {.separator = ';', .backslash = backslash}, result)) return std::nullopt;
  return result;
}

std::optional<ParameterizedValue> parse_credentials(std::string_view text) {
  const std::size_t space = std::min(text.find(' '), text.size());
  if (!http1::is_field_value(text) || !http1::is_token(text.substr(0, space))) return std::nullopt;
  ParameterizedValue result{.value = lower_case(text.substr(0, space)), .parameters = {}};
  text.remove_prefix(space);
  skip_space(text);
  if (!read_parameters(text, {.separator = ','}, result)) return std::nullopt;
  return result;
}

std::optional<std::string> decode_extended_value(std::string_view text) {
  const std::size_t charset = text.find('\'');
  if (charset == std::string_view::npos || !equal_ignoring_case(text.substr(0, charset), "utf-8")) return std::nullopt;
  const std::size_t language = text.find('\'', charset + 1);
  if (language == std::string_view::npos) return std::nullopt;
  const std::string_view encoded = text.substr(language + 1);
  for (std::size_t percent = encoded.find('%'); percent != std::string_view::npos;
       percent = encoded.find('%', percent + 1)) {
    if (!decode_percent(encoded.substr(percent))) return std::nullopt;
  }
  std::string decoded = percent_decode(encoded);
  if (!is_utf8(decoded)) return std::nullopt;
  return decoded;
}

}  // namespace coax::http
