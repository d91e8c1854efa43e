// The rooms of a hub by their names, which room has which topic, and messages from one person to another.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "coax/bus/bus.hpp"
#include "services/chat/room.hpp"
#include "services/chat/session.hpp"

namespace coax::chat {

struct RoomsOptions {
  SubjectOptions history = {.records_max = 10'000, .bytes_max = 8_MiB};  // of each room
  std::size_t rooms_max = 1000;
};

// A room as it is listed.
struct RoomInfo {
  std::string name;
  std::string topic;
  std::size_t members = 0;
};

// Returns: the name as it is shown and compared (lower case), or why it is refused: it follows the rules of nicknames,
// and has no blanks and none of the characters / , [ ] #, except one # at its beginning, which is dropped.
std::expected<std::string, Refusal> check_room_name(BytesView name);

// Thread: any thread with a loop.
class Rooms {
 public:
  explicit Rooms(std::shared_ptr<Bus> bus, RoomsOptions options = {});
  Rooms(const Rooms&) = delete;
  Rooms& operator=(const Rooms&) = delete;
  ~Rooms();

  // Opens the lobby, and reads which rooms there are. Awaited once, before anything else.
  // Throws: Error of the bus.
  Task<> open();

  [[nodiscard]] Room& lobby() const noexcept { return *lobby_; }
  // Another one after a restart that has lost the history, and with it the sequence numbers; letters and digits.
  [[nodiscard]] std::string_view epoch() const noexcept;
  // The room of that name, which is made when it is missing. The name has passed check_room_name().
  // Throws: Error of the bus.
  // Lifetime: the room exists while it has members, and while somebody holds it.
  Task<std::expected<std::shared_ptr<Room>, Refusal>> find(std::string name);
  // Rooms with members or with a history, by their names.
  [[nodiscard]] std::vector<RoomInfo> list() const;
  [[nodiscard]] std::string topic_of(std::string_view room) const;
  // Returns: when it is kept.
  Task<Receipt> set_topic(Room& room, Speech speech);

  // To one person, and to the sender: sessions that are attached. It is not kept.
  Task<std::expected<Receipt, Refusal>> send_direct(Speech speech, std::string to);
  // Ends the session of this nickname, if it is that of the same person, whose connection may be dead without a sign.
  // Returns: whether there was one; it has left its rooms then.
  Task<bool> replace(std::string nick, std::uint64_t person);
  // Until the session ends. Thread: the session's loop.
  void attach(Session& session);

  // See Room::drain() and Room::close(): for all rooms.
  void drain();
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::shared_ptr<Room> lobby_;
};

}  // namespace coax::chat
