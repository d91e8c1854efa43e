// SocketFrames: the decoder fed from the socket, and what goes around a payload sent with it as one.
#include "coax/socket/frames.hpp"

#include "coax/base/error.hpp"

namespace coax {

std::optional<Bytes> SocketFrames::next(std::optional<TimePoint>& until) {
  while (true) {
    if (const auto event = decoder_.next()) return take(*event);
    if (ended_) {
      const auto event = decoder_.rest();
      return event ? std::optional(take(*event)) : std::nullopt;
    }
    const Bytes bytes = socket_.recv_until(until);
    ended_ = bytes.empty();
    decoder_.feed(bytes);
  }
}

Bytes SocketFrames::take(const FrameEvent& event) const {
  const auto fail = [&](ErrorKind kind, std::string_view reason) {
    throw Error(kind, "read a frame from", socket_.peer_text(), reason);
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

void SocketFrames::send(Bytes payload) {
  const auto envelope = framing_.enclose(payload);
  if (!envelope) throw Error(ErrorKind::invalid, "send a frame to", socket_.peer_text(), envelope.error());
  const std::array<Bytes, 3> pieces{envelope->head(), payload, envelope->tail};
  socket_.send(pieces);
  if (framing_.kind() == Framing::Kind::until_close) socket_.finish();
}

}  // namespace coax
