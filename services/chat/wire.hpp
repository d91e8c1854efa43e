// The wires of the chat: the encoding of a room for each kind of client. docs/protocols.md has the bytes.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "services/chat/event.hpp"
#include "services/chat/room_state.hpp"

namespace coax::chat {

// The room that every client joins first. The line protocol does not name it.
constexpr std::string_view lobby = "lobby";

// The form of an outbox (OutboxOptions::form), and the index of its wire.
enum Form : std::size_t { line, websocket, forms };

// The first message to a new member. Lifetime: refers to its arguments.
struct Welcome {
  std::string_view room;
  std::string_view nick;    // of the new member
  const RoomState& before;  // the state that it joins
};

// Pure functions: the same event gives the same bytes. Each event is encoded once per wire, for all members.
struct Wire {
  void (*append_event)(std::string& out, std::string_view room, const Event& event);
  void (*append_welcome)(std::string& out, const Welcome& welcome);
};

extern const std::array<Wire, forms> wires;

}  // namespace coax::chat
