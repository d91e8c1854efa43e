// Every operation is forwarded, and recorded when it is complete. While the sink pauses, operations are delayed before
// the stream below sees them. resume() starts them in a later turn of the loop, so that it does not re-enter its
// caller: one at a time, because done() may destroy the stream.
#include "coax/stream/recording_stream.hpp"

#include <algorithm>
#include <cerrno>

namespace coax {

RecordingStream::Advance::Advance(RecordingStream& stream) noexcept
    : Completion([](Completion& self) noexcept { static_cast<Advance&>(self).of.advance(); }), of(stream) {}

RecordingStream::RecordingStream(Below below, Sink sink) noexcept : Layer(std::move(below)), sink_(std::move(sink)) {}

RecordingStream::~RecordingStream() {
  if (delayed_recv_ != nullptr || !delayed_sends_.empty()) [[unlikely]]
    abort_destroyed_in_use();
}

// --- operations that begin at once ---

bool RecordingStream::queue(BytesView bytes) noexcept {
  if (delays_send() || !Layer::queue(bytes)) return false;
  if (!bytes.empty()) sink_(Direction::sent, bytes);
  return true;
}

bool RecordingStream::start_now(RecvOp& op) noexcept {
  if (!Layer::start(op)) return false;
  record(op);
  return true;
}

bool RecordingStream::start_now(SendOp& op) noexcept {
  if (!Layer::start(op)) return false;
  record(op);
  return true;
}

void RecordingStream::complete(RecvOp& op) noexcept {
  if (std::exchange(completed_, nullptr) == &op) return;
  Layer::complete(op);
  record(op);
}

void RecordingStream::complete(SendOp& op) noexcept {
  if (std::exchange(completed_, nullptr) == &op) return;
  Layer::complete(op);
  record(op);
}

// --- delayed operations ---

bool RecordingStream::start(RecvOp& op) noexcept {
  if (delayed_recv_ != nullptr) {
    op.result = -EBUSY;
    return true;
  }
  if (!delays_recv()) return start_now(op);
  delayed_recv_ = &op;
  return false;
}

bool RecordingStream::start(SendOp& op) noexcept {
  if (!delays_send()) return start_now(op);
  delayed_sends_.push_back(op);
  return false;
}

void RecordingStream::resume() noexcept {
  paused_ = false;
  advance_later();
}

void RecordingStream::advance_later() noexcept {
  if (delayed_recv_ != nullptr || !delayed_sends_.empty()) loop().finish_later(advance_);
}

void RecordingStream::advance() noexcept {
  Completion* complete = start_delayed_recv();
  if (complete == nullptr) complete = start_delayed_send();
  if (complete == nullptr) return;
  advance_later();
  completed_ = complete;
  complete->done(*complete);
}

// Returns: what is complete already.
Completion* RecordingStream::start_delayed_recv() noexcept {
  if (delayed_recv_ == nullptr || (delays_recv() && !recv_is_cancelled_)) return nullptr;
  RecvOp& op = *std::exchange(delayed_recv_, nullptr);
  if (std::exchange(recv_is_cancelled_, false)) {
    op.result = -ECANCELED;
    return &op;
  }
  return start_now(op) ? &op : nullptr;
}

Completion* RecordingStream::start_delayed_send() noexcept {
  SendOp* cancelled = nullptr;
  delayed_sends_.for_each([&cancelled](SendOp& op) {
    if (op.state == SendOp::State::cancelling) cancelled = &op;
  });
  if (cancelled != nullptr) {
    cancelled->unlink();
    cancelled->error = ECANCELED;
    cancelled->state = SendOp::State::complete;
    return cancelled;
  }
  while (!delayed_sends_.empty() && (!paused_ || closed_)) {
    SendOp& op = delayed_sends_.pop_front();
    if (start_now(op)) return &op;
  }
  return nullptr;
}

void RecordingStream::cancel(RecvOp& op) noexcept {
  if (delayed_recv_ != &op) return Layer::cancel(op);
  recv_is_cancelled_ = true;
  advance_later();
}

void RecordingStream::cancel(SendOp& op) noexcept {
  bool is_delayed = false;
  delayed_sends_.for_each([&](const SendOp& each) { is_delayed = is_delayed || &each == &op; });
  if (!is_delayed) return Layer::cancel(op);
  op.state = SendOp::State::cancelling;
  advance_later();
}

void RecordingStream::close() noexcept {
  Layer::close();
  closed_ = true;
  advance_later();
}

void RecordingStream::abort() noexcept {
  Layer::abort();
  closed_ = true;
  advance_later();
}

void RecordingStream::end_input() noexcept {
  Layer::end_input();
  input_ended_ = true;
  advance_later();
}

void RecordingStream::reopen_input() noexcept {
  Layer::reopen_input();
  input_ended_ = false;
}

// --- recording ---

void RecordingStream::record(const RecvOp& op) noexcept {
  if (op.result > 0) {
    sink_(Direction::received, op.received());
  } else if (op.result == 0 && !std::exchange(recv_ended_, true)) {
    sink_(Direction::received, {});
  }
}

void RecordingStream::record(const SendOp& op) noexcept {
  std::size_t left = op.error == 0 ? op.total() : op.sent;
  for (const BytesView& piece : op.pieces()) {
    const BytesView sent = piece.first(std::min(left, piece.size()));
    left -= sent.size();
    if (!sent.empty()) sink_(Direction::sent, sent);
  }
  const bool is_end = op.then == SendOp::Then::shutdown && op.error == 0;
  if (is_end && !std::exchange(send_ended_, true)) sink_(Direction::sent, {});
}

}  // namespace coax
