// The line protocol's encoding: one line for each event.
#pragma once

#include <string>
#include <string_view>

#include "services/chat/event.hpp"

namespace coax::chat {

// Other rooms than the lobby are named: "[room] alice: hello\n".
void append_line(std::string& out, std::string_view room, const Event& event);
// To one client alone: "error: ...\n".
std::string error_line(std::string_view text);

}  // namespace coax::chat
