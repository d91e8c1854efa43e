// The client side of the hub's plain TCP protocol (docs/protocols.md), and of the servers of socket tutorials, which
// send no line ends. Until the server's first line end, a pause ends a message, and messages are sent without a line
// end.
#pragma once

#include <fmt/core.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands/commands.hpp"
#include "coax/codec/lines.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/task.hpp"

namespace coax::app {

// Ends the chat with a message on standard error and an exit code.
struct Failure {
  std::string text;
  Exit code = failed;
};

// The prefix of the server's messages to this client only.
constexpr std::string_view error_mark = "error: ";
inline bool is_error(std::string_view message) { return message.starts_with(error_mark); }
inline std::string without_error(std::string_view message) {
  return std::string(message.substr(is_error(message) ? error_mark.size() : 0));
}

struct Message {
  std::string text;     // printable
  bool is_line = true;  // without a line end it may be several messages in one
};

class Wire {
 public:
  explicit Wire(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

  // Reads `NICK`. Throws Failure.
  Task<> expect_question();
  // The server has sent a line end: messages are lines in both directions.
  [[nodiscard]] bool by_lines() const noexcept { return decoder_.saw_line_end(); }
  // Returns: all messages that have arrived; none: the server has shut down its side. Cancelled: no message is lost.
  Task<std::vector<Message>> next();
  Task<> send(std::string message);
  Task<> send_text(const std::string& nick, const std::string& text) {
    return send(by_lines() ? text : fmt::format("{}: {}", nick, text));
  }
  // Half-closes, and reads until the server closes: a plain close could destroy bytes that are under way to it.
  Task<> leave();

 private:
  static constexpr std::size_t line_bytes_max = 64 << 10;

  Task<BytesView> recv_until_pause();
  static void take(const LineEvent& event, bool is_line, std::vector<Message>& messages);

  std::unique_ptr<Stream> stream_;
  LineDecoder decoder_{line_bytes_max};
  bool unfinished_ = false;  // there may be bytes without a line end
  bool paused_ = false;
  bool ended_ = false;
};

}  // namespace coax::app
