// Frames: the decoder fed from the stream, and what goes around a payload sent with it as one.
#include "coax/stream/frames.hpp"

#include "coax/base/error.hpp"
#include "coax/task/scope.hpp"

namespace coax {

Task<std::optional<Bytes>> Frames::next() {
  while (true) {
    co_await checkpoint();
    if (const auto event = decoder_.next()) co_return take(*event);
    if (ended_) {
      const auto event = decoder_.rest();
      co_return event ? std::optional(take(*event)) : std::nullopt;
    }
    const Bytes bytes = co_await stream_.recv();
    ended_ = bytes.empty();
    const bool looks = options_.refuse_foreign && framing_.kind() != Framing::Kind::until_close;
    const auto protocol = looks ? detector_.feed(bytes) : ForeignProtocol::none;
    if (protocol != ForeignProtocol::none) {
      ended_ = true;
      decoder_ = FrameDecoder(framing_, options_.frame_bytes_max);  // and nothing of a frame is left
      co_await stream_.send(foreign_answer(protocol));
      throw ForeignProtocolError(protocol, stream_.peer_name());
    }
    decoder_.feed(bytes);
  }
}

Bytes Frames::take(const FrameEvent& event) const {
  charge_bytes(event.bytes.size());
  if (event.kind == FrameEvent::Kind::frame) return event.bytes;
  throw frame_error(event.kind, options_, stream_.peer_name());
}

Task<> Frames::send(Bytes payload) {
  const auto envelope = framing_.enclose(payload);
  if (!envelope) throw Error(ErrorKind::invalid, "send a frame to", stream_.peer_name(), envelope.error());
  const std::array<Bytes, 3> pieces{envelope->head(), payload, envelope->tail};
  co_await stream_.send(pieces);
  if (framing_.kind() == Framing::Kind::until_close) co_await stream_.shutdown_send();
}

}  // namespace coax
