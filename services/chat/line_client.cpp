// A client of the line protocol: `NICK`, a nickname, then lines, or the unterminated messages of a tutorial's script.
#include <fmt/core.h>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/bus/outbox.hpp"
#include "coax/stream/lines.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/chat.hpp"
#include "services/chat/line_command.hpp"
#include "services/chat/line_wire.hpp"
#include "services/chat/message_text.hpp"
#include "services/chat/session.hpp"

namespace coax::chat {

namespace {

constexpr std::size_t command_cost = 256;  // bytes of the budget

class LineClient {
 public:
  LineClient(Connection& connection, Rooms& rooms, const ChatLimits& limits)
      : connection_(connection),
        rooms_(rooms),
        room_(&rooms.lobby()),
        limits_(limits),
        // A tutorial's script puts its own "nick: " before each message.
        lines_(connection.stream(),
               {.line_bytes_max = text_bytes_max + nick_characters_max * 4 + 2, .pause = limits.pause}),
        session_({.bytes_max = limits.outbox_bytes_max, .form = line}) {}

  // Returns: true when it has joined.
  Task<bool> join_in_time();
  // Throws: as run_session().
  Task<> run();

 private:
  Task<bool> join();
  Task<bool> join(bool& was_refused);
  Task<> read();
  Task<std::expected<std::string, Refusal>> read_nick();
  Task<> handle(std::string_view line);
  Task<> obey(std::string command);
  [[nodiscard]] std::string_view without_own_nick(std::string_view text);
  void reply_error(std::string_view text) { session_.reply(error_line(text)); }

  Stream& stream() { return connection_.stream(); }

  Connection& connection_;
  Rooms& rooms_;
  Room* room_;  // where it talks: it is a member
  const ChatLimits& limits_;
  Lines lines_;
  Session session_;
  std::string nick_as_sent_;  // before it was normalized: a tutorial's script writes it before its messages
};

Task<bool> LineClient::join_in_time() {
  co_await stream().send("NICK");
  try {
    co_return co_await timeout(limits_.nick, join());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    connection_.set_reason(CloseReason::timed_out);
  }
  log::info("{} refused: no nickname within {}", connection_.peer_name(), format_duration(limits_.nick));
  const std::string answer = error_line(fmt::format("no nickname came within {}", format_duration(limits_.nick)));
  co_await stream().send(answer);
  co_return false;
}

// Returns: true when it has joined.
Task<bool> LineClient::join() {
  bool was_refused = false;
  try {
    co_return co_await join(was_refused);
  } catch (const Error& error) {
    if (was_refused) connection_.set_reason(close_reason_of(error.kind()));  // and has its line in the log
    throw;
  }
}

Task<bool> LineClient::join(bool& was_refused) {
  for (int attempt = 1; attempt <= nick_tries; ++attempt) {
    auto nick = co_await read_nick();
    if (nick && nick->empty()) co_return false;
    if (nick) {
      const auto joined = co_await session_.join(*room_, *nick);
      if (joined) {
        rooms_.attach(session_);
        co_return true;
      }
      nick = std::unexpected(joined.error());
    }
    log::info("{} refused: {}", connection_.peer_name(), nick.error().text);
    was_refused = true;
    const std::string_view then = attempt < nick_tries ? "send another one" : "goodbye";
    const std::string answer = error_line(fmt::format("{}; {}", nick.error().text, then));
    co_await stream().send(answer);
  }
  connection_.set_reason(CloseReason::protocol);
  co_return false;
}

// Skips blank lines. Empty means that the client has closed its side without a nickname.
Task<std::expected<std::string, Refusal>> LineClient::read_nick() {
  std::optional<BytesView> line;
  try {
    do {
      line = co_await lines_.next();
    } while (line && trim(*line).empty());
  } catch (const LineTooLong&) {
    co_return std::unexpected(Refusal{"nick_invalid", "that nickname is much too long"});
  }
  if (!line) co_return std::string();
  nick_as_sent_ = trim(*line);
  co_return check_nick(*line);
}

// Not inlined: its temporaries would be a part of the frame of talk_lines().
[[gnu::noinline]] Task<> LineClient::run() {
  return run_session(connection_, std::string(session_.nick()), read(), drain(session_.outbox(), stream()));
}

Task<> LineClient::read() {
  bool ended = false;
  while (!ended) {
    co_await session_.outbox().ready();  // backpressure: a client that does not read is not read either
    try {
      if (lines_.is_idle()) co_await lines_.fill();  // next() is a coroutine: its frame is for lines that have begun
      const auto line = co_await lines_.next();
      const bool is_cut = connection_.draining() && lines_.at_end();  // by our shutdown, perhaps in mid-line
      ended = !line || is_cut;
      if (!ended) co_await handle(*line);
    } catch (const LineTooLong&) {
      reply_error(fmt::format("a message has at most {} bytes; it was not sent", text_bytes_max));
    }
  }
  co_await session_.until_unsettled_below(1);
  if (connection_.draining()) {
    session_.retire();  // the end of the room finishes the outbox, after all that was accepted from others
    co_return;
  }
  session_.leave_all();
  session_.outbox().finish();
}

Task<> LineClient::handle(std::string_view line) {
  const std::string_view text = without_own_nick(line);
  if (text.empty()) co_return;
  if (const auto refusal = check_text(text)) co_return reply_error(refusal->text + "; it was not sent");
  const auto [is_command, what] = meaning_of(text);
  if (is_command) co_return co_await obey(std::string(what));
  if (!session_.consume_budget(what.size())) co_await room_->ready();
  co_await session_.until_unsettled_below(Session::unsettled_bytes_max);
  session_.say(*session_.member_of(*room_), {.nick = std::string(session_.nick()), .text = std::string(what)},
               [this](const Subject::Outcome& outcome) {
                 if (!outcome) reply_error(fmt::format("{}; it was not sent", text_of(outcome.error())));
               });
}

[[gnu::noinline]] Task<> LineClient::obey(std::string command) {
  if (!session_.consume_budget(command_cost)) co_await room_->ready();
  std::string answer;
  try {
    answer = co_await run_command(rooms_, session_, room_, std::move(command));
  } catch (const Error&) {
    answer = error_line(text_of(std::current_exception()));
  }
  if (!answer.empty()) session_.reply(std::move(answer));
}

std::string_view LineClient::without_own_nick(std::string_view text) {
  for (const std::string_view nick : {session_.nick(), std::string_view(nick_as_sent_)}) {
    if (text.starts_with(nick) && text.substr(nick.size()).starts_with(": ")) return text.substr(nick.size() + 2);
  }
  return text;
}

}  // namespace

// Its frame lives as long as the connection: what is needed only before is in a task of its own.
Task<> talk_lines(Connection& connection, Rooms& rooms, const ChatLimits& limits) {
  LineClient client(connection, rooms, limits);
  const bool joined = co_await client.join_in_time();
  if (joined) co_await client.run();
}

}  // namespace coax::chat
