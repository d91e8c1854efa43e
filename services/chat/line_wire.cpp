// The line protocol's encoding.
#include "services/chat/line_wire.hpp"

#include <fmt/core.h>

namespace coax::chat {

void append_line(std::string& out, const Event& event) {
  out.append(event.nick);
  if (event.kind == EventKind::said) {
    out.append(": ").append(event.text).append("\n");
  } else {
    out.append(event.kind == EventKind::joined ? " joined the chat!\n" : " left the chat!\n");
  }
}

std::string error_line(std::string_view text) { return fmt::format("error: {}\n", text); }

}  // namespace coax::chat
