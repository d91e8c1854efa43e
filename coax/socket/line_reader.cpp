// LineReader: a SocketReader with the decoder of lines.
#include "coax/socket/line_reader.hpp"

#include "coax/base/error.hpp"

namespace coax {

std::optional<BytesView> LineReader::next() {
  const auto event = reader_->next(decoder_);
  if (!event) return std::nullopt;
  if (event->kind == LineEvent::Kind::line) return event->bytes;
  throw LineTooLong(reader_->socket().peer_text());
}

}  // namespace coax
