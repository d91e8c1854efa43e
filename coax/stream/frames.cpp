// Frames: the decoder fed from the stream, and what goes around a payload sent with it as one.
#include "coax/stream/frames.hpp"

#include "coax/base/error.hpp"

namespace coax {

Task<std::optional<Bytes>> Frames::next() {
  while (true) {
    if (const auto event = decoder_.next()) co_return take(*event);
    if (ended_) {
      const auto event = decoder_.rest();
      co_return event ? take(*event) : std::nullopt;
    }
    const Bytes bytes = co_await stream_.recv();
    ended_ = bytes.empty();
    decoder_.feed(bytes);
  }
}

std::optional<Bytes> Frames::take(const FrameEvent& event) const {
  const auto fail = [&](ErrorKind kind, std::string_view reason) {
    throw Error(kind, "read a frame from", stream_.peer_name(), reason);
  };
  switch (event.kind) {
    case FrameEvent::Kind::frame: break;
    case FrameEvent::Kind::too_long:
      fail(ErrorKind::protocol, "it is longer than " + format_size(frame_bytes_max_) + ", the limit here");
      break;
    case FrameEvent::Kind::bad_length: fail(ErrorKind::protocol, "its length has more than 64 bits"); break;
    case FrameEvent::Kind::cut_off: fail(ErrorKind::disconnected, "the stream ended in the middle of it"); break;
  }
  return event.bytes;
}

Task<> Frames::send(Bytes payload) {
  const auto envelope = framing_.enclose(payload);
  if (!envelope) throw Error(ErrorKind::invalid, "send a frame to", stream_.peer_name(), envelope.error());
  const std::array<Bytes, 3> pieces{envelope->head(), payload, envelope->tail};
  co_await stream_.send(pieces);
  if (framing_.kind() == Framing::Kind::until_close) co_await stream_.finish();
}

}  // namespace coax
