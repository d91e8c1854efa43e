// The rooms. Which ones exist, and their topics, are records of the subject "rooms": each replaces the one before of
// the same room. Direct messages are records of the subject "direct", and every session looks whether it is meant.
#include "services/chat/rooms.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "services/chat/event_record.hpp"
#include "services/chat/identity.hpp"

namespace coax::chat {

namespace {

constexpr std::string_view room_prefix = "room/";

std::string described(std::string_view name, std::string_view topic) {
  return boost::json::serialize(
      boost::json::object{{"room", boost::json::string_view(name)}, {"topic", boost::json::string_view(topic)}});
}

}  // namespace

std::expected<std::string, Refusal> check_room_name(BytesView name) {
  std::string_view text = trim(name);
  if (text.starts_with('#')) text.remove_prefix(1);
  const auto refuse = [](std::string_view why) {
    return std::unexpected(Refusal{"room_invalid", "that is no name of a room: " + std::string(why)});
  };
  if (text.empty()) return refuse("it is empty");
  if (text.find_first_of(" /,[]#\t") != std::string_view::npos) return refuse("it has a blank or one of / , [ ] #");
  const auto checked = check_nick(text);
  if (!checked)
    return refuse(
        "as a nickname, it has at most 32 characters, no colon, and not all characters; some names are reserved");
  return fold_case(*checked);
}

struct Rooms::State {
  struct Known {
    std::shared_ptr<Room> room = {};  // once somebody has joined it
    std::string topic = {};
    std::uint64_t described_in = 0;  // the record that has its topic; 0: none
    bool has_history = false;        // of before the start
  };
  // The sessions of one loop.
  struct Part {
    explicit Part(Loop& loop) : home(loop) {}
    LoopLink home;
    List<Session> sessions;
  };

  std::shared_ptr<Bus> bus;
  RoomsOptions options;
  std::shared_ptr<Subject> directory;
  std::shared_ptr<Subject> direct;
  mutable std::mutex mutex;
  std::map<std::string, Known, std::less<>> rooms;
  std::map<Loop*, std::shared_ptr<Part>> parts;
  std::string epoch = {};
  bool draining = false;
  std::vector<Consumption> consumptions = {};  // ends before the rest

  void describe(const Record& record);
  void deliver(const Record& record);
  // Under the mutex: rooms that are of no use any more.
  void drop_unused();
};

void Rooms::State::describe(const Record& record) {
  boost::json::error_code failure;
  const boost::json::value value = boost::json::parse(record.body, failure);
  if (failure || !value.is_object()) return;
  const auto* const name = value.get_object().if_contains("room");
  const auto* const topic = value.get_object().if_contains("topic");
  if (name == nullptr || topic == nullptr || !name->is_string() || !topic->is_string()) return;
  const std::scoped_lock lock(mutex);
  Known& known = rooms[std::string(name->get_string())];
  known.topic = topic->get_string();
  known.described_in = record.sequence;
}

void Rooms::State::deliver(const Record& record) {
  const auto event = event_of(record);
  if (!event || event->kind != EventKind::direct) return;
  auto encoded = std::make_shared<std::array<std::string, forms>>();
  for (std::size_t form = 0; form < forms; ++form) wires[form].append_event((*encoded)[form], chat::lobby, *event);
  const std::scoped_lock lock(mutex);
  for (const auto& [loop, part] : parts) {
    part->home.post([part, encoded, from = event->nick, to = event->to] {
      part->sessions.for_each([&](Session& session) {
        if (session.nick() == from || session.nick() == to) session.reply((*encoded)[session.outbox().form()]);
      });
    });
  }
}

void Rooms::State::drop_unused() {
  std::erase_if(rooms, [](const auto& entry) {
    const Known& known = entry.second;
    return known.described_in == 0 && !known.has_history &&
           (!known.room || (known.room.use_count() == 1 && known.room->is_unused()));
  });
}

Rooms::Rooms(std::shared_ptr<Bus> bus, RoomsOptions options) : state_(std::make_unique<State>()) {
  state_->bus = std::move(bus);
  state_->options = options;
  state_->epoch = options.history.durability == Durability::memory ? fmt::format("{:016x}", new_id()) : "kept";
}

Rooms::~Rooms() = default;

std::string_view Rooms::epoch() const noexcept { return state_->epoch; }

Task<> Rooms::open() {
  State& state = *state_;
  const SubjectOptions for_hub{
      .durability = state.options.history.durability, .records_max = 1'000'000, .bytes_max = 256_MiB};
  state.directory = co_await state.bus->open("rooms", for_hub);
  state.consumptions.push_back(
      co_await state.directory->consume(0, [&state](const Record& record) { state.describe(record); }));
  for (const std::string& name : co_await state.bus->names()) {
    if (name.starts_with(room_prefix)) state.rooms[name.substr(room_prefix.size())].has_history = true;
  }
  state.direct = co_await state.bus->open("direct", for_hub);
  state.consumptions.push_back(state.direct->listen([&state](const Record& record) { state.deliver(record); }));
  lobby_ = *co_await find(std::string(chat::lobby));
}

Task<std::expected<std::shared_ptr<Room>, Refusal>> Rooms::find(std::string name) {
  State& state = *state_;
  {
    const std::scoped_lock lock(state.mutex);
    if (const auto found = state.rooms.find(name); found != state.rooms.end() && found->second.room) {
      co_return found->second.room;
    }
    if (!state.rooms.contains(name) && state.rooms.size() >= state.options.rooms_max) state.drop_unused();
    if (!state.rooms.contains(name) && state.rooms.size() >= state.options.rooms_max) {
      co_return std::unexpected(Refusal{"too_many_rooms", "the hub has as many rooms as it may"});
    }
    state.rooms.try_emplace(name);
  }
  auto subject = co_await state.bus->open(std::string(room_prefix) + name, state.options.history);
  const Subject::Extent extent = co_await subject->extent();
  const std::scoped_lock lock(state.mutex);
  State::Known& known = state.rooms[name];  // another task may have opened it meanwhile
  if (!known.room) {
    known.room = std::make_shared<Room>(name, std::move(subject), extent.last);
    if (state.draining) known.room->drain();
  }
  co_return known.room;
}

std::vector<RoomInfo> Rooms::list() const {
  const std::scoped_lock lock(state_->mutex);
  std::vector<RoomInfo> rooms;
  for (const auto& [name, known] : state_->rooms) {
    const std::size_t members = known.room ? known.room->size() : 0;
    if (members == 0 && known.described_in == 0 && !known.has_history && known.room && known.room->is_unused())
      continue;
    rooms.push_back({.name = name, .topic = known.topic, .members = members});
  }
  return rooms;
}

std::string Rooms::topic_of(std::string_view room) const {
  const std::scoped_lock lock(state_->mutex);
  const auto found = state_->rooms.find(room);
  return found != state_->rooms.end() ? found->second.topic : std::string();
}

Task<Receipt> Rooms::set_topic(Room& room, Speech speech) {
  Publication publication{.body = described(room.name(), speech.text)};
  {
    const std::scoped_lock lock(state_->mutex);
    const std::uint64_t before = state_->rooms[room.name()].described_in;
    if (before != 0) publication.revision = Revision{.sequence = before, .body = {}};
  }
  co_await state_->directory->publish(std::move(publication));
  co_return co_await room.set_topic(std::move(speech));
}

Task<std::expected<Receipt, Refusal>> Rooms::send_direct(Speech speech, std::string to) {
  const auto person = lobby_->find(to);
  if (!person) {
    co_return std::unexpected(Refusal{"no_such_person", "there is no " + to + " here"});
  }
  const Event event{.kind = EventKind::direct,
                    .nick = std::move(speech.nick),
                    .text = std::move(speech.text),
                    .to = *person,
                    .id = std::move(speech.id)};
  co_return co_await state_->direct->publish({.body = body_of(event), .transient = true});
}

Task<bool> Rooms::replace(std::string nick, std::uint64_t person) {
  std::vector<Future<bool>> ended;
  {
    const std::scoped_lock lock(state_->mutex);
    for (const auto& [loop, part] : state_->parts) {
      Promise<bool> promise;
      ended.push_back(promise.future());
      part->home.post([part, nick, person, promise = std::move(promise)]() mutable {
        bool found = false;
        part->sessions.for_each([&](Session& session) {
          if (!found && session.nick() == nick) found = session.end_for(person, promise);
        });
        if (!found) promise.set(false);
      });
    }
  }
  bool found = false;
  for (const Future<bool>& each : ended) {
    const bool is_it = co_await each;
    found = found || is_it;
  }
  co_return found;
}

void Rooms::attach(Session& session) {
  const std::scoped_lock lock(state_->mutex);
  auto& part = state_->parts[&Loop::current()];
  if (!part) part = std::make_shared<State::Part>(Loop::current());
  part->sessions.push_back(session);
}

void Rooms::drain() {
  const std::scoped_lock lock(state_->mutex);
  state_->draining = true;
  for (const auto& [name, known] : state_->rooms) {
    if (known.room) known.room->drain();
  }
}

void Rooms::close() {
  const std::scoped_lock lock(state_->mutex);
  for (const auto& [name, known] : state_->rooms) {
    if (known.room) known.room->close();
  }
}

}  // namespace coax::chat
