// Whether a text is JSON (RFC 8259), so that what strangers send can be handed on, stored or parsed without surprise.
// Pure: no descriptor, no clock, and it builds nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"

namespace coax {

// How deep the arrays and objects of a text may stand in each other, at most.
inline constexpr std::size_t json_depth_limit = 1024;

struct JsonFault {
  std::size_t at = 0;       // the first byte that cannot stand there
  std::string_view reason;  // in words
};

// Nothing: it is one value, of any kind, with white space around it. It is UTF-8, and no string has half of a surrogate
// pair (RFC 7493, section 2.1). Numbers have any size; a name may come twice in an object. A depth_max above
// json_depth_limit counts as that.
std::optional<JsonFault> check_json(BytesView text, std::size_t depth_max);

// It is JSON: the same on one line. CR and LF between the values become spaces.
std::string json_on_one_line(std::string_view json);

// For those who read JSON messages from somewhere.
struct JsonMessagesOptions {
  std::size_t message_bytes_max = 1_MiB;  // of what is read
  std::size_t depth_max = 64;             // of arrays and objects in each other; at most json_depth_limit
};

}  // namespace coax
