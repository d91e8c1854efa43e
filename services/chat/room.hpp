// The chat's room: who is here, what was said, and the one order of both. It knows nothing of connections: what it has
// to tell goes into outboxes, in the wire form that each outbox names. docs/protocols.md has the forms.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "coax/bus/topic.hpp"
#include "services/chat/nickname.hpp"
#include "services/chat/refusal.hpp"

namespace coax::chat {

enum Form : std::size_t { line, websocket, forms };

constexpr std::size_t text_bytes_max = 4096;

// UTF-8, 1 to 4096 bytes, no control characters.
std::optional<Refusal> check_text(Bytes text);

class Room;

// Somebody in the room, from join() until it is destroyed. Belongs to the loop of its outbox.
class Member {
 public:
  Member(Room& room, std::string nick, Outbox& outbox);
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member();

  [[nodiscard]] const std::string& nick() const noexcept { return nick_; }
  // False for a member that has said more than a little of late: it must await ready() before say().
  [[nodiscard]] bool may_say_now(std::size_t bytes) noexcept;
  // Waits while any member is behind in reading.
  [[nodiscard]] Topic::Publish ready() noexcept;
  // To all members, the speaker included. The text has been checked.
  void say(std::string_view text);
  // To this one alone, after all that was said so far; encoded for its wire.
  void tell(std::string encoded);
  // It will say no more, and only stays to read what has been accepted from others. See Room::drain().
  void retire();

 private:
  friend class Room;
  Room& room_;
  std::string nick_;
  Outbox& outbox_;
  std::optional<Subscription> subscription_;
  TimePoint allowance_from_;  // what it may say without a wait has grown since then
  bool retired_ = false;
};

// Any thread, unless it says otherwise.
class Room {
 public:
  explicit Room(std::string name) : name_(std::move(name)) {}
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  // On the loop of the outbox. The nickname has been checked; it may be taken, or look like one that is. Puts the
  // welcome, for the forms that have one, and then everything from `joined` on into the outbox.
  std::expected<void, Refusal> join(std::string nick, Outbox& outbox, std::optional<Member>& member);

  // The hub shuts down: nobody joins any more, and as soon as the last member has retired or left, all outboxes are
  // finished, each after everything that was accepted from anybody.
  void drain();
  // The same without waiting for those who have not retired.
  void close();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::size_t size() const;

 private:
  friend class Member;

  // All under the mutex.
  std::string welcome(std::string_view nick) const;
  void publish(std::string_view type, std::string_view line, std::string_view json_members);
  void close_when_quiet();

  void say(const Member& member, std::string_view text);
  void leave(Member& member);
  void retire(Member& member);

  const std::string name_;
  mutable std::mutex mutex_;
  std::set<std::string> present_;             // nicknames
  std::map<std::string, std::string> looks_;  // their nick_keys(), and whose each is
  std::uint64_t sequence_ = 0;
  std::size_t talking_ = 0;  // members that have not retired
  bool draining_ = false;
  Topic topic_{forms};
};

}  // namespace coax::chat
