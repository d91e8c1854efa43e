// The text of a message.
#include "services/chat/message_text.hpp"

#include <fmt/core.h>

#include "coax/base/text.hpp"

namespace coax::chat {

std::optional<Refusal> check_text(BytesView text) {
  if (text.empty()) return Refusal{"text_invalid", "a message must not be empty"};
  if (text.size() > text_bytes_max) {
    return Refusal{"text_too_long", fmt::format("a message has at most {} bytes", text_bytes_max)};
  }
  if (!is_utf8(text)) return Refusal{"text_invalid", "a message must be UTF-8"};
  if (has_control(text)) return Refusal{"text_invalid", "a message must not have control characters"};
  return std::nullopt;
}

}  // namespace coax::chat
