// JSON messages: frames whose payload is validated.
#include "coax/stream/json_messages.hpp"

#include <fmt/core.h>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"

namespace coax {

namespace {

Framing lines() { return Framing::delimited("\n", Framing::AtEnd::whole); }

}  // namespace

JsonMessages::JsonMessages(Stream& stream, const JsonMessagesOptions& options)
    : JsonMessages(stream, lines(), options) {}

JsonMessages::JsonMessages(Stream& stream, Framing framing, const JsonMessagesOptions& options)
    : stream_(stream),
      on_lines_(framing.kind() == Framing::Kind::delimited),
      frames_(stream, std::move(framing), {.frame_bytes_max = options.message_bytes_max}),
      depth_max_(options.depth_max) {}

JsonMessages::JsonMessages(Reader& reader, const JsonMessagesOptions& options)
    : JsonMessages(reader, lines(), options) {}

JsonMessages::JsonMessages(Reader& reader, Framing framing, const JsonMessagesOptions& options)
    : stream_(reader.stream()),
      on_lines_(framing.kind() == Framing::Kind::delimited),
      frames_(reader, std::move(framing), {.frame_bytes_max = options.message_bytes_max}),
      depth_max_(options.depth_max) {}

Task<std::optional<BytesView>> JsonMessages::recv() {
  while (true) {
    const std::optional<BytesView> text = co_await frames_.next();
    if (!text) co_return std::nullopt;
    if (on_lines_ && trim(*text).empty()) continue;
    const auto fault = check_json(*text, depth_max_);
    if (!fault) co_return text;
    throw Error(ErrorKind::protocol, "read JSON from", stream_.peer_name(),
                fmt::format("{} (byte {})", fault->reason, fault->at));
  }
}

Task<> JsonMessages::send(BytesView json) {
  if (const auto fault = check_json(json, json_depth_limit)) {
    throw Error(ErrorKind::invalid, "send JSON to", stream_.peer_name(),
                fmt::format("{} (byte {})", fault->reason, fault->at));
  }
  const bool has_line_ends = on_lines_ && json.text().find_first_of("\r\n") != std::string_view::npos;
  const std::string line = has_line_ends ? json_on_one_line(json) : std::string();
  const BytesView payload = has_line_ends ? BytesView(line) : json;
  co_await frames_.send(payload);
}

}  // namespace coax
