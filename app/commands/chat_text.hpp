// What coax chat reads out of the lines of a hub, and how it shows them.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace coax::app {

// With the colour of the nickname.
std::string coloured(std::string_view message);

// "[room] alice: hello" without the room.
std::string_view without_room(std::string_view message) noexcept;

// Whether the hub takes the line for a command; "/usr/bin" is none.
bool is_command(std::string_view line) noexcept;
// A text that the hub does not take for a command.
std::string as_message(std::string text);
constexpr std::array<std::string_view, 8> hub_commands = {"/join", "/leave", "/rooms", "/who",
                                                          "/msg",  "/nick",  "/topic", "/history"};
constexpr std::string_view help_text =
    "What you type goes to everybody in the room. /quit or Ctrl-D leaves; //text sends /text.\n"
    "On a hub: /join ROOM, /leave, /rooms, /who, /msg NICK TEXT, /nick NAME, /topic [TEXT], /history [N].";

// Where the person is, by what the hub has answered to /join, /leave and /nick: entered again after a reconnection.
class Whereabouts {
 public:
  explicit Whereabouts(std::string nick) : nick_(std::move(nick)) {}
  // Each line of the hub.
  void note(std::string_view message);
  [[nodiscard]] const std::string& nick() const noexcept { return nick_; }
  void set_nick(std::string nick) { nick_ = std::move(nick); }
  // The commands that enter the rooms, that in which the person talks last.
  [[nodiscard]] std::vector<std::string> commands() const;

 private:
  void enter(std::string room);

  std::string nick_;
  std::vector<std::string> rooms_;  // beside the lobby; without in_lobby_, the person talks in the last one
  bool in_lobby_ = true;
};

}  // namespace coax::app
