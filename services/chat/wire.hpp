// The wires of the chat: what each kind of client reads of a room. docs/protocols.md has the bytes.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "services/chat/event.hpp"
#include "services/chat/room_state.hpp"

namespace coax::chat {

// The form of an outbox (OutboxOptions::form), and the index of its wire.
enum Form : std::size_t { line, websocket, forms };

// What a new member reads first. Lifetime: refers to what it was made from.
struct Welcome {
  std::string_view room;
  std::string_view nick;    // of the new member
  const RoomState& before;  // the state that it joins
};

// Pure functions: the same event gives the same bytes. Each event is encoded once per wire, for all members.
struct Wire {
  void (*append_event)(std::string& out, const Event& event);
  void (*append_welcome)(std::string& out, const Welcome& welcome);
};

extern const std::array<Wire, forms> wires;

}  // namespace coax::chat
