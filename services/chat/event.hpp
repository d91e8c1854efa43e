// A change of a room's state, or a message to one person, without a wire format. A room's state is a fold over its
// events (room_state.hpp); wires encode them (wire.hpp), and the bus keeps them as records (event_record.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace coax::chat {

enum class EventKind : std::uint8_t { joined, said, left, edited, deleted, topic, renamed, direct };

struct Event {
  std::uint64_t sequence = 0;  // within the room, ascending; there may be gaps
  std::chrono::system_clock::time_point time;
  EventKind kind = EventKind::said;
  std::string nick;          // of the member who did it
  std::string text;          // of `said`, `edited` and `topic`; of `renamed` the new nickname
  std::string to = {};       // of `direct`: the nickname of the other one
  std::string id = {};       // of `said` and `direct`: the one that the client chose, or empty
  std::uint64_t target = 0;  // of `edited` and `deleted`: the sequence number of the message
  std::uint64_t member = 0;  // of `joined` and `left`: the membership, which another one of the same nickname is not
  std::uint64_t person = 0;  // who did it, under any nickname; 0: unknown. Not for other members
  bool is_edited = false;    // of `said`: the text is not the first one

  bool operator==(const Event&) const = default;
};

}  // namespace coax::chat
