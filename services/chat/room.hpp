// A live room: the order of its events, and their delivery to the members. It decides, applies the event to its state,
// and publishes it, encoded once per wire, to the members' outboxes. It has no access to connections.
#pragma once

#include <array>
#include <expected>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "coax/bus/topic.hpp"
#include "services/chat/event.hpp"
#include "services/chat/refusal.hpp"
#include "services/chat/room_state.hpp"
#include "services/chat/wire.hpp"

namespace coax::chat {

class Room;

// One nickname in one room, from Room::join() until its destructor, which leaves the room. Several may share an outbox.
// Lifetime: shorter than the room and the outbox. Thread: the loop of the outbox.
class Member {
 public:
  Member(Room& room, std::string nick, Outbox& outbox);
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member();

  [[nodiscard]] Room& room() const noexcept { return room_; }
  [[nodiscard]] const std::string& nick() const noexcept { return nick_; }
  // To all members, the speaker included. The text has been checked.
  void say(std::string_view text);
  // Puts what the room has published until now into the outbox, so that the caller can push an answer after it.
  void catch_up() { subscription_->catch_up(); }
  // It sends no more messages, but still receives those accepted from others. See Room::drain().
  void retire();

 private:
  Room& room_;
  std::string nick_;
  std::optional<Subscription> subscription_;
  bool retired_ = false;
};

// Thread: any, unless it says otherwise.
class Room {
 public:
  explicit Room(std::string name) : name_(std::move(name)) {}
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  // The only way to change the state: applies the event, unless that was done before, and publishes it to the members.
  void apply(const Event& event);

  // Sets `member`, and pushes the welcome of its wire, then all events from its `joined` on, into the outbox. The
  // nickname must have passed check_nick(); it may be in use, or look like one that is.
  // Thread: the loop of the outbox.
  std::expected<void, Refusal> join(std::string nick, Outbox& outbox, std::optional<Member>& member);
  // Waits while the outbox of any member is behind: await it before Member::say(). See Topic::ready().
  [[nodiscard]] Topic::Publish ready() noexcept { return topic_.ready(); }

  // Shutdown: later joins are refused. When the last member has retired or left, the room closes: each outbox finishes
  // after everything that was accepted, if it is in no other open room.
  void drain();
  // The same without waiting for members that have not retired.
  void close();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] RoomState state() const;

 private:
  friend class Member;

  void say(const std::string& nick, std::string_view text);
  void leave(const std::string& nick, std::optional<Subscription>& subscription, bool was_retired);
  void retire_one();

  // Under the mutex.
  void append(Event event);
  void apply_locked(const Event& event);
  void close_if_drained();

  const std::string name_;
  mutable std::mutex mutex_;
  RoomState state_;
  std::size_t active_ = 0;  // members that have not retired
  bool draining_ = false;
  std::array<std::string, forms> encoded_;  // the event that is being published; kept for its memory
  Topic topic_{forms};
};

}  // namespace coax::chat
