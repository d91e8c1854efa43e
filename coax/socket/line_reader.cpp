// The decoder of lines fed from a socket.
#include "coax/socket/line_reader.hpp"

#include "coax/base/error.hpp"

namespace coax {

std::optional<Bytes> LineReader::next() {
  std::optional<TimePoint> until;  // for the whole line
  while (true) {
    if (const auto event = decoder_.next()) return take(*event);
    if (ended_) {
      const auto event = decoder_.rest();
      return event ? std::optional(take(*event)) : std::nullopt;
    }
    const Bytes bytes = socket_.recv_until(until);
    ended_ = bytes.empty();
    const auto protocol = refuse_foreign_ ? detector_.feed(bytes) : ForeignProtocol::none;
    if (protocol != ForeignProtocol::none) {
      ended_ = true;
      static_cast<void>(decoder_.rest());  // the beginning of it, where it came in pieces
      socket_.send(foreign_answer(protocol));
      throw ForeignProtocolError(protocol, socket_.peer_text());
    }
    decoder_.feed(bytes);
  }
}

Bytes LineReader::take(const LineEvent& event) const {
  if (event.kind == LineEvent::Kind::line) return event.bytes;
  throw Error(ErrorKind::protocol, "read a line from", socket_.peer_text(), "it is longer than is allowed here");
}

}  // namespace coax
