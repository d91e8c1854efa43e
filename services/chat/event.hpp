// A change of a room's state, without a wire format. A room's state is a fold over its events (room_state.hpp); wires
// encode them (wire.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace coax::chat {

enum class EventKind : std::uint8_t { joined, said, left };

struct Event {
  std::uint64_t sequence = 0;  // within the room, ascending; the first is 1
  std::chrono::system_clock::time_point time;
  EventKind kind = EventKind::said;
  std::string nick;  // of the member who joined, spoke or left
  std::string text;  // of `said`

  bool operator==(const Event&) const = default;
};

}  // namespace coax::chat
