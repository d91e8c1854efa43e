// The WebSocket's encoding.
#include "services/chat/json_wire.hpp"

#include <fmt/core.h>

#include <boost/json.hpp>
#include <iterator>
#include <set>

#include "coax/base/units.hpp"
#include "coax/codec/websocket.hpp"

namespace coax::chat {

namespace {

std::string quoted(std::string_view text) { return boost::json::serialize(boost::json::string_view(text)); }

std::string_view type_of(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::joined: return "joined";
    case EventKind::said: return "message";
    case EventKind::left: return "left";
  }
  return "";
}

}  // namespace

std::expected<ClientMessage, Refusal> parse_client_message(BytesView json) {
  const auto refuse = [](std::string_view text) { return std::unexpected(Refusal{"bad_message", std::string(text)}); };
  boost::json::error_code failure;
  const auto value = boost::json::parse({json.data(), json.size()}, failure);
  if (failure || !value.is_object()) return refuse("that is not a JSON object");
  const auto text = [&](const char* name) -> const boost::json::string* {
    const auto* member = value.get_object().if_contains(name);
    return member != nullptr ? member->if_string() : nullptr;
  };
  const auto* type = text("type");
  if (type == nullptr) return refuse("it has no type");
  const bool joins = *type == "join";
  if (!joins && *type != "message") return refuse("its type is neither join nor message");
  const auto* argument = text(joins ? "nick" : "text");
  if (argument == nullptr) return refuse(joins ? "it has no nick" : "it has no text");
  return ClientMessage{joins ? ClientMessage::Type::join : ClientMessage::Type::message, std::string(*argument)};
}

void append_json_event(std::string& out, const Event& event) {
  std::string json;
  json.reserve(128 + event.nick.size() + event.text.size());
  fmt::format_to(std::back_inserter(json), R"({{"type":"{}","seq":{},"time":"{}","nick":{})", type_of(event.kind),
                 event.sequence, format_time(event.time), quoted(event.nick));
  if (event.kind == EventKind::said) json.append(R"(,"text":)").append(quoted(event.text));
  json.append("}");
  ws::append_frame(out, ws::Opcode::text, json);
}

void append_json_welcome(std::string& out, const Welcome& welcome) {
  std::set<std::string_view> nicks{welcome.nick};
  for (const std::string& nick : welcome.before.members()) nicks.insert(nicks.end(), nick);
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

std::string error_json(const Refusal& refusal) {
  return boost::json::serialize(
      boost::json::object{{"type", "error"}, {"code", refusal.code}, {"message", refusal.text}});
}

}  // namespace coax::chat
