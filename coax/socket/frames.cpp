// SocketFrames: a SocketReader with the decoder of frames; a payload is sent together with its header in one call.
#include "coax/socket/frames.hpp"

#include "coax/base/error.hpp"

namespace coax {

std::optional<BytesView> SocketFrames::next(std::optional<TimePoint>& until) {
  const auto event = reader_->next(decoder_, until);
  if (!event) return std::nullopt;
  if (event->kind == FrameEvent::Kind::frame) return event->bytes;
  throw frame_error(event->kind, options_, reader_->socket().peer_text());
}

void SocketFrames::send(BytesView payload) {
  const auto envelope = framing_.enclose(payload);
  if (!envelope) throw Error(ErrorKind::invalid, "send a frame to", reader_->socket().peer_text(), envelope.error());
  const std::array<BytesView, 3> pieces{envelope->head(), payload, envelope->tail};
  reader_->socket().send(pieces);
  if (framing_.kind() == Framing::Kind::until_close) reader_->socket().shutdown_send();
}

}  // namespace coax
