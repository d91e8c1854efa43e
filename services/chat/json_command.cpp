// The requests, one function each.
#include "services/chat/json_command.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "services/chat/line_command.hpp"
#include "services/chat/message_text.hpp"
#include "services/chat/nickname.hpp"

namespace coax::chat {

namespace {

constexpr std::uint64_t history_events_max = 200;

using Result = std::expected<std::string, Refusal>;

std::unexpected<Refusal> refuse(std::string_view code, std::string text) {
  return std::unexpected(Refusal{code, std::move(text)});
}

std::unexpected<Refusal> not_a_member(const ClientMessage& request) {
  return refuse("not_in_room", fmt::format("you are not in {}; join it first", request.room));
}

Task<Result> join(Rooms& rooms, Session& session, ClientMessage request) {
  auto name = check_room_name(request.room);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const auto room = co_await rooms.find(*name);
  if (!room) co_return std::unexpected(room.error());
  if (session.members().size() > rooms_of_member_max) {  // the lobby is one more
    co_return refuse("too_many_rooms",
                     fmt::format("you are in {} rooms besides the lobby, which is the limit", rooms_of_member_max));
  }
  const auto joined = co_await session.join(**room, std::string(session.nick()));
  if (!joined) co_return std::unexpected(joined.error());
  request.room = *name;
  co_return users_json(request, (*room)->state(), rooms.topic_of(*name), rooms.epoch());
}

Task<Result> history(Rooms& rooms, Room& room, ClientMessage request) {
  const bool is_search = request.type == ClientMessage::Type::search;
  ReadRange range{.after = request.after.value_or(0),
                  .before = request.before,
                  .count_max = static_cast<std::size_t>(std::min(request.limit, history_events_max)),
                  .newest = !request.after};
  const Room::Page page = is_search ? co_await room.search(request.argument, range) : co_await room.read(range);
  const Subject::Extent extent = co_await room.extent();
  co_return history_json(request, is_search ? "found" : "history", page, extent, rooms.epoch());
}

Task<Result> change(Rooms& rooms, Session& session, Room& room, std::uint64_t person, ClientMessage request) {
  const bool deletes = request.type == ClientMessage::Type::remove;
  const bool is_topic = request.type == ClientMessage::Type::topic;
  if (!deletes && !(is_topic && request.argument.empty())) {
    if (auto refusal = check_text(request.argument)) co_return std::unexpected(*std::move(refusal));
  }
  Speech speech{.nick = std::string(session.nick()), .text = deletes ? "" : request.argument, .person = person};
  if (is_topic) {
    if (request.argument.size() > topic_bytes_max) {
      co_return refuse("text_too_long", fmt::format("a topic has at most {} bytes", topic_bytes_max));
    }
    co_return ack_json(request, co_await rooms.set_topic(room, std::move(speech)));
  }
  if (request.seq == 0) co_return refuse("bad_message", "it has no seq");
  auto edited = co_await room.edit(std::move(speech), request.seq);
  if (!edited) co_return std::unexpected(std::move(edited.error()));
  co_return done_json(request);
}

Task<Result> send_direct(Rooms& rooms, Session& session, ClientMessage request) {
  if (auto refusal = check_text(request.argument)) co_return std::unexpected(*std::move(refusal));
  const auto to = check_nick(request.to);
  if (!to) co_return refuse("no_such_person", "its `to` is no nickname");
  auto sent = co_await rooms.send_direct(
      {.nick = std::string(session.nick()), .text = request.argument, .id = request.id}, *to);
  if (!sent) co_return std::unexpected(std::move(sent.error()));
  co_return ack_json(request, *sent);
}

Task<Result> rename(Session& session, ClientMessage request) {
  auto nick = check_nick(request.argument);
  if (!nick) co_return std::unexpected(std::move(nick.error()));
  auto renamed = co_await session.rename(*std::move(nick));
  if (!renamed) co_return std::unexpected(std::move(renamed.error()));
  co_return done_json(request);
}

}  // namespace

Room* room_of(Rooms& rooms, Session& session, const ClientMessage& request) {
  if (request.room.empty()) return &rooms.lobby();
  const auto name = check_room_name(request.room);
  if (!name) return nullptr;
  for (const auto& member : session.members()) {
    if (member->room().name() == *name) return &member->room();
  }
  return nullptr;
}

Task<Result> run_request(Rooms& rooms, Session& session, std::uint64_t person, ClientMessage request) {
  using Type = ClientMessage::Type;
  if (auto name = check_room_name(request.room)) request.room = *std::move(name);  // as it is shown
  switch (request.type) {
    case Type::join: co_return co_await join(rooms, session, std::move(request));
    case Type::rooms: co_return rooms_json(request, rooms.list());
    case Type::direct: co_return co_await send_direct(rooms, session, std::move(request));
    case Type::nick: co_return co_await rename(session, std::move(request));
    default: break;
  }
  Room* const room = room_of(rooms, session, request);
  if (room == nullptr) co_return not_a_member(request);
  switch (request.type) {
    case Type::leave:
      if (room == &rooms.lobby()) co_return refuse("bad_message", "the lobby is left by closing the connection");
      session.leave(*room);
      co_return done_json(request);
    case Type::users: co_return users_json(request, room->state(), rooms.topic_of(room->name()));
    case Type::history:
    case Type::search: co_return co_await history(rooms, *room, std::move(request));
    default: co_return co_await change(rooms, session, *room, person, std::move(request));
  }
}

}  // namespace coax::chat
