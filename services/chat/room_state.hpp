// The state of a room as a fold over its events: apply() is its only mutation, and the same events lead to the same
// state. Decisions (may this nickname join?) read the state and change nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "services/chat/event.hpp"
#include "services/chat/nickname.hpp"
#include "services/chat/refusal.hpp"

namespace coax::chat {

class RoomState {
 public:
  using Members = std::set<std::string>;  // their nicknames

  // Applies an event whose decision has been made. Any event is valid: a nickname joins once, and only a member leaves.
  // Returns: false, and nothing has changed, when the event has been applied already: its sequence is not above
  // sequence(). A replay may therefore deliver an event more than once.
  bool apply(const Event& event);

  // Returns: why this nickname may not join, or nothing. `keys` are its nick_keys().
  [[nodiscard]] std::optional<Refusal> refuse_join(const std::string& nick, const NickKeys& keys) const;

  // Of the last event that was applied; 0 before the first.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  [[nodiscard]] const Members& members() const noexcept { return members_; }

  bool operator==(const RoomState&) const = default;

 private:
  std::uint64_t sequence_ = 0;
  Members members_;
  std::map<std::string, std::string> nick_of_key_;
};

}  // namespace coax::chat
