// The fold, and the decision to let a nickname in.
#include "services/chat/room_state.hpp"

#include <fmt/core.h>

namespace coax::chat {

bool RoomState::apply(const Event& event) {
  if (event.sequence <= sequence_) return false;
  sequence_ = event.sequence;
  if (event.kind == EventKind::joined) {
    const auto [member, is_new] = members_.try_emplace(event.nick);
    if (!is_new) return true;
    member->second = nick_keys(event.nick);
    for (const std::string& key : member->second) nick_of_key_.emplace(key, event.nick);
  } else if (event.kind == EventKind::left) {
    const auto member = members_.find(event.nick);
    if (member == members_.end()) return true;
    for (const std::string& key : member->second) {
      const auto owner = nick_of_key_.find(key);
      if (owner != nick_of_key_.end() && owner->second == event.nick) nick_of_key_.erase(owner);
    }
    members_.erase(member);
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
