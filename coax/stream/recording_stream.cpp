// Every operation is forwarded, and recorded when it is complete.
#include "coax/stream/recording_stream.hpp"

#include <algorithm>

namespace coax {

bool RecordingStream::queue(BytesView bytes) noexcept {
  if (!Layer::queue(bytes)) return false;
  if (!bytes.empty()) sink_(Direction::sent, bytes);
  return true;
}

bool RecordingStream::start(RecvOp& op) noexcept {
  if (!Layer::start(op)) return false;
  record(op);
  return true;
}

void RecordingStream::complete(RecvOp& op) noexcept {
  Layer::complete(op);
  record(op);
}

bool RecordingStream::start(SendOp& op) noexcept {
  if (!Layer::start(op)) return false;
  record(op);
  return true;
}

void RecordingStream::complete(SendOp& op) noexcept {
  Layer::complete(op);
  record(op);
}

void RecordingStream::record(const RecvOp& op) noexcept {
  if (op.result > 0) {
    sink_(Direction::received, op.received());
  } else if (op.result == 0 && !std::exchange(recv_ended_, true)) {
    sink_(Direction::received, {});
  }
}

void RecordingStream::record(const SendOp& op) noexcept {
  std::size_t left = op.error == 0 ? op.total : op.sent;
  for (const BytesView& piece : op.pieces()) {
    const BytesView sent = piece.first(std::min(left, piece.size()));
    left -= sent.size();
    if (!sent.empty()) sink_(Direction::sent, sent);
  }
  const bool is_end = op.then == SendOp::Then::shutdown && op.error == 0;
  if (is_end && !std::exchange(send_ended_, true)) sink_(Direction::sent, {});
}

}  // namespace coax
