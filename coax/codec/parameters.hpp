// Field values with parameters (RFC 9110, section 5.6.6): "text/html; charset=utf-8". Pure: no descriptor, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coax/base/compiler.hpp"

namespace coax::http {

struct ParameterizedValue {
  std::string value;                                            // before the first ';', in lower case
  std::vector<std::pair<std::string, std::string>> parameters;  // their names in lower case, none twice

  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
};

// How a backslash in a quoted string is read.
enum class Backslash : std::uint8_t {
  path,  // it escapes a quote or a backslash only, so that "C:\dir" keeps its own
  // As path, but clients that follow WHATWG HTML escape nothing by it: where a string would not be closed otherwise,
  // \" before a ';' or the end closes it: name="dir\"; filename="x\" -> dir\ and x\ .
  form,
  pair,  // it escapes any character (RFC 9110, section 5.6.4)
};

// More lenient than the RFC where programs in use are: a value without quotes extends to the next ';' or white space,
// whatever it contains besides quotes; and as `backslash` says.
// Returns: nothing when it is malformed: a name that is no token, a string without its closing quote, a control
// character, or two parameters of the same name, of which different programs would use different ones.
std::optional<ParameterizedValue> parse_parameters(std::string_view text, Backslash backslash = Backslash::path);

// Credentials or a challenge with parameters (RFC 9110, section 11.4): "Digest username="ada", nc=00000001" -> the
// scheme in lower case, and the parameters. As lenient as above.
std::optional<ParameterizedValue> parse_credentials(std::string_view text);

// An extended value (RFC 8187, section 3.2): "UTF-8''%e2%82%ac" -> "€".
// Returns: nothing when it is malformed, in another charset than UTF-8, or not valid UTF-8.
std::optional<std::string> decode_extended_value(std::string_view text);

}  // namespace coax::http
