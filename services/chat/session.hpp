// One connection's part in the chat: its outbox, and its membership in any number of rooms. They share the outbox, so
// that each room's events arrive in their order; between rooms there is none.
#pragma once

#include <expected>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/bus/outbox.hpp"
#include "coax/task/future.hpp"
#include "services/chat/room.hpp"

namespace coax::chat {

constexpr int nick_tries = 2;

// The destructor leaves all rooms.
// Lifetime: shorter than the rooms. Thread: belongs to the loop that made it.
class Session : public ListHook {
 public:
  explicit Session(OutboxOptions options) noexcept : outbox_(options) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // See Room::join(). Also refused: a room that it is in already.
  Task<std::expected<void, Refusal>> join(Room& room, std::string nick, bool is_replacement = false);
  void leave(const Room& room);
  void leave_all() noexcept { members_.clear(); }
  // Returns: its membership, or nullptr.
  [[nodiscard]] Member* member_of(const Room& room) noexcept;
  [[nodiscard]] const std::list<std::optional<Member>>& members() const noexcept { return members_; }
  // Makes it one that the same person may replace, see Rooms::replace(). `end`: ends the session soon.
  void set_owner(std::uint64_t person, std::move_only_function<void()> end);
  // Ends it, if it is that of the person. Returns: whether it is; then the promise is kept when it has left all rooms.
  bool end_for(std::uint64_t person, Promise<bool>& ended);
  // In all rooms. Returns: why it is refused: then some rooms may have it already.
  Task<std::expected<void, Refusal>> rename(std::string nick);
  // Of the room that it joined first; empty when it is in none.
  [[nodiscard]] std::string_view nick() const noexcept;

  // Sends a message to a room that it is in. Calls on_done(outcome) on this loop, in the order of the messages, unless
  // the session has ended.
  void say(Member& member, Speech speech, Subject::Done on_done);
  // Waits until fewer than `bytes` of messages are without an outcome; each counts for 128 more than its text.
  Task<> until_unsettled_below(std::size_t bytes);
  static constexpr std::size_t unsettled_bytes_max = 128_KiB;

  // Counts a message against what the session may send without a wait, in all rooms together: 4 KiB in two seconds.
  // Returns: false when it must await Room::ready() before Member::say().
  [[nodiscard]] bool consume_budget(std::size_t bytes) noexcept;
  // Sends bytes, encoded for its wire, to this session alone, after everything that its rooms have published so far.
  void reply(std::string encoded);
  // Retires all memberships: see Member::retire().
  void retire();

  [[nodiscard]] Outbox& outbox() noexcept { return outbox_; }

 private:
  struct Unsettled;
  struct Owner {
    std::uint64_t person;
    std::move_only_function<void()> end;
    std::vector<Promise<bool>> ended;
  };

  Outbox outbox_;
  std::list<std::optional<Member>> members_;  // each has a value
  std::shared_ptr<Unsettled> unsettled_;      // once the bus has not answered at once
  std::unique_ptr<Owner> owner_;
  TimePoint budget_empty_at_;  // the budget is the time since then, at most the refill time
};

}  // namespace coax::chat
