// Invariant: the frames do not depend on how the bytes are split, and none is above the limit; encoding a frame and
// decoding it returns the same frame, and nothing else.
#include "coax/codec/frames.hpp"

#include "fuzz/input.hpp"

namespace {

using coax::ByteOrder;
using coax::FrameEvent;
using coax::Framing;
using coax::LengthPrefix;

Framing framing_of(std::uint8_t choice) {
  switch (choice % 4) {
    case 0: return Framing::fixed(choice / 4 % 16 + 1);
    case 1: {
      static constexpr std::string_view delimiters[] = {"\n", "\r\n", "aa", "aba", "aab"};
      const std::string_view delimiter = delimiters[choice / 8 % std::size(delimiters)];
      return Framing::delimited(std::string(delimiter), choice & 4 ? Framing::AtEnd::whole : Framing::AtEnd::cut_off);
    }
    case 2:
      return Framing::length_prefixed(static_cast<LengthPrefix>(choice / 8 % 5),
                                      choice & 4 ? ByteOrder::big : ByteOrder::little);
    default: return Framing::until_close();
  }
}

using Events = std::vector<std::pair<FrameEvent::Kind, std::string>>;

Events decode(const Framing& framing, coax::fuzz::Pieces pieces, std::size_t frame_bytes_max) {
  coax::FrameDecoder frames(framing, frame_bytes_max);
  Events events;
  const auto keep = [&](const FrameEvent& event) {
    coax::fuzz::require(framing.kind() == Framing::Kind::fixed || event.bytes.size() <= frame_bytes_max);
    events.emplace_back(event.kind, event.bytes.string());
    return event.kind != FrameEvent::Kind::bad_length;
  };
  for (auto& piece : pieces) {
    frames.feed(std::span(piece));
    while (const auto event = frames.next()) {
      if (!keep(*event)) return events;
    }
    std::vector<char>().swap(piece);
  }
  if (const auto event = frames.rest()) keep(*event);
  coax::fuzz::require(!frames.rest());
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Framing framing = framing_of(data[0]);
  const std::string_view input = coax::fuzz::text_of(data + 1, size - 1);
  for (const std::size_t frame_bytes_max : {std::size_t{4}, size}) {
    coax::fuzz::require_same_however_cut(
        input, [&](coax::fuzz::Pieces pieces) { return decode(framing, std::move(pieces), frame_bytes_max); });
  }
  const auto envelope = framing.enclose(input);
  if (!envelope) return 0;
  const std::string wire = envelope->head().string() + std::string(input) + envelope->tail.string();
  const Events events = decode(framing, coax::fuzz::cut(wire, 1), size);
  coax::fuzz::require(events == Events{{FrameEvent::Kind::frame, std::string(input)}});
  return 0;
}
