// The commands, by their names in a table.
#include "services/chat/line_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "coax/base/text.hpp"
#include "coax/base/units.hpp"
#include "services/chat/line_wire.hpp"
#include "services/chat/message_text.hpp"
#include "services/chat/nickname.hpp"

namespace coax::chat {

namespace {

constexpr std::size_t listed_max = 200;
constexpr std::size_t history_lines = 20;

struct Caller {
  Rooms& rooms;
  Session& session;
  Room*& current;

  [[nodiscard]] std::string nick() const { return std::string(session.nick()); }
};

using Answer = Task<std::string>;

std::string answer_line(std::string_view text) { return fmt::format("* {}\n", text); }

std::string in_room(const Caller& caller, const Room& room) {
  const std::string topic = caller.rooms.topic_of(room.name());
  return answer_line(fmt::format("you talk in {} now, {} here{}{}", room.name(), room.size(),
                                 topic.empty() ? "" : "; topic: ", topic));
}

Answer join(Caller caller, std::string argument) {
  const auto name = check_room_name(argument);
  if (!name) co_return error_line(name.error().text);
  const auto room = co_await caller.rooms.find(*name);
  if (!room) co_return error_line(room.error().text);
  if (caller.session.member_of(**room) == nullptr) {
    if (caller.session.members().size() > rooms_of_member_max) {  // the lobby is one more
      co_return error_line(
          fmt::format("you are in {} rooms besides the lobby, which is the limit; /leave one", rooms_of_member_max));
    }
    const auto joined = co_await caller.session.join(**room, caller.nick());
    if (!joined) co_return error_line(joined.error().text);
  }
  caller.current = room->get();
  co_return in_room(caller, **room);
}

Answer leave(Caller caller, std::string argument) {
  Room* room = caller.current;
  if (!argument.empty()) {
    const auto name = check_room_name(argument);
    if (!name) co_return error_line(name.error().text);
    room = nullptr;
    for (const auto& member : caller.session.members()) {
      if (member->room().name() == *name) room = &member->room();
    }
    if (room == nullptr) co_return error_line(fmt::format("you are not in {}", *name));
  }
  Room& lobby = caller.rooms.lobby();
  if (room == &lobby) co_return error_line("the lobby is left by closing the connection");
  const std::string left = room->name();
  caller.session.leave(*room);
  if (caller.current == room) caller.current = &lobby;
  co_return answer_line(fmt::format("you left {} and talk in {}", left, caller.current->name()));
}

Answer list(Caller caller, std::string) {
  std::string text;
  std::size_t count = 0;
  const std::vector<RoomInfo> rooms = caller.rooms.list();
  for (const RoomInfo& room : rooms) {
    if (++count > listed_max) {
      text += answer_line(fmt::format("and {} more", rooms.size() - listed_max));
      break;
    }
    text += answer_line(
        fmt::format("{}, {} here{}{}", room.name, room.members, room.topic.empty() ? "" : ": ", room.topic));
  }
  co_return text;
}

Answer who(Caller caller, std::string) {
  const RoomState state = caller.current->state();
  std::string names;
  std::size_t count = 0;
  for (const auto& [nick, id] : state.members()) {
    if (++count > listed_max) {
      names += fmt::format(", and {} more", state.members().size() - listed_max);
      break;
    }
    names.append(count == 1 ? "" : ", ").append(nick);
  }
  co_return answer_line(fmt::format("in {}: {}", caller.current->name(), names));
}

// A nickname may have blanks: the longest beginning that is somebody's.
Answer tell(Caller caller, std::string argument) {
  if (argument.empty()) co_return error_line("/msg NICK TEXT: give a nickname and a text");
  for (std::size_t end = argument.size(); end != std::string::npos && end != 0; end = argument.rfind(' ', end - 1)) {
    const auto nick = check_nick(std::string_view(argument).substr(0, end));
    if (!nick || !caller.rooms.lobby().find(*nick)) continue;
    const std::string text(trim(std::string_view(argument).substr(end)));
    if (text.empty()) co_return error_line("/msg NICK TEXT: there is no text");
    if (const auto refusal = check_text(text)) co_return error_line(refusal->text + "; it was not sent");
    const auto sent = co_await caller.rooms.send_direct({.nick = caller.nick(), .text = text}, *nick);
    co_return sent ? std::string() : error_line(sent.error().text + "; it was not sent");
  }
  co_return error_line(fmt::format("there is no {} here; it was not sent",
                                   argument.substr(0, std::min(argument.find(' '), argument.size()))));
}

Answer rename(Caller caller, std::string argument) {
  const auto nick = check_nick(argument);
  if (!nick) co_return error_line(nick.error().text);
  const auto renamed = co_await caller.session.rename(*nick);
  co_return renamed ? std::string() : error_line(renamed.error().text);
}

Answer topic(Caller caller, std::string argument) {
  if (argument.empty()) {
    const std::string now = caller.rooms.topic_of(caller.current->name());
    co_return answer_line(now.empty() ? fmt::format("{} has no topic", caller.current->name())
                                      : fmt::format("the topic of {}: {}", caller.current->name(), now));
  }
  if (argument.size() > topic_bytes_max) {
    co_return error_line(fmt::format("a topic has at most {} bytes", topic_bytes_max));
  }
  if (const auto refusal = check_text(argument)) co_return error_line(refusal->text);
  co_await caller.rooms.set_topic(*caller.current, {.nick = caller.nick(), .text = std::move(argument)});
  co_return std::string();
}

Answer history(Caller caller, std::string argument) {
  std::size_t count = history_lines;
  if (!argument.empty()) {
    const char* const end = argument.data() + argument.size();
    const auto [stop, failure] = std::from_chars(argument.data(), end, count);
    if (failure != std::errc() || stop != end || count == 0 || count > listed_max) {
      co_return error_line(fmt::format("/history N: the number of messages, 1 to {}", listed_max));
    }
  }
  std::string text;
  const Room::Page page = co_await caller.current->read({.count_max = count, .newest = true});
  for (const Event& event : page.events) {
    if (event.kind != EventKind::said && event.kind != EventKind::topic) continue;
    text.append("* ").append(format_time(event.time), 0, 19).append("Z ");
    append_line(text, caller.current->name(), event);
  }
  co_return text.empty() ? answer_line(fmt::format("{} has no history", caller.current->name())) : text;
}

Answer help(Caller, std::string);

struct Command {
  std::string_view name;
  std::string_view form;
  std::string_view what;
  Answer (*run)(Caller, std::string);
};

constexpr std::array<Command, 9> commands = {{
    {"join", "/join ROOM", "enter a room, which is made when it is missing, and talk there", join},
    {"leave", "/leave [ROOM]", "leave this room", leave},
    {"rooms", "/rooms", "the rooms, with the number of their members", list},
    {"who", "/who", "who is in this room", who},
    {"msg", "/msg NICK TEXT", "to one person alone", tell},
    {"nick", "/nick NAME", "another nickname", rename},
    {"topic", "/topic [TEXT]", "what this room is about", topic},
    {"history", "/history [N]", "the last messages of this room", history},
    {"help", "/help", "this text; //text sends /text", help},
}};

Answer help(Caller, std::string) {
  std::string text;
  for (const Command& command : commands) text += answer_line(fmt::format("{:<15} {}", command.form, command.what));
  co_return text;
}

}  // namespace

LineMeaning meaning_of(std::string_view line) noexcept {
  if (line.starts_with("//")) return {.text = line.substr(1)};
  if (!line.starts_with('/')) return {.text = line};
  const std::string_view word = line.substr(1, line.find(' ') - 1);
  const bool is_word = !word.empty() && std::ranges::all_of(word, [](char c) { return c >= 'a' && c <= 'z'; });
  return {.is_command = is_word, .text = is_word ? line.substr(1) : line};
}

Task<std::string> run_command(Rooms& rooms, Session& session, Room*& current, std::string command) {
  const std::string name = command.substr(0, command.find(' '));
  const auto* const found = std::ranges::find(commands, std::string_view(name), &Command::name);
  if (found == commands.end()) {
    co_return error_line(fmt::format(
        "there is no command /{}; /help lists them, and //text sends /text as a message; it was not sent", name));
  }
  co_return co_await found->run({.rooms = rooms, .session = session, .current = current},
                                std::string(trim(std::string_view(command).substr(name.size()))));
}

}  // namespace coax::chat
