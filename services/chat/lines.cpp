// The chat over plain TCP: `NICK`, a nickname, then lines, or what a tutorial's script sends in their place.
#include "coax/stream/lines.hpp"

#include <fmt/core.h>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/server/outbox.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/chat.hpp"

namespace coax::chat {

namespace {

constexpr int nick_tries = 2;

class LineClient {
 public:
  LineClient(Connection& connection, Room& room, const ChatLimits& limits)
      : connection_(connection),
        room_(room),
        limits_(limits),
        // With room for its own "nick: "; what a tutorial's script sends has no line ends.
        lines_(connection.stream(),
               {.line_bytes_max = text_bytes_max + nick_characters_max * 4 + 2, .pause = limits.pause}),
        outbox_({.bytes_max = limits.outbox_bytes_max, .form = line}) {}

  Task<> talk();

 private:
  Task<bool> enter();
  Task<> read();
  Task<std::expected<std::string, Refusal>> read_nick();
  Task<> take(std::string_view text);
  void tell(std::string_view text) { member_->tell(fmt::format("error: {}\n", text)); }

  Stream& stream() { return connection_.stream(); }

  Connection& connection_;
  Room& room_;
  const ChatLimits& limits_;
  Lines lines_;
  Outbox outbox_;
  std::optional<Member> member_;
  std::string nick_given_;  // before it was normalized: a tutorial's script writes it before its messages
};

Task<> LineClient::talk() {
  co_await stream().send("NICK");
  bool entered = false;
  try {
    entered = co_await timeout(limits_.nick, enter());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    connection_.set_reason(CloseReason::timed_out);
  }
  if (!entered) {
    if (connection_.reason() == CloseReason::timed_out) {
      log::info("{} refused: no nickname within {}", connection_.peer_name(), format_duration(limits_.nick));
      const std::string answer = fmt::format("error: no nickname came within {}\n", format_duration(limits_.nick));
      co_await stream().send(answer);
    }
    co_return;
  }
  co_await stay(connection_, member_->nick(), read(), drain(outbox_, stream()));
}

// True: in the room.
Task<bool> LineClient::enter() {
  for (int attempt = 1; attempt <= nick_tries; ++attempt) {
    auto nick = co_await read_nick();
    if (nick && nick->empty()) co_return false;
    if (nick) {
      const auto joined = room_.join(*nick, outbox_, member_);
      if (joined) co_return true;
      nick = std::unexpected(joined.error());
    }
    log::info("{} refused: {}", connection_.peer_name(), nick.error().text);
    const std::string_view then = attempt < nick_tries ? "send another one" : "goodbye";
    const std::string answer = fmt::format("error: {}; {}\n", nick.error().text, then);
    co_await stream().send(answer);
  }
  connection_.set_reason(CloseReason::protocol);
  co_return false;
}

// Empty: the client has finished without one. Blank lines are passed over.
Task<std::expected<std::string, Refusal>> LineClient::read_nick() {
  std::optional<Bytes> line;
  try {
    do {
      line = co_await lines_.next();
    } while (line && trim(*line).empty());
  } catch (const ForeignProtocolError&) {
    throw;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::protocol) throw;
    co_return std::unexpected(Refusal{"nick_invalid", "that nickname is much too long"});
  }
  if (!line) co_return std::string();
  nick_given_ = trim(*line);
  co_return check_nick(*line);
}

Task<> LineClient::read() {
  bool ended = false;
  while (!ended) {
    co_await outbox_.ready();  // a client that does not read is not read either
    try {
      const auto line = co_await lines_.next();
      const bool cut_by_us = connection_.draining() && lines_.at_end();
      ended = !line || cut_by_us;
      if (!ended) co_await take(*line);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::protocol) throw;
      tell(fmt::format("a message has at most {} bytes; it was not sent", text_bytes_max));
    }
  }
  if (connection_.draining()) {
    member_->retire();  // and the end of the room finishes the outbox, after all that was accepted from others
    co_return;
  }
  member_.reset();
  outbox_.finish();
}

Task<> LineClient::take(std::string_view text) {
  for (const std::string& nick : {member_->nick(), nick_given_}) {
    if (!text.starts_with(nick) || !text.substr(nick.size()).starts_with(": ")) continue;
    text.remove_prefix(nick.size() + 2);
    break;
  }
  if (text.empty()) co_return;
  if (const auto refusal = check_text(text)) co_return tell(refusal->text + "; it was not sent");
  if (!member_->may_say_now(text.size())) co_await member_->ready();
  member_->say(text);
}

}  // namespace

Task<> talk_lines(Connection& connection, Room& room, const ChatLimits& limits) {
  LineClient client(connection, room, limits);
  co_await client.talk();
}

}  // namespace coax::chat
