// application/x-www-form-urlencoded: the fields of a form as a browser sends them (WHATWG URL, section 5.1). Pure: no
// descriptor, no clock.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coax/base/compiler.hpp"

namespace coax::http {

// Fields in their order: '+' is a space, a name without '=' has an empty value, and empty parts between '&' are
// skipped. As in browsers, a malformed percent-encoding stays as it is, and invalid UTF-8 becomes U+FFFD.
// Returns: nothing when there are more than fields_max.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_urlencoded(std::string_view text,
                                                                                 std::size_t fields_max);

// The byte that the text starts with as "%XX"; nothing when it starts otherwise.
std::optional<char> decode_percent(std::string_view text) noexcept;
// Each %XX becomes its byte; a malformed one stays as it is. Any bytes, a NUL included, may be in the result.
std::string percent_decode(std::string_view text);

}  // namespace coax::http
