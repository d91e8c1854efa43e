// The WebSocket's encoding.
#include "services/chat/json_wire.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <iterator>
#include <set>
#include <utility>

#include "coax/base/text.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/websocket.hpp"

namespace coax::chat {

namespace {

constexpr std::size_t ref_bytes_max = 256;

std::string quoted(std::string_view text) { return boost::json::serialize(boost::json::string_view(text)); }

struct RequestKind {
  std::string_view name;
  ClientMessage::Type type;
  std::string_view argument;  // the member that it needs; empty: none
};

constexpr std::array<RequestKind, 12> request_kinds = {{
    {"join", ClientMessage::Type::join, "nick"},
    {"message", ClientMessage::Type::message, "text"},
    {"leave", ClientMessage::Type::leave, ""},
    {"edit", ClientMessage::Type::edit, "text"},
    {"delete", ClientMessage::Type::remove, ""},
    {"topic", ClientMessage::Type::topic, "text"},
    {"nick", ClientMessage::Type::nick, "nick"},
    {"direct", ClientMessage::Type::direct, "text"},
    {"history", ClientMessage::Type::history, ""},
    {"search", ClientMessage::Type::search, "words"},
    {"rooms", ClientMessage::Type::rooms, ""},
    {"users", ClientMessage::Type::users, ""},
}};

std::string_view type_of(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::joined: return "joined";
    case EventKind::said: return "message";
    case EventKind::left: return "left";
    case EventKind::edited: return "edited";
    case EventKind::deleted: return "deleted";
    case EventKind::topic: return "topic";
    case EventKind::renamed: return "renamed";
    case EventKind::direct: return "direct";
  }
  return "";
}

}  // namespace

std::expected<ClientMessage, Refusal> parse_client_message(BytesView json) {
  const auto refuse = [](std::string_view text) { return std::unexpected(Refusal{"bad_message", std::string(text)}); };
  boost::json::error_code failure;
  const auto value = boost::json::parse({json.data(), json.size()}, failure);
  if (failure || !value.is_object()) return refuse("that is not a JSON object");
  const boost::json::object& members = value.get_object();
  const auto text = [&](std::string_view name) -> const boost::json::string* {
    const auto* member = members.if_contains(name);
    return member != nullptr ? member->if_string() : nullptr;
  };
  const auto* name = text("type");
  if (name == nullptr) return refuse("it has no type");
  const auto* const kind = std::ranges::find(request_kinds, std::string_view(*name), &RequestKind::name);
  if (kind == request_kinds.end()) return refuse("its type is unknown");
  ClientMessage message{.type = kind->type};
  if (!kind->argument.empty()) {
    const auto* argument = text(kind->argument);
    if (argument != nullptr) {
      message.argument = std::string_view(*argument);
    } else if (kind->type != ClientMessage::Type::join || !members.contains("room")) {
      return refuse("it has no " + std::string(kind->argument));
    }
  }
  const auto take_text = [&](std::string_view from, std::string& to) {
    const auto* const given = members.if_contains(from);
    if (given == nullptr) return true;
    if (!given->is_string() || given->get_string().size() > 256) return false;
    to = std::string_view(given->get_string());
    return true;
  };
  const auto take_number = [&](std::string_view from, std::uint64_t& to) {
    const auto* const given = members.if_contains(from);
    if (given == nullptr) return true;
    boost::json::error_code not_whole;
    const auto number = given->to_number<std::int64_t>(not_whole);
    if (not_whole || number < 0) return false;
    to = static_cast<std::uint64_t>(number);
    return true;
  };
  for (const auto& [from, to] : {std::pair("room", &message.room), std::pair("id", &message.id),
                                 std::pair("to", &message.to), std::pair("token", &message.token)}) {
    if (!take_text(from, *to)) return refuse(fmt::format("its {} is not a string of at most 256 bytes", from));
  }
  std::uint64_t after = 0;
  for (const auto& [from, to] :
       {std::pair("version", &message.version), std::pair("seq", &message.seq), std::pair("after", &after),
        std::pair("before", &message.before), std::pair("limit", &message.limit)}) {
    if (!take_number(from, *to)) return refuse(fmt::format("its {} is not a whole number from 0 to 2^63 - 1", from));
  }
  if (members.contains("after")) message.after = after;
  if (has_control(message.id)) return refuse("its id has control characters");
  if (const auto* const ref = members.if_contains("ref")) {
    message.ref = boost::json::serialize(*ref);
    if (message.ref.size() > ref_bytes_max) return refuse("its ref has more than 256 bytes");
  }
  return message;
}

ClientMessage reference_of(BytesView json) {
  ClientMessage message;
  boost::json::error_code failure;
  const auto value = boost::json::parse({json.data(), json.size()}, failure);
  const auto* const members = failure ? nullptr : value.if_object();
  const auto* const ref = members != nullptr ? members->if_contains("ref") : nullptr;
  if (ref != nullptr) message.ref = boost::json::serialize(*ref);
  if (message.ref.size() > ref_bytes_max) message.ref.clear();
  return message;
}

void append_event_json(std::string& out, std::string_view room, const Event& event) {
  fmt::format_to(std::back_inserter(out), R"({{"type":"{}")", type_of(event.kind));
  // The numbers of direct messages are those of no room.
  if (event.kind != EventKind::direct) fmt::format_to(std::back_inserter(out), R"(,"seq":{})", event.sequence);
  fmt::format_to(std::back_inserter(out), R"(,"time":"{}","nick":{})", format_time(event.time), quoted(event.nick));
  const auto add = [&](std::string_view name, std::string_view text) {
    out.append(",\"").append(name).append("\":").append(quoted(text));
  };
  switch (event.kind) {
    case EventKind::joined:
    case EventKind::left:
    case EventKind::deleted: break;
    case EventKind::said:
    case EventKind::edited:
    case EventKind::topic: add("text", event.text); break;
    case EventKind::renamed: add("to", event.text); break;
    case EventKind::direct:
      add("to", event.to);
      add("text", event.text);
      break;
  }
  if (room != lobby) add("room", room);
  if (!event.id.empty()) add("id", event.id);
  if (event.target != 0) fmt::format_to(std::back_inserter(out), R"(,"target":{})", event.target);
  if (event.is_edited) out.append(R"(,"edited":true)");
  out.append("}");
}

void append_json_event(std::string& out, std::string_view room, const Event& event) {
  std::string json;
  json.reserve(128 + event.nick.size() + event.text.size());
  append_event_json(json, room, event);
  ws::append_frame(out, ws::Opcode::text, json);
}

void append_json_welcome(std::string& out, const Welcome& welcome) {
  std::set<std::string_view> nicks{welcome.nick};
  for (const auto& [nick, member] : welcome.before.members()) nicks.insert(nicks.end(), nick);
  boost::json::array users;
  for (const std::string_view nick : nicks) users.emplace_back(boost::json::string_view(nick));
  const std::string json = boost::json::serialize(boost::json::object{{"type", "welcome"},
                                                                      {"room", boost::json::string_view(welcome.room)},
                                                                      {"nick", boost::json::string_view(welcome.nick)},
                                                                      {"seq", welcome.before.sequence()},
                                                                      {"users", std::move(users)}});
  ws::append_frame(out, ws::Opcode::text, json);
}

std::string text_frame(std::string_view json) {
  std::string frame;
  ws::append_frame(frame, ws::Opcode::text, json);
  return frame;
}

namespace {

// Begins an answer: {"type":"ack","ref":7,"room":"dev"
std::string answer(std::string_view type, const ClientMessage& request) {
  std::string json = fmt::format(R"({{"type":"{}")", type);
  if (!request.ref.empty()) json.append(",\"ref\":").append(request.ref);
  if (!request.room.empty() && request.room != lobby) json.append(",\"room\":").append(quoted(request.room));
  if (!request.id.empty()) json.append(",\"id\":").append(quoted(request.id));
  return json;
}

}  // namespace

std::string error_json(const Refusal& refusal, const ClientMessage& request) {
  return answer("error", request) +
         fmt::format(R"(,"code":{},"message":{}}})", quoted(refusal.code), quoted(refusal.text));
}

std::string done_json(const ClientMessage& request) { return answer("done", request) + "}"; }

std::string ack_json(const ClientMessage& request, const Receipt& receipt) {
  return answer("ack", request) + fmt::format(R"(,"seq":{},"time":"{}"{}}})", receipt.sequence,
                                              format_time(receipt.time),
                                              receipt.is_duplicate ? R"(,"duplicate":true)" : "");
}

std::string history_json(const ClientMessage& request, std::string_view type, const Room::Page& page,
                         const Subject::Extent& extent, std::string_view epoch) {
  std::string json = answer(type, request) +
                     fmt::format(R"(,"epoch":"{}","first":{},"last":{},"events":[)", epoch, extent.first, extent.last);
  for (const Event& event : page.events) {
    if (json.back() != '[') json.push_back(',');
    append_event_json(json, request.room.empty() ? lobby : std::string_view(request.room), event);
  }
  json.append("]");
  if (page.is_full) json += fmt::format(R"(,"from":{},"until":{},"more":true)", page.from, page.until);
  return json + "}";
}

std::string rooms_json(const ClientMessage& request, const std::vector<RoomInfo>& rooms) {
  std::string json = answer("rooms", request) + R"(,"rooms":[)";
  for (const RoomInfo& room : rooms) {
    if (json.back() != '[') json.push_back(',');
    json +=
        fmt::format(R"({{"room":{},"members":{},"topic":{}}})", quoted(room.name), room.members, quoted(room.topic));
  }
  return json + "]}";
}

std::string users_json(const ClientMessage& request, const RoomState& state, std::string_view topic,
                       std::string_view epoch) {
  std::string json = answer("users", request);
  if (!epoch.empty()) json += fmt::format(R"(,"epoch":"{}")", epoch);
  json += fmt::format(R"(,"topic":{},"users":[)", quoted(topic));
  for (const auto& [nick, member] : state.members()) {
    if (json.back() != '[') json.push_back(',');
    json += quoted(nick);
  }
  return json + "]}";
}

}  // namespace coax::chat
