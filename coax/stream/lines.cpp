// Lines: the decoder fed from the stream.
#include "coax/stream/lines.hpp"

#include "coax/base/error.hpp"
#include "coax/task/scope.hpp"

namespace coax {

Task<std::optional<Bytes>> Lines::next() {
  while (true) {
    co_await checkpoint();
    if (auto event = decoder_.next()) co_return take(*event);
    if (paused_ || ended_) {
      paused_ = unfinished_ = false;
      if (auto event = decoder_.rest()) co_return take(*event);
    }
    if (ended_) co_return std::nullopt;
    const Bytes bytes = co_await recv_until_pause();
    ended_ = bytes.empty() && !paused_;
    unfinished_ = true;
    const auto protocol = refuse_foreign_ ? detector_.feed(bytes) : ForeignProtocol::none;
    if (protocol != ForeignProtocol::none) co_await refuse(protocol);
    decoder_.feed(bytes);
  }
}

Task<> Lines::refuse(ForeignProtocol protocol) {
  ended_ = true;
  static_cast<void>(decoder_.rest());  // the beginning of it, where it came in pieces
  co_await stream_.send(foreign_answer(protocol));
  throw ForeignProtocolError(protocol, stream_.peer_name());
}

// Empty: the stream has ended, or paused_ says that it only paused.
Task<Bytes> Lines::recv_until_pause() {
  if (pause_ && unfinished_ && !decoder_.saw_line_end()) {
    try {
      const Bytes bytes = co_await timeout(*pause_, stream_.recv());
      co_return bytes;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::timed_out) throw;
      paused_ = true;
    }
    co_return Bytes();
  }
  const Bytes bytes = co_await stream_.recv();
  co_return bytes;
}

std::optional<Bytes> Lines::take(const LineEvent& event) const {
  charge_bytes(event.bytes.size());
  if (event.kind == LineEvent::Kind::line) return event.bytes;
  throw Error(ErrorKind::protocol, "read a line from", stream_.peer_name(), "it is longer than is allowed here");
}

}  // namespace coax
