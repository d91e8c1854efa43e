// Frames: a Reader with the decoder of frames; a payload is sent together with its header in one call.
#include "coax/stream/frames.hpp"

#include "coax/base/error.hpp"
#include "coax/task/scope.hpp"

namespace coax {

Task<std::optional<BytesView>> Frames::next() {
  while (true) {
    co_await checkpoint();
    if (const auto event = reader_->try_next(decoder_)) co_return take(*event);
    if (reader_->at_end()) co_return std::nullopt;
    co_await reader_->fill();
  }
}

BytesView Frames::take(const FrameEvent& event) const {
  if (event.kind == FrameEvent::Kind::frame) return event.bytes;
  throw frame_error(event.kind, options_, reader_->stream().peer_name());
}

Task<> Frames::send(BytesView payload) {
  const auto envelope = framing_.enclose(payload);
  if (!envelope) throw Error(ErrorKind::invalid, "send a frame to", reader_->stream().peer_name(), envelope.error());
  const std::array<BytesView, 3> pieces{envelope->head(), payload, envelope->tail};
  co_await reader_->stream().send(pieces);
  if (framing_.kind() == Framing::Kind::until_close) co_await reader_->stream().shutdown_send();
}

}  // namespace coax
