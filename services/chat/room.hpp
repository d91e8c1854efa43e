// A live room: its members, and the delivery of its events to them. The bus makes the order: the room publishes an
// event, applies it to its state at its place, encodes it once per wire, and hands it to the members' outboxes. It has
// no access to connections.
#pragma once

#include <array>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/bus/bus.hpp"
#include "coax/bus/memory_bus.hpp"
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
  Member(Room& room, std::string nick, std::uint64_t id, Outbox& outbox);
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member();

  [[nodiscard]] Room& room() const noexcept { return room_; }
  [[nodiscard]] const std::string& nick() const noexcept { return nick_; }
  // To all members, the speaker included. The text has been checked.
  void say(std::string_view text);
  // Puts what the room has published until now into the outbox, so that the caller can push an answer after it.
  void catch_up() { subscription_->catch_up(); }
  // Returns: when all members read the new nickname, or why it is refused.
  Task<std::expected<void, Refusal>> rename(std::string nick);
  // It sends no more messages, but still receives those accepted from others. See Room::drain().
  void retire();

 private:
  Room& room_;
  std::string nick_;
  std::uint64_t id_;
  std::optional<Subscription> subscription_;
  bool retired_ = false;
};

// What a member does. The text has been checked.
struct Speech {
  std::string nick;
  std::string text;
  std::string id = {};       // of the client's making; empty: none
  std::uint64_t person = 0;  // see Event::person
};

// Thread: any, unless it says otherwise.
class Room {
 public:
  // sequence: the last one of the subject.
  explicit Room(std::string name, std::shared_ptr<Subject> subject = memory_subject(), std::uint64_t sequence = 0);
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  // Sets `member`, and pushes the welcome of its wire, then all events from its `joined` on, into the outbox. The
  // nickname must have passed check_nick(); it may be in use, or look like one that is.
  // is_replacement: the nickname is given up by a member whose `left` may still be on its way.
  // Throws: Error of the bus.
  // Cancelled: it has not joined.
  // Thread: the loop of the outbox.
  Task<std::expected<void, Refusal>> join(std::string nick, Outbox& outbox, std::optional<Member>& member,
                                          bool is_replacement = false);

  // A message to all members. done(outcome) is called on any thread, see Subject::post().
  // A message with an id that the same person has used is not sent a second time.
  void say(Speech speech, Subject::Done done = nullptr);
  // Replaces, or with an empty text deletes, a message of the same person.
  Task<std::expected<void, Refusal>> edit(Speech speech, std::uint64_t sequence);
  Task<Receipt> set_topic(Speech speech);
  // Waits while the outbox of any member is behind: await it before say(). See Topic::ready().
  [[nodiscard]] Topic::Publish ready() noexcept { return topic_.ready(); }

  // Kept events: messages as they are now, that they were edited or deleted, and topics.
  struct Page {
    std::vector<Event> events;
    // The sequence numbers that it covers, those of deleted messages included; 0: none.
    std::uint64_t from = 0;
    std::uint64_t until = 0;
    bool is_full = false;  // there may be more in the range
  };
  Task<Page> read(ReadRange range);
  Task<Page> search(std::string words, ReadRange range);
  Task<Subject::Extent> extent() { return subject_->extent(); }

  // Shutdown: later joins are refused. When the last member has retired or left, the room closes: each outbox finishes
  // after everything that was accepted, if it is in no other open room.
  void drain();
  // The same without waiting for members that have not retired.
  void close();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] RoomState state() const;
  // It has no members, and nothing was said in it since it was opened.
  [[nodiscard]] bool is_unused() const;
  // Returns: the member whom a reader would take for this nickname, or nothing.
  [[nodiscard]] std::optional<std::string> find(const std::string& nick) const;

 private:
  friend class Member;
  struct Joining;

  Task<Page> page_of(std::vector<Record> records, std::size_t count_max);
  Task<std::optional<Event>> find_message(std::uint64_t sequence);
  void consume(const Record& record);
  void leave(const std::string& nick, std::uint64_t id, std::optional<Subscription>& subscription, bool was_retired);
  void retire_one();

  // Under the mutex.
  void apply_locked(const Event& event);
  void close_if_drained();

  const std::string name_;
  const std::shared_ptr<Subject> subject_;
  mutable std::mutex mutex_;
  RoomState state_;
  std::size_t active_ = 0;  // members that have not retired
  bool draining_ = false;
  bool is_used_ = false;                       // it has a record that is kept
  std::map<std::uint64_t, Joining*> joining_;  // by the id of the membership
  std::array<std::string, forms> encoded_;     // the event that is being published; kept for its memory
  Topic topic_{forms};
  Consumption consumption_;  // ends before the rest
};

}  // namespace coax::chat
