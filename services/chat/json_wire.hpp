// The WebSocket's encoding: JSON objects in text messages, both ways.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/bus/bus.hpp"
#include "services/chat/event.hpp"
#include "services/chat/refusal.hpp"
#include "services/chat/rooms.hpp"
#include "services/chat/wire.hpp"

namespace coax::chat {

struct ClientMessage {
  enum class Type : std::uint8_t {
    join,
    message,
    // of version 2
    leave,
    edit,
    remove,
    topic,
    nick,
    direct,
    history,
    search,
    rooms,
    users,
  };
  Type type = Type::join;
  std::string argument = {};  // the nick of `join` and `nick`, the text of the others, the words of `search`
  std::string room = {};      // empty: the lobby
  std::string id = {};        // of `message` and `direct`
  std::string to = {};        // of `direct`
  std::string token = {};     // of the first `join`: a secret by which the client's own messages are known
  std::string ref = {};       // JSON, which the answer repeats; empty: none
  std::uint64_t version = 1;  // of the first `join`
  std::uint64_t seq = 0;      // of `edit` and `remove`
  std::optional<std::uint64_t> after = {};  // of `history` and `search`, as ReadRange; none: the newest events
  std::uint64_t before = std::numeric_limits<std::int64_t>::max();
  std::uint64_t limit = 50;

  bool operator==(const ClientMessage&) const = default;
};

// Returns: the message, or Refusal "bad_message".
std::expected<ClientMessage, Refusal> parse_client_message(BytesView json);
// Returns: a message with nothing but the `ref`, if it can be read: for the answer to one that cannot be parsed.
ClientMessage reference_of(BytesView json);

// Each a whole WebSocket frame.
void append_json_event(std::string& out, std::string_view room, const Event& event);
void append_json_welcome(std::string& out, const Welcome& welcome);
std::string text_frame(std::string_view json);

// The JSON of an event, without a frame. The lobby is not named.
void append_event_json(std::string& out, std::string_view room, const Event& event);

// The JSON of an answer, without a frame: with the `ref`, and for `message` the id, of the request.
std::string error_json(const Refusal& refusal, const ClientMessage& request = {});
std::string done_json(const ClientMessage& request);
std::string ack_json(const ClientMessage& request, const Receipt& receipt);
// `type`: "history" or "found".
std::string history_json(const ClientMessage& request, std::string_view type, const Room::Page& page,
                         const Subject::Extent& extent, std::string_view epoch);
std::string rooms_json(const ClientMessage& request, const std::vector<RoomInfo>& rooms);
// `epoch`: empty outside of the answer to `join`.
std::string users_json(const ClientMessage& request, const RoomState& state, std::string_view topic,
                       std::string_view epoch = {});

}  // namespace coax::chat
