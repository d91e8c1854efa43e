// Events as JSON, and back.
#include "services/chat/event_record.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <iterator>
#include <string_view>
#include <utility>

namespace coax::chat {

namespace {

constexpr std::array<std::pair<EventKind, std::string_view>, 8> kinds = {{
    {EventKind::joined, "joined"},
    {EventKind::said, "said"},
    {EventKind::left, "left"},
    {EventKind::edited, "edited"},
    {EventKind::deleted, "deleted"},
    {EventKind::topic, "topic"},
    {EventKind::renamed, "renamed"},
    {EventKind::direct, "direct"},
}};

}  // namespace

std::string body_of(const Event& event) {
  std::string body;
  body.reserve(64 + event.nick.size() + event.text.size());
  const auto add_text = [&](std::string_view name, const std::string& text) {
    if (text.empty()) return;
    fmt::format_to(std::back_inserter(body), R"(,"{}":{})", name,
                   boost::json::serialize(boost::json::string_view(text)));
  };
  fmt::format_to(std::back_inserter(body), R"({{"kind":"{}")", kinds.at(static_cast<std::size_t>(event.kind)).second);
  add_text("nick", event.nick);
  add_text("text", event.text);
  add_text("to", event.to);
  add_text("id", event.id);
  if (event.target != 0) fmt::format_to(std::back_inserter(body), R"(,"target":{})", event.target);
  if (event.member != 0) fmt::format_to(std::back_inserter(body), R"(,"member":"{:016x}")", event.member);
  if (event.person != 0) fmt::format_to(std::back_inserter(body), R"(,"person":"{:016x}")", event.person);
  if (event.is_edited) body.append(R"(,"edited":true)");
  body.append("}");
  return body;
}

std::optional<Event> event_of(const Record& record) {
  boost::json::error_code failure;
  const boost::json::value value = boost::json::parse(record.body, failure);
  if (failure || !value.is_object()) return std::nullopt;
  const boost::json::object& members = value.get_object();
  const auto text = [&](std::string_view name) -> std::string_view {
    const auto* const member = members.if_contains(name);
    const auto* const found = member != nullptr ? member->if_string() : nullptr;
    return found != nullptr ? std::string_view(*found) : std::string_view();
  };
  Event event{.sequence = record.sequence, .time = record.time};
  const std::string_view kind = text("kind");
  const auto* const known = std::ranges::find(kinds, kind, &std::pair<EventKind, std::string_view>::second);
  if (known == kinds.end()) return std::nullopt;
  event.kind = known->first;
  event.nick = text("nick");
  event.text = text("text");
  event.to = text("to");
  event.id = text("id");
  if (const auto* const target = members.if_contains("target"); target != nullptr && target->is_number()) {
    boost::json::error_code not_whole;
    event.target = target->to_number<std::uint64_t>(not_whole);
  }
  const auto read_hex = [&](std::string_view name, std::uint64_t& number) {
    const std::string_view digits = text(name);
    std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  };
  read_hex("member", event.member);
  read_hex("person", event.person);
  event.is_edited = members.contains("edited");
  return event;
}

}  // namespace coax::chat
