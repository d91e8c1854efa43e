// A buffer that is filled from the socket.
#include "coax/socket/reader.hpp"

#include "coax/base/error.hpp"

namespace coax {

void SocketReader::receive(std::optional<TimePoint>& deadline) {
  buffer_.keep();
  const ForeignProtocol protocol = buffer_.received(source_.recv(source_.object, deadline));
  if (protocol == ForeignProtocol::none) return;
  source_.send(source_.object, foreign_answer(protocol));
  throw ForeignProtocolError(protocol, source_.socket.peer_text());
}

template <class Step>
std::optional<BytesView> SocketReader::read(Step step) {
  std::optional<TimePoint> deadline;
  buffer_.begin();
  while (true) {
    const ReadStep found = step();
    switch (found.kind) {
      case ReadStep::Kind::found: return found.bytes;
      case ReadStep::Kind::end: return std::nullopt;
      case ReadStep::Kind::need_more: receive(deadline); break;
      default: buffer_.fail(found, source_.socket.peer_text());
    }
  }
}

std::optional<BytesView> SocketReader::line() {
  return read([this] { return buffer_.line(); });
}

std::optional<BytesView> SocketReader::until(std::string_view delimiter) {
  return read([&] { return buffer_.until(delimiter); });
}

BytesView SocketReader::exactly(std::size_t count) {
  return read([&] { return buffer_.exactly(count); }).value();
}

BytesView SocketReader::some() {
  return read([this] { return buffer_.some(); }).value();
}

}  // namespace coax
