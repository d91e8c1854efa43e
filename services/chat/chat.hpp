// The chat over plain TCP and over WebSocket: connection handlers, each of which joins the lobby.
#pragma once

#include <exception>
#include <string>

#include "coax/base/units.hpp"
#include "coax/server/connection.hpp"
#include "services/chat/rooms.hpp"

namespace coax::ws {
class WebSocket;
}

namespace coax::chat {

struct ChatLimits {
  std::size_t outbox_bytes_max = 256_KiB;          // OutboxOptions::bytes_max
  Duration nick = std::chrono::seconds(10);        // until the client has joined
  Duration pause = std::chrono::milliseconds(50);  // ends a message of a client that sends no line ends
};

// The line protocol. Both forms: docs/protocols.md.
Task<> talk_lines(Connection& connection, Rooms& rooms, const ChatLimits& limits);
// JSON messages over a WebSocket that is open.
Task<> talk_json(ws::WebSocket& socket, Connection& connection, Rooms& rooms, const ChatLimits& limits);

// Why something could not be stored, for clients; the whole error is logged.
std::string text_of(const std::exception_ptr& error);

// For both: runs the two directions of a client that has joined, and logs its arrival and the reason of its end.
// Throws: the first error of either direction, which cancels the other one.
Task<> run_session(Connection& connection, std::string nick, Task<> read, Task<> write);

}  // namespace coax::chat
