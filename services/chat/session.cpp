// A session's memberships, its message budget, and replies to it alone.
#include "services/chat/session.hpp"

#include <algorithm>

#include "coax/loop/loop.hpp"

namespace coax::chat {

std::expected<void, Refusal> Session::join(Room& room, std::string nick) {
  if (member_of(room) != nullptr) return std::unexpected(Refusal{"already_joined", "you are in the room already"});
  auto joined = room.join(std::move(nick), outbox_, members_.emplace_back());
  if (!joined) members_.pop_back();
  return joined;
}

void Session::leave(const Room& room) {
  std::erase_if(members_, [&](const std::optional<Member>& member) { return &member->room() == &room; });
}

Member* Session::member_of(const Room& room) noexcept {
  const auto found = std::ranges::find_if(members_, [&](auto& member) { return &member->room() == &room; });
  return found == members_.end() ? nullptr : &**found;
}

// A token bucket of 4 KiB that refills in two seconds, kept as the time at which it was last empty. A message
// above the budget empties it, but leaves no debt: its sender waits for the room instead.
bool Session::consume_budget(std::size_t bytes) noexcept {
  constexpr Duration refill = std::chrono::seconds(2);
  constexpr Duration per_byte = refill / 4096;
  const TimePoint now = Loop::current().now();
  budget_empty_at_ = std::max(budget_empty_at_, now - refill) + per_byte * static_cast<Duration::rep>(bytes);
  const bool is_enough = budget_empty_at_ <= now;
  if (!is_enough) budget_empty_at_ = now;
  return is_enough;
}

void Session::reply(std::string encoded) {
  for (std::optional<Member>& member : members_) member->catch_up();
  outbox_.push(std::move(encoded));
}

void Session::retire() {
  for (std::optional<Member>& member : members_) member->retire();
}

}  // namespace coax::chat
