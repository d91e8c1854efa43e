// The line protocol's encoding.
#include "services/chat/line_wire.hpp"

#include <fmt/core.h>

#include "services/chat/wire.hpp"

namespace coax::chat {

namespace {

void append_what(std::string& out, const Event& event) {
  switch (event.kind) {
    case EventKind::said: out.append(": ").append(event.text); break;
    case EventKind::joined: out.append(" joined the chat!"); break;
    case EventKind::left: out.append(" left the chat!"); break;
    case EventKind::edited: out.append(" edited a message: ").append(event.text); break;
    case EventKind::deleted: out.append(" deleted a message"); break;
    case EventKind::topic:
      out.append(event.text.empty() ? " removed the topic" : " set the topic: ").append(event.text);
      break;
    case EventKind::direct: out.append(" to ").append(event.to).append(": ").append(event.text); break;
    case EventKind::renamed: out.append(" is now ").append(event.text); break;
  }
}

}  // namespace

void append_line(std::string& out, std::string_view room, const Event& event) {
  // Lines with a colon that are no messages begin as no nickname does, so that none can be forged.
  const bool is_told = event.kind == EventKind::edited || event.kind == EventKind::deleted ||
                       event.kind == EventKind::topic || event.kind == EventKind::direct;
  if (is_told) out.append("* ");
  if (room != lobby) out.append("[").append(room).append("] ");
  out.append(event.nick);
  append_what(out, event);
  out.append("\n");
}

std::string error_line(std::string_view text) { return fmt::format("error: {}\n", text); }

}  // namespace coax::chat
