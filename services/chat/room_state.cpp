// The fold, and the decision to let a nickname in.
#include "services/chat/room_state.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace coax::chat {

bool RoomState::add(const std::string& nick, std::uint64_t member) {
  const NickKeys keys = nick_keys(nick);
  if (std::ranges::any_of(keys, [this](const std::string& key) { return nick_of_key_.contains(key); })) return false;
  members_.emplace(nick, member);
  for (const std::string& key : keys) nick_of_key_.emplace(key, nick);
  return true;
}

bool RoomState::remove(const std::string& nick) {
  if (members_.erase(nick) == 0) return false;
  for (const std::string& key : nick_keys(nick)) {  // computed again: to keep them costs each member 64 bytes
    const auto owner = nick_of_key_.find(key);
    if (owner != nick_of_key_.end() && owner->second == nick) nick_of_key_.erase(owner);
  }
  return true;
}

bool RoomState::apply(const Event& event) {
  if (event.sequence <= sequence_) return false;
  sequence_ = event.sequence;
  const auto present = members_.find(event.nick);
  const bool is_member = present != members_.end() && present->second == event.member;
  switch (event.kind) {
    case EventKind::joined: return add(event.nick, event.member);
    case EventKind::left: return is_member && remove(event.nick);
    case EventKind::renamed:
      if (!is_member || refuse_join(event.text, nick_keys(event.text), event.nick)) return false;
      remove(event.nick);
      return add(event.text, event.member);
    default: return true;
  }
}

std::optional<std::string> RoomState::find(const NickKeys& keys) const {
  for (const std::string& key : keys) {
    if (const auto owner = nick_of_key_.find(key); owner != nick_of_key_.end()) return owner->second;
  }
  return std::nullopt;
}

std::optional<Refusal> RoomState::refuse_join(const std::string& nick, const NickKeys& keys,
                                              const std::string& before) const {
  for (const std::string& key : keys) {
    const auto owner = nick_of_key_.find(key);
    if (owner == nick_of_key_.end() || (!before.empty() && owner->second == before)) continue;
    const std::string how = owner->second == nick ? "" : fmt::format(": it looks like {}", owner->second);
    return Refusal{"nick_taken", fmt::format("the nickname {} is taken{}", nick, how)};
  }
  return std::nullopt;
}

}  // namespace coax::chat
