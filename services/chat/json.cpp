// The chat over WebSocket: JSON messages, for the page and for programs.
#include <fmt/core.h>

#include <boost/json.hpp>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/http/websocket.hpp"
#include "coax/server/outbox.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/chat.hpp"

namespace coax::chat {

namespace {

constexpr int nick_tries = 2;
constexpr int errors_max = 10;  // in a row

struct Wish {
  std::string type;
  std::string argument;  // the nick of "join", the text of "message"
};

std::expected<Wish, Refusal> parse(Bytes message) {
  const auto refuse = [](std::string_view text) { return std::unexpected(Refusal{"bad_message", std::string(text)}); };
  boost::json::error_code failure;
  const auto value = boost::json::parse({message.data(), message.size()}, failure);
  if (failure || !value.is_object()) return refuse("that is not a JSON object");
  const auto text = [&](const char* name) -> const boost::json::string* {
    const auto* member = value.get_object().if_contains(name);
    return member != nullptr ? member->if_string() : nullptr;
  };
  const auto* type = text("type");
  if (type == nullptr) return refuse("it has no type");
  const auto* argument = *type == "join" ? text("nick") : *type == "message" ? text("text") : nullptr;
  if (*type != "join" && *type != "message") return refuse("its type is neither join nor message");
  if (argument == nullptr) return refuse(*type == "join" ? "it has no nick" : "it has no text");
  return Wish{std::string(*type), std::string(*argument)};
}

std::string error_text(const Refusal& refusal) {
  return boost::json::serialize(
      boost::json::object{{"type", "error"}, {"code", refusal.code}, {"message", refusal.text}});
}

struct Farewell {
  std::uint16_t code;
  std::string_view reason;
};
constexpr Farewell not_text{.code = 1003, .reason = "messages here are text"};

class JsonClient {
 public:
  JsonClient(ws::Connection& socket, Room& room, const ChatLimits& limits)
      : socket_(socket),
        room_(room),
        limits_(limits),
        outbox_({.bytes_max = limits.outbox_bytes_max, .form = websocket}) {}

  Task<> talk();

 private:
  Task<> enter();
  Task<> read();
  std::optional<Refusal> try_join(const std::expected<Wish, Refusal>& wish);
  Task<std::optional<Refusal>> take(const std::expected<Wish, Refusal>& wish);
  Task<> tell(const Refusal& refusal);

  ws::Connection& socket_;
  Room& room_;
  const ChatLimits& limits_;
  Outbox outbox_;
  std::optional<Member> member_;
  std::optional<Farewell> farewell_;  // after what is in the outbox
};

Task<> JsonClient::talk() {
  bool late = false;
  try {
    co_await timeout(limits_.nick, enter());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    late = true;
  }
  if (late) {
    log::info("{} refused: no nickname within {}", socket_.below().peer_name(), format_duration(limits_.nick));
    socket_.below().set_reason(CloseReason::timed_out);
    co_await socket_.close(1008, "no nickname came in time");
  }
  if (!member_) co_return;
  co_await stay(socket_.below(), member_->nick(), read(), drain(outbox_, socket_.stream()));
  if (farewell_) co_await socket_.close(farewell_->code, farewell_->reason);
}

// Ends when it is in the room, or when it is over.
Task<> JsonClient::enter() {
  int nicks_refused = 0;
  int errors = 0;
  while (!member_) {
    const ws::Message message = co_await socket_.recv();
    if (!message) co_return;
    if (!message.is_text()) {
      co_await socket_.close(not_text.code, not_text.reason);
      co_return;
    }
    const auto refusal = try_join(parse(message.data));
    if (!refusal) co_return;
    co_await tell(*refusal);
    if (refusal->code.starts_with("nick_")) ++nicks_refused;
    if (nicks_refused == nick_tries || refusal->code == "shutting_down" || ++errors == errors_max) {
      log::info("{} refused: {}", socket_.below().peer_name(), refusal->text);
      socket_.below().set_reason(CloseReason::protocol);
      co_await socket_.close(refusal->code == "shutting_down" ? 1001 : 1008, refusal->text);
      co_return;
    }
  }
}

std::optional<Refusal> JsonClient::try_join(const std::expected<Wish, Refusal>& wish) {
  if (!wish) return wish.error();
  if (wish->type != "join") return Refusal{"not_joined", "join first"};
  const auto nick = check_nick(wish->argument);
  if (!nick) return nick.error();
  const auto joined = room_.join(*nick, outbox_, member_);
  return joined ? std::nullopt : std::optional(joined.error());
}

Task<> JsonClient::read() {
  int errors = 0;
  while (true) {
    co_await outbox_.ready();  // a client that does not read is not read either
    const ws::Message message = co_await socket_.recv();
    if (!message) break;
    if (!message.is_text()) {
      farewell_ = not_text;
      break;
    }
    const auto wish = parse(message.data);
    const auto refusal = co_await take(wish);
    errors = refusal ? errors + 1 : 0;
    if (refusal) co_await tell(*refusal);
    if (errors == errors_max) {
      farewell_ = Farewell{.code = 1008, .reason = "too many errors"};
      break;
    }
  }
  if (socket_.below().draining() && !socket_.close_sent() && !farewell_) {
    member_->retire();  // and the end of the room finishes the outbox, after all that was accepted from others
    co_return;
  }
  member_.reset();
  if (farewell_) {
    outbox_.finish();  // what was told, the last error too, comes before the close
  } else {
    outbox_.abandon();
  }
}

Task<std::optional<Refusal>> JsonClient::take(const std::expected<Wish, Refusal>& wish) {
  if (!wish) co_return wish.error();
  if (wish->type != "message") co_return Refusal{"already_joined", "you are in the room already"};
  if (auto refusal = check_text(wish->argument)) co_return refusal;
  if (!member_->may_say_now(wish->argument.size())) co_await member_->ready();
  member_->say(wish->argument);
  co_return std::nullopt;
}

Task<> JsonClient::tell(const Refusal& refusal) {
  const std::string text = error_text(refusal);
  if (!member_) {
    co_await socket_.send_text(text);
    co_return;
  }
  std::string frame;  // through the outbox, to keep its place among the messages
  ws::append_frame(frame, ws::Opcode::text, text);
  member_->tell(std::move(frame));
}

}  // namespace

Task<> talk_json(ws::Connection& socket, Room& room, const ChatLimits& limits) {
  JsonClient client(socket, room, limits);
  co_await client.talk();
}

}  // namespace coax::chat
