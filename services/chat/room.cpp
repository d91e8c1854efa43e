// The room. Its mutex makes the order: joining, speaking and leaving are one step each, decision, state and publication
// together, so that a welcome and the events after it never contradict each other.
#include "services/chat/room.hpp"

#include <chrono>

namespace coax::chat {

// --- Member ---

Member::Member(Room& room, std::string nick, Outbox& outbox) : room_(room), nick_(std::move(nick)) {
  subscription_.emplace(room_.topic_, outbox);
}

Member::~Member() { room_.leave(nick_, subscription_, retired_); }

void Member::say(std::string_view text) { room_.say(nick_, text); }

void Member::retire() {
  if (!std::exchange(retired_, true)) room_.retire_one();
}

// --- Room ---

void Room::apply(const Event& event) {
  const std::scoped_lock lock(mutex_);
  apply_locked(event);
}

void Room::apply_locked(const Event& event) {
  if (!state_.apply(event)) return;
  std::array<BytesView, forms> messages;
  for (std::size_t form = 0; form < forms; ++form) {
    encoded_[form].clear();
    wires[form].append_event(encoded_[form], event);
    messages[form] = encoded_[form];
  }
  topic_.publish_now(messages);
}

// The event of a decision that has just been made: it is the next one.
void Room::append(Event event) {
  event.sequence = state_.sequence() + 1;
  event.time = std::chrono::system_clock::now();
  apply_locked(event);
}

std::expected<void, Refusal> Room::join(std::string nick, Outbox& outbox, std::optional<Member>& member) {
  const NickKeys keys = nick_keys(nick);
  const std::scoped_lock lock(mutex_);
  if (draining_) return std::unexpected(Refusal{"shutting_down", "the hub shuts down"});
  if (auto refusal = state_.refuse_join(nick, keys)) return std::unexpected(*std::move(refusal));
  member.emplace(*this, nick, outbox);
  ++active_;
  std::string welcome;
  wires[outbox.form()].append_welcome(welcome, {.room = name_, .nick = nick, .before = state_});
  outbox.push(std::move(welcome));
  append({.kind = EventKind::joined, .nick = std::move(nick)});
  return {};
}

void Room::say(const std::string& nick, std::string_view text) {
  Event event{.kind = EventKind::said, .nick = nick, .text = std::string(text)};
  const std::scoped_lock lock(mutex_);
  append(std::move(event));
}

// The member's own `left` is not for it, and everything before is.
void Room::leave(const std::string& nick, std::optional<Subscription>& subscription, bool was_retired) {
  const std::scoped_lock lock(mutex_);
  subscription.reset();
  append({.kind = EventKind::left, .nick = nick});
  if (!was_retired) --active_;
  close_if_drained();
}

void Room::retire_one() {
  const std::scoped_lock lock(mutex_);
  --active_;
  close_if_drained();
}

void Room::drain() {
  const std::scoped_lock lock(mutex_);
  draining_ = true;
  close_if_drained();
}

void Room::close() { topic_.close(); }

void Room::close_if_drained() {
  if (draining_ && active_ == 0) topic_.close();
}

std::size_t Room::size() const {
  const std::scoped_lock lock(mutex_);
  return state_.members().size();
}

RoomState Room::state() const {
  const std::scoped_lock lock(mutex_);
  return state_;
}

}  // namespace coax::chat
