// SocketJsonMessages: frames whose payload is validated.
#include "coax/socket/json_messages.hpp"

#include <fmt/core.h>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"

namespace coax {

namespace {

Framing lines() { return Framing::delimited("\n", Framing::AtEnd::whole); }

}  // namespace

SocketJsonMessages::SocketJsonMessages(Socket& socket, const JsonMessagesOptions& options)
    : SocketJsonMessages(socket, lines(), options) {}

SocketJsonMessages::SocketJsonMessages(Socket& socket, Framing framing, const JsonMessagesOptions& options)
    : socket_(socket),
      on_lines_(framing.kind() == Framing::Kind::delimited),
      frames_(socket, std::move(framing), {.frame_bytes_max = options.message_bytes_max}),
      depth_max_(options.depth_max) {}

SocketJsonMessages::SocketJsonMessages(SocketReader& reader, const JsonMessagesOptions& options)
    : SocketJsonMessages(reader, lines(), options) {}

SocketJsonMessages::SocketJsonMessages(SocketReader& reader, Framing framing, const JsonMessagesOptions& options)
    : socket_(reader.socket()),
      on_lines_(framing.kind() == Framing::Kind::delimited),
      frames_(reader, std::move(framing), {.frame_bytes_max = options.message_bytes_max}),
      depth_max_(options.depth_max) {}

std::optional<BytesView> SocketJsonMessages::recv() {
  std::optional<TimePoint> until;  // for the blank lines before it, too
  while (true) {
    const std::optional<BytesView> text = frames_.next(until);
    if (!text) return std::nullopt;
    if (on_lines_ && trim(*text).empty()) continue;
    const auto fault = check_json(*text, depth_max_);
    if (!fault) return text;
    throw Error(ErrorKind::protocol, "read JSON from", socket_.peer_text(),
                fmt::format("{} (byte {})", fault->reason, fault->at));
  }
}

void SocketJsonMessages::send(BytesView json) {
  if (const auto fault = check_json(json, json_depth_limit)) {
    throw Error(ErrorKind::invalid, "send JSON to", socket_.peer_text(),
                fmt::format("{} (byte {})", fault->reason, fault->at));
  }
  const bool has_line_ends = on_lines_ && json.text().find_first_of("\r\n") != std::string_view::npos;
  frames_.send(has_line_ends ? BytesView(json_on_one_line(json)) : json);
}

}  // namespace coax
