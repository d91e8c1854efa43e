// Invariant: the events do not depend on how the bytes are split, texts and reasons are UTF-8, nothing is above its
// limit, nothing follows a close or a failure; encoding messages and decoding them returns the same messages.
#include "coax/codec/websocket.hpp"

#include "fuzz/input.hpp"

namespace {

using coax::fuzz::require;
using coax::ws::Event;
using coax::ws::MessageDecoder;
using coax::ws::Opcode;
using coax::ws::Role;

constexpr std::size_t message_bytes_max = 200;

std::vector<std::string> decode(coax::fuzz::Pieces pieces, Role role) {
  MessageDecoder decoder(role, message_bytes_max);
  std::vector<std::string> events;
  bool ended = false;
  for (auto& piece : pieces) {
    decoder.feed(piece);
    while (const auto event = decoder.next()) {
      const bool control = event->kind != Event::Kind::text && event->kind != Event::Kind::binary;
      require(!ended && event->payload.size() <= (control ? 125 : message_bytes_max));
      if (event->kind == Event::Kind::text || event->kind == Event::Kind::close) require(coax::is_utf8(event->payload));
      ended = event->kind == Event::Kind::close || event->kind == Event::Kind::failure;
      events.push_back(std::to_string(static_cast<int>(event->kind)) + " " + std::to_string(event->code) + " " +
                       event->payload.string());
    }
    std::vector<char>().swap(piece);
  }
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = coax::fuzz::text_of(data, size);
  for (const Role role : {Role::server, Role::client}) {
    coax::fuzz::require_same_however_cut(input,
                                         [role](coax::fuzz::Pieces pieces) { return decode(std::move(pieces), role); });
  }
  std::string frame;
  coax::ws::append_frame(frame, Opcode::binary, input, coax::ws::Mask{'a', '\xFF', '\0', '!'});
  coax::ws::append_frame(frame, Opcode::close, coax::ws::close_payload(1000, coax::is_utf8(input) ? input : ""),
                         coax::ws::Mask{});
  MessageDecoder decoder(Role::server, size);
  decoder.feed(frame);
  auto event = decoder.next();
  require(event && event->kind == Event::Kind::binary && event->payload.text() == input);
  event = decoder.next();
  require(event && event->kind == Event::Kind::close && event->code == 1000 &&
          input.starts_with(event->payload.text()));
  return 0;
}
