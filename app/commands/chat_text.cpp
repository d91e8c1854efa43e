// The lines of a hub.
#include "app/commands/chat_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "app/commands/chat_wire.hpp"
#include "services/chat/line_command.hpp"

namespace coax::app {

namespace {

// The same colour for the same name, in every terminal; red is for errors.
std::string_view colour_of(std::string_view nick) {
  static constexpr std::array colours{"\x1b[32m", "\x1b[33m", "\x1b[34m", "\x1b[35m", "\x1b[36m",
                                      "\x1b[92m", "\x1b[93m", "\x1b[94m", "\x1b[95m", "\x1b[96m"};
  std::uint32_t hash = 0x811c9dc5;  // FNV-1a
  for (const char c : nick) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x01000193;
  return colours[hash % colours.size()];
}

// The text between `begin`, with which the message must begin, and `after`.
std::optional<std::string> between(std::string_view message, std::string_view begin, std::string_view after) {
  if (!message.starts_with(begin)) return std::nullopt;
  message.remove_prefix(begin.size());
  const std::size_t end = message.find(after);
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(message.substr(0, end));
}

}  // namespace

std::string coloured(std::string_view message) {
  constexpr std::string_view red = "\x1b[31m";
  constexpr std::string_view dim = "\x1b[2m";
  constexpr std::string_view plain = "\x1b[0m";
  if (is_error(message)) return fmt::format("{}{}{}", red, message, plain);
  const std::string_view text = without_room(message);
  const std::size_t colon = text.find(": ");
  if (colon == std::string_view::npos || message.starts_with("* ")) return fmt::format("{}{}{}", dim, message, plain);
  const std::string_view room = message.substr(0, message.size() - text.size());
  const std::string_view nick = text.substr(0, colon);
  return fmt::format("{}{}{}{}{}{}{}", dim, room, plain, colour_of(nick), nick, plain, text.substr(colon));
}

std::string_view without_room(std::string_view message) noexcept {
  const std::size_t end = message.starts_with('[') ? message.find("] ") : std::string_view::npos;
  return end == std::string_view::npos ? message : message.substr(end + 2);
}

bool is_command(std::string_view line) noexcept { return chat::meaning_of(line).is_command; }

std::string as_message(std::string text) {
  if (is_command(text) || text.starts_with("//")) text.insert(0, "/");
  return text;
}

void Whereabouts::enter(std::string room) {
  in_lobby_ = room == chat::lobby;
  if (in_lobby_) return;
  std::erase(rooms_, room);
  rooms_.push_back(std::move(room));
}

void Whereabouts::note(std::string_view message) {
  if (auto room = between(message, "* you talk in ", " now, ")) return enter(*std::move(room));
  if (const auto left = between(message, "* you left ", " and talk in ")) {
    std::erase(rooms_, *left);
    return enter(std::string(message.substr(message.rfind(' ') + 1)));
  }
  const std::string renamed = nick_ + " is now ";
  if (message.starts_with(renamed)) nick_ = message.substr(renamed.size());
}

std::vector<std::string> Whereabouts::commands() const {
  std::vector<std::string> commands;
  for (const std::string& room : rooms_) commands.push_back("/join " + room);
  if (in_lobby_ && !rooms_.empty()) commands.push_back(fmt::format("/join {}", chat::lobby));
  return commands;
}

}  // namespace coax::app
