// A session's memberships, its messages without an outcome, its budget, and replies to it alone.
#include "services/chat/session.hpp"

#include <algorithm>

#include "coax/base/error.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/chat.hpp"

namespace coax::chat {

// Shared with the callbacks of the bus, which may outlive the session.
struct Session::Unsettled {
  LoopLink home{Loop::current()};
  bool session_ended = false;
  std::size_t bytes = 0;
  coax::Event changed;
};

Session::~Session() {
  if (unsettled_) unsettled_->session_ended = true;
  leave_all();
  if (!owner_) return;
  for (Promise<bool>& ended : owner_->ended) ended.set(true);
}

void Session::set_owner(std::uint64_t person, std::move_only_function<void()> end) {
  owner_ = std::make_unique<Owner>(person, std::move(end));
}

bool Session::end_for(std::uint64_t person, Promise<bool>& ended) {
  if (!owner_ || owner_->person != person) return false;
  owner_->ended.push_back(std::move(ended));
  owner_->end();
  return true;
}

Task<std::expected<void, Refusal>> Session::join(Room& room, std::string nick, bool is_replacement) {
  if (member_of(room) != nullptr) co_return std::unexpected(Refusal{"already_joined", "you are in the room already"});
  std::list<std::optional<Member>> entry(1);  // not yet among the members: others look at them meanwhile
  std::expected<void, Refusal> joined;
  try {
    joined = co_await room.join(std::move(nick), outbox_, entry.front(), is_replacement);
  } catch (const Error&) {
    joined = std::unexpected(Refusal{"failed", text_of(std::current_exception())});
  }
  if (joined) members_.splice(members_.end(), entry);
  co_return joined;
}

void Session::leave(const Room& room) {
  std::erase_if(members_, [&](const std::optional<Member>& member) { return &member->room() == &room; });
}

Member* Session::member_of(const Room& room) noexcept {
  const auto found = std::ranges::find_if(members_, [&](auto& member) { return &member->room() == &room; });
  return found == members_.end() ? nullptr : &**found;
}

Task<std::expected<void, Refusal>> Session::rename(std::string nick) {
  if (nick == this->nick()) co_return {};
  for (std::optional<Member>& member : members_) {
    if (auto renamed = co_await member->rename(nick); !renamed) co_return renamed;
  }
  co_return {};
}

std::string_view Session::nick() const noexcept {
  return members_.empty() ? std::string_view() : members_.front()->nick();
}

void Session::say(Member& member, Speech speech, Subject::Done on_done) {
  if (!unsettled_) unsettled_ = std::make_shared<Unsettled>();
  const std::size_t bytes = speech.text.size() + 128;
  unsettled_->bytes += bytes;
  auto settle = [bytes, shared = unsettled_, on_done = std::move(on_done)](Subject::Outcome outcome) mutable {
    if (shared->session_ended) return;
    shared->bytes -= bytes;
    shared->changed.set();
    if (on_done) on_done(std::move(outcome));
  };
  member.room().say(
      std::move(speech), [home = unsettled_->home, settle = std::move(settle)](Subject::Outcome outcome) mutable {
        if (home.is_current()) return settle(std::move(outcome));
        home.post([settle = std::move(settle), outcome = std::move(outcome)]() mutable { settle(std::move(outcome)); });
      });
}

Task<> Session::until_unsettled_below(std::size_t bytes) {
  while (unsettled_ && unsettled_->bytes >= bytes) {
    unsettled_->changed.clear();
    co_await unsettled_->changed.wait();
  }
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
