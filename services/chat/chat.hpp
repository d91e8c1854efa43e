// The chat over plain TCP and over WebSocket: connection handlers around one room.
#pragma once

#include "coax/base/units.hpp"
#include "coax/server/connection.hpp"
#include "services/chat/room.hpp"

namespace coax::ws {
class Connection;
}

namespace coax::chat {

struct ChatLimits {
  std::size_t outbox_bytes_max = 256_KiB;
  Duration nick = std::chrono::seconds(10);        // for choosing a nickname
  Duration pause = std::chrono::milliseconds(50);  // ends a message of a client that sends no line ends
};

// The tutorials' protocol; see docs/protocols.md.
Task<> talk_lines(Connection& connection, Room& room, const ChatLimits& limits);
// JSON messages over a WebSocket that is open.
Task<> talk_json(ws::Connection& socket, Room& room, const ChatLimits& limits);

// For both: runs a member's two sides to their end, the first error ends both, and tells the log why.
Task<> stay(Connection& connection, std::string nick, Task<> read, Task<> write);

}  // namespace coax::chat
