// The text of a message: which ones the room accepts.
#pragma once

#include <cstddef>
#include <optional>

#include "coax/base/bytes.hpp"
#include "services/chat/refusal.hpp"

namespace coax::chat {

constexpr std::size_t text_bytes_max = 4096;

// Returns: why the text is refused, or nothing: it is UTF-8, 1 to 4096 bytes, without control characters.
std::optional<Refusal> check_text(BytesView text);

}  // namespace coax::chat
