// The commands of the line protocol, such as "/join dev".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/chat/rooms.hpp"
#include "services/chat/session.hpp"

namespace coax::chat {

constexpr std::size_t rooms_of_member_max = 20;
constexpr std::size_t topic_bytes_max = 512;

// What a line means: "/" and a word of letters is a command, and so is it with an argument after a blank. "//text" is
// the message "/text"; "/usr/bin" is a message as it stands.
struct LineMeaning {
  bool is_command = false;
  std::string_view text;  // without the slash
};
LineMeaning meaning_of(std::string_view line) noexcept;

// Executes a command of a member that talks in `current`, which /join and /leave change. The session is in the lobby.
// Returns: the lines for this member alone, "* ...\n" or "error: ...\n"; empty: all members have read what was done.
// Throws: Error of the bus.
Task<std::string> run_command(Rooms& rooms, Session& session, Room*& current, std::string command);

}  // namespace coax::chat
