// A client over WebSocket: JSON messages, for the page and for programs.
#include <fmt/core.h>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/bus/outbox.hpp"
#include "coax/http/websocket.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/chat.hpp"
#include "services/chat/json_wire.hpp"
#include "services/chat/message_text.hpp"
#include "services/chat/session.hpp"

namespace coax::chat {

namespace {

constexpr int nick_tries = 2;
constexpr int errors_max = 10;  // in a row

struct CloseStatus {
  std::uint16_t code;
  std::string_view reason;
};
constexpr CloseStatus not_text{.code = 1003, .reason = "messages here are text"};
constexpr CloseStatus too_many_errors{.code = 1008, .reason = "too many errors"};

class JsonClient {
 public:
  JsonClient(ws::WebSocket& socket, Connection& connection, Room& room, const ChatLimits& limits)
      : socket_(socket),
        connection_(connection),
        room_(room),
        limits_(limits),
        session_({.bytes_max = limits.outbox_bytes_max, .form = websocket}) {}

  // Returns: true when it has joined.
  Task<bool> join_in_time();
  // Throws: as run_session().
  Task<> run();
  // Tells the client why it is disconnected, if that is this side's decision.
  Task<> close();

 private:
  Task<> join();
  Task<> read();
  std::optional<Refusal> try_join(const std::expected<ClientMessage, Refusal>& message);
  Task<bool> answer(BytesView json);
  Task<std::optional<Refusal>> handle(const std::expected<ClientMessage, Refusal>& message);
  Member* member() noexcept { return session_.member_of(room_); }

  ws::WebSocket& socket_;
  Connection& connection_;
  Room& room_;
  const ChatLimits& limits_;
  Session session_;
  const CloseStatus* close_status_ = nullptr;  // to be sent after the outbox
};

Task<bool> JsonClient::join_in_time() {
  bool late = false;
  try {
    co_await timeout(limits_.nick, join());
  } catch (const Error& error) {
    late = error.kind() == ErrorKind::timed_out;
    if (!late) throw;
  }
  if (!late) co_return member() != nullptr;
  log::info("{} refused: no nickname within {}", connection_.peer_name(), format_duration(limits_.nick));
  connection_.set_reason(CloseReason::timed_out);
  co_await socket_.close(1008, "no nickname came in time");
  co_return false;
}

// Returns when the client has joined, or when the connection is closed.
Task<> JsonClient::join() {
  int nicks_refused = 0;
  int errors = 0;
  while (true) {
    const ws::Message message = co_await socket_.recv();
    if (!message) co_return;
    if (!message.is_text()) {
      co_await socket_.close(not_text.code, not_text.reason);
      co_return;
    }
    const auto refusal = try_join(parse_client_message(message.data));
    if (!refusal) co_return;
    const std::string answer = error_json(*refusal);
    co_await socket_.send_text(answer);
    if (refusal->code.starts_with("nick_")) ++nicks_refused;
    if (nicks_refused == nick_tries || refusal->code == "shutting_down" || ++errors == errors_max) {
      log::info("{} refused: {}", connection_.peer_name(), refusal->text);
      connection_.set_reason(CloseReason::protocol);
      co_await socket_.close(refusal->code == "shutting_down" ? 1001 : 1008, refusal->text);
      co_return;
    }
  }
}

std::optional<Refusal> JsonClient::try_join(const std::expected<ClientMessage, Refusal>& message) {
  if (!message) return message.error();
  if (message->type != ClientMessage::Type::join) return Refusal{"not_joined", "join first"};
  const auto nick = check_nick(message->argument);
  if (!nick) return nick.error();
  const auto joined = session_.join(room_, *nick);
  return joined ? std::nullopt : std::optional(joined.error());
}

// Not inlined: its temporaries would be a part of the frame of talk_json().
[[gnu::noinline]] Task<> JsonClient::run() {
  return run_session(connection_, member()->nick(), read(), drain(session_.outbox(), socket_.stream()));
}

Task<> JsonClient::close() {
  if (close_status_ != nullptr) co_await socket_.close(close_status_->code, close_status_->reason);
}

Task<> JsonClient::read() {
  int errors = 0;
  while (true) {
    co_await session_.outbox().ready();  // backpressure: a client that does not read is not read either
    const ws::Message message = co_await socket_.recv();
    if (!message) break;
    if (!message.is_text()) {
      close_status_ = &not_text;
      break;
    }
    const bool accepted = co_await answer(message.data);
    errors = accepted ? 0 : errors + 1;
    if (errors == errors_max) {
      close_status_ = &too_many_errors;
      break;
    }
  }
  if (connection_.draining() && !socket_.close_sent() && close_status_ == nullptr) {
    session_.retire();  // the end of the room finishes the outbox, after all that was accepted from others
    co_return;
  }
  session_.leave_all();
  if (close_status_ != nullptr) {
    session_.outbox().finish();  // the answers, the last error too, precede the close
  } else {
    session_.outbox().abandon();
  }
}

// Returns: false when it replied with an error.
Task<bool> JsonClient::answer(BytesView json) {
  const auto parsed = parse_client_message(json);
  const auto refusal = co_await handle(parsed);
  if (refusal) session_.reply(text_frame(error_json(*refusal)));
  co_return !refusal;
}

Task<std::optional<Refusal>> JsonClient::handle(const std::expected<ClientMessage, Refusal>& message) {
  if (!message) co_return message.error();
  if (message->type == ClientMessage::Type::join) co_return Refusal{"already_joined", "you are in the room already"};
  if (auto refusal = check_text(message->argument)) co_return refusal;
  if (!session_.consume_budget(message->argument.size())) co_await room_.ready();
  member()->say(message->argument);
  co_return std::nullopt;
}

}  // namespace

// Its frame lives as long as the connection: what is needed only before is in a task of its own.
Task<> talk_json(ws::WebSocket& socket, Connection& connection, Room& room, const ChatLimits& limits) {
  JsonClient client(socket, connection, room, limits);
  const bool joined = co_await client.join_in_time();
  if (!joined) co_return;
  co_await client.run();
  co_await client.close();
}

}  // namespace coax::chat
