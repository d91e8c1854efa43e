// The state of a room as a fold over its events: apply() is its only mutation, and the same events lead to the same
// state on every machine. Decisions (may this nickname join?) read the state and change nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "services/chat/event.hpp"
#include "services/chat/nickname.hpp"
#include "services/chat/refusal.hpp"

namespace coax::chat {

class RoomState {
 public:
  using Members = std::map<std::string, std::uint64_t>;  // nickname -> Event::member

  // sequence: of the last event before it, in a room that outlived its members.
  explicit RoomState(std::uint64_t sequence = 0) noexcept : sequence_(sequence) {}

  // Applies an event at its place in the order.
  // Returns: false, and nothing has changed but sequence(), when it has no effect: it was applied before (its sequence
  // is not above sequence(), as in a replay), its nickname is taken, or it is the `left` of another membership.
  bool apply(const Event& event);

  // Returns: why this nickname may not join, or nothing. `keys` are its nick_keys(). `before`: the member that renames
  // itself, whose nickname does not count.
  [[nodiscard]] std::optional<Refusal> refuse_join(const std::string& nick, const NickKeys& keys,
                                                   const std::string& before = {}) const;

  // Returns: the member whose nickname has one of the keys, or nothing.
  [[nodiscard]] std::optional<std::string> find(const NickKeys& keys) const;

  // Of the last event that was applied; 0 before the first.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  [[nodiscard]] const Members& members() const noexcept { return members_; }

  bool operator==(const RoomState&) const = default;

 private:
  bool add(const std::string& nick, std::uint64_t member);
  bool remove(const std::string& nick);

  std::uint64_t sequence_;
  Members members_;
  std::map<std::string, std::string> nick_of_key_;
};

}  // namespace coax::chat
