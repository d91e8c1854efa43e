// The fold, and the decision to let a nickname in.
#include "services/chat/room_state.hpp"

#include <fmt/core.h>

namespace coax::chat {

bool RoomState::apply(const Event& event) {
  if (event.sequence <= sequence_) return false;
  sequence_ = event.sequence;
  if (event.kind == EventKind::joined) {
    if (!members_.insert(event.nick).second) return true;
    for (const std::string& key : nick_keys(event.nick)) nick_of_key_.emplace(key, event.nick);
  } else if (event.kind == EventKind::left) {
    if (members_.erase(event.nick) == 0) return true;
    for (const std::string& key : nick_keys(event.nick)) {  // computed again: to keep them costs each member 64 bytes
      const auto owner = nick_of_key_.find(key);
      if (owner != nick_of_key_.end() && owner->second == event.nick) nick_of_key_.erase(owner);
    }
  }
  return true;
}

std::optional<Refusal> RoomState::refuse_join(const std::string& nick, const NickKeys& keys) const {
  for (const std::string& key : keys) {
    const auto owner = nick_of_key_.find(key);
    if (owner == nick_of_key_.end()) continue;
    const std::string how = owner->second == nick ? "" : fmt::format(": it looks like {}", owner->second);
    return Refusal{"nick_taken", fmt::format("the nickname {} is taken{}", nick, how)};
  }
  return std::nullopt;
}

}  // namespace coax::chat
