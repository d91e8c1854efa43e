// The WebSocket's encoding: JSON objects in text messages, both ways.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "services/chat/event.hpp"
#include "services/chat/refusal.hpp"
#include "services/chat/wire.hpp"

namespace coax::chat {

struct ClientMessage {
  enum class Type : std::uint8_t { join, message };
  Type type;
  std::string argument;  // the nick of `join`, the text of `message`

  bool operator==(const ClientMessage&) const = default;
};

// Returns: the message, or Refusal "bad_message".
std::expected<ClientMessage, Refusal> parse_client_message(BytesView json);

// Each a whole WebSocket frame.
void append_json_event(std::string& out, const Event& event);
void append_json_welcome(std::string& out, const Welcome& welcome);
std::string text_frame(std::string_view json);

// The JSON of an error, without a frame.
std::string error_json(const Refusal& refusal);

}  // namespace coax::chat
