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
    const bool looks = options_.refuse_foreign && framing_.kind() != Framing::Kind::until_close;
    const auto protocol = looks ? detector_.feed(bytes) : ForeignProtocol::none;
    if (protocol != ForeignProtocol::none) {
      ended_ = true;
      decoder_ = FrameDecoder(framing_, options_.frame_bytes_max);  // and nothing of a frame is left
      socket_.send(foreign_answer(protocol));
      throw ForeignProtocolError(protocol, socket_.peer_text());
    }
    decoder_.feed(bytes);
  }
}

Bytes SocketFrames::take(const FrameEvent& event) const {
  if (event.kind == FrameEvent::Kind::frame) return event.bytes;
  throw frame_error(event.kind, options_, socket_.peer_text());
}

void SocketFrames::send(Bytes payload) {
  const auto envelope = framing_.enclose(payload);
  if (!envelope) throw Error(ErrorKind::invalid, "send a frame to", socket_.peer_text(), envelope.error());
  const std::array<Bytes, 3> pieces{envelope->head(), payload, envelope->tail};
  socket_.send(pieces);
  if (framing_.kind() == Framing::Kind::until_close) socket_.shutdown_send();
}

}  // namespace coax
