// A client over WebSocket: JSON messages, for the page and for programs.
#include <fmt/core.h>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/bus/outbox.hpp"
#include "coax/http/websocket.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/chat.hpp"
#include "services/chat/identity.hpp"
#include "services/chat/json_command.hpp"
#include "services/chat/json_wire.hpp"
#include "services/chat/message_text.hpp"
#include "services/chat/session.hpp"

namespace coax::chat {

namespace {

constexpr int errors_max = 10;  // in a row
constexpr int replacements_max = 10;
constexpr int waits_max = 3;
constexpr std::size_t request_cost = 256;  // bytes of the budget

struct CloseStatus {
  std::uint16_t code;
  std::string_view reason;
};
constexpr CloseStatus not_text{.code = 1003, .reason = "messages here are text"};
constexpr CloseStatus too_many_errors{.code = 1008, .reason = "too many errors"};

class JsonClient {
 public:
  JsonClient(ws::WebSocket& socket, Connection& connection, Rooms& rooms, const ChatLimits& limits)
      : socket_(socket),
        connection_(connection),
        rooms_(rooms),
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
  void end_replaced();
  Task<> read();
  Task<std::optional<Refusal>> try_join(std::expected<ClientMessage, Refusal> message);
  Task<bool> answer(BytesView json);
  Task<std::optional<Refusal>> handle(const ClientMessage& message);
  Task<std::optional<Refusal>> say(const ClientMessage& message);
  void settle(const ClientMessage& message, const Subject::Outcome& outcome);

  ws::WebSocket& socket_;
  Connection& connection_;
  Rooms& rooms_;
  const ChatLimits& limits_;
  Session session_;
  std::uint64_t person_ = 0;                   // of version 2
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
  if (!late) co_return !session_.members().empty();
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
    const auto refusal = co_await try_join(parse_client_message(message.data));
    if (!refusal) co_return;
    const std::string answer = error_json(*refusal, reference_of(message.data));
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

Task<std::optional<Refusal>> JsonClient::try_join(std::expected<ClientMessage, Refusal> message) {
  if (!message) co_return message.error();
  if (message->type != ClientMessage::Type::join) co_return Refusal{"not_joined", "join first"};
  if (message->version != 1 && message->version != 2)
    co_return Refusal{"bad_message", "its version is neither 1 nor 2"};
  if (message->version == 2 && !message->room.empty() && message->room != lobby) {
    co_return Refusal{"bad_message", "the first join is of the lobby; join other rooms then"};
  }
  const auto nick = check_nick(message->argument);
  if (!nick) co_return nick.error();
  auto joined = co_await session_.join(rooms_.lobby(), *nick);
  // Again, since another connection of the same person may have been faster.
  for (int tries = 0; !joined && message->version == 2 && !message->token.empty() && tries < replacements_max;
       ++tries) {
    const bool is_free = co_await rooms_.replace(*nick, person_of(message->token));
    if (!is_free && tries >= waits_max) break;
    if (!is_free) co_await sleep(std::chrono::milliseconds(20));  // it may have joined a moment ago
    joined = co_await session_.join(rooms_.lobby(), *nick, is_free);
  }
  if (!joined) co_return joined.error();
  rooms_.attach(session_);
  if (message->version == 2) {
    person_ = message->token.empty() ? new_id() : person_of(message->token);
    session_.set_owner(person_, [this] { end_replaced(); });
    session_.reply(text_frame(users_json(*message, rooms_.lobby().state(), rooms_.topic_of(lobby), rooms_.epoch())));
  }
  co_return std::nullopt;
}

// Whatever it still sends is lost with it: it may be a dead connection.
void JsonClient::end_replaced() {
  std::string payload{static_cast<char>(ws::close_code::policy >> 8), static_cast<char>(ws::close_code::policy & 0xff)};
  payload.append("another connection of the same person has this nickname now");
  std::string frame;
  ws::append_frame(frame, ws::Opcode::close, payload);
  if (!socket_.close_sent()) (void)socket_.stream().queue(frame);
  connection_.end(CloseReason::finished);
}

// Not inlined: its temporaries would be a part of the frame of talk_json().
[[gnu::noinline]] Task<> JsonClient::run() {
  return run_session(connection_, std::string(session_.nick()), read(), drain(session_.outbox(), socket_.stream()));
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
  co_await session_.until_unsettled_below(1);
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
[[gnu::noinline]] Task<bool> JsonClient::answer(BytesView json) {
  const auto message = parse_client_message(json);
  const auto refusal = message ? co_await handle(*message) : std::optional(message.error());
  if (refusal) session_.reply(text_frame(error_json(*refusal, message ? *message : reference_of(json))));
  co_return !refusal;
}

Task<std::optional<Refusal>> JsonClient::handle(const ClientMessage& message) {
  const bool is_version_1 = person_ == 0;
  if (message.type == ClientMessage::Type::message) co_return co_await say(message);
  if (message.type == ClientMessage::Type::join && (is_version_1 || message.room.empty())) {
    co_return Refusal{"already_joined", "you are in the room already"};
  }
  if (is_version_1) co_return Refusal{"bad_message", "its type is neither join nor message; others are of version 2"};
  if (!session_.consume_budget(request_cost)) co_await rooms_.lobby().ready();
  try {
    auto answer = co_await run_request(rooms_, session_, person_, message);
    if (!answer) co_return answer.error();
    session_.reply(text_frame(*answer));
  } catch (const Error&) {
    co_return Refusal{"failed", text_of(std::current_exception())};
  }
  co_return std::nullopt;
}

Task<std::optional<Refusal>> JsonClient::say(const ClientMessage& message) {
  if (auto refusal = check_text(message.argument)) co_return refusal;
  Room* const room = person_ == 0 ? &rooms_.lobby() : room_of(rooms_, session_, message);
  if (room == nullptr) co_return Refusal{"not_in_room", "you are not in that room; join it first"};
  if (!session_.consume_budget(message.argument.size())) co_await room->ready();
  co_await session_.until_unsettled_below(Session::unsettled_bytes_max);
  Speech speech{.nick = std::string(session_.nick()), .text = message.argument, .person = person_};
  if (person_ == 0) {
    session_.say(*session_.member_of(*room), std::move(speech), [this](const Subject::Outcome& outcome) {
      if (!outcome) session_.reply(text_frame(error_json({"not_stored", text_of(outcome.error())})));
    });
  } else {
    speech.id = message.id;
    session_.say(*session_.member_of(*room), std::move(speech),
                 [this, message](const Subject::Outcome& outcome) { settle(message, outcome); });
  }
  co_return std::nullopt;
}

void JsonClient::settle(const ClientMessage& message, const Subject::Outcome& outcome) {
  session_.reply(text_frame(outcome ? ack_json(message, *outcome)
                                    : error_json({"not_stored", text_of(outcome.error())}, message)));
}

}  // namespace

// Its frame lives as long as the connection: what is needed only before is in a task of its own.
Task<> talk_json(ws::WebSocket& socket, Connection& connection, Rooms& rooms, const ChatLimits& limits) {
  JsonClient client(socket, connection, rooms, limits);
  const bool joined = co_await client.join_in_time();
  if (!joined) co_return;
  co_await client.run();
  co_await client.close();
}

}  // namespace coax::chat
