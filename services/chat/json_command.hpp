// The requests of version 2 of the JSON protocol, but for messages.
#pragma once

#include <string>

#include "services/chat/json_wire.hpp"
#include "services/chat/rooms.hpp"
#include "services/chat/session.hpp"

namespace coax::chat {

// The room of a request, in which the session is, or nullptr.
Room* room_of(Rooms& rooms, Session& session, const ClientMessage& request);

// Executes a request of a member.
// Returns: the JSON of the answer, or why it is refused.
// Throws: Error of the bus.
Task<std::expected<std::string, Refusal>> run_request(Rooms& rooms, Session& session, std::uint64_t person,
                                                      ClientMessage request);

}  // namespace coax::chat
