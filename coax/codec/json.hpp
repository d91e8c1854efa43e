// Validation of JSON (RFC 8259), so that untrusted text can be forwarded, stored or parsed safely. Pure: no descriptor,
// no clock, and no document is built.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"

namespace coax {

// The maximum nesting depth of arrays and objects.
inline constexpr std::size_t json_depth_limit = 1024;

struct JsonFault {
  std::size_t at = 0;       // the first invalid byte
  std::string_view reason;  // in words
};

// Returns: nothing when the text is one value of any kind, with optional white space around it. It must be UTF-8, and
// no string may have half of a surrogate pair (RFC 7493, section 2.1). Numbers have any size; a name may be repeated in
// an object. A depth_max above json_depth_limit counts as that.
std::optional<JsonFault> check_json(BytesView text, std::size_t depth_max);

// For valid JSON: the same on one line. CR and LF between tokens become spaces.
std::string json_on_one_line(std::string_view json);

// Options of the readers of JSON messages.
struct JsonMessagesOptions {
  std::size_t message_bytes_max = 1_MiB;  // of a received message
  std::size_t depth_max = 64;             // nesting of arrays and objects; at most json_depth_limit
};

}  // namespace coax
