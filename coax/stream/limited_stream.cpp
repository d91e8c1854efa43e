// Each direction has a time at which it is free again; every byte delays it by 1/rate seconds. A receive before that
// time waits for a timer first. A send is cut into pieces, which are operations of the layer's own.
#include "coax/stream/limited_stream.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "coax/base/error.hpp"

namespace coax {

namespace {

std::size_t checked(std::optional<std::size_t> rate) {
  if (rate == 0) throw Error(ErrorKind::invalid, "limit", "a stream", "the rate must be at least 1 byte per second");
  return rate.value_or(0);
}

// The largest piece: the bytes of a twentieth of a second.
std::size_t piece_bytes(std::size_t rate) noexcept { return std::clamp<std::size_t>(rate / 20, 1, 64_KiB); }

}  // namespace

void LimitedStream::Rate::charge(std::size_t bytes, TimePoint now) noexcept {
  if (bytes_per_second == 0) return;
  const std::chrono::duration<double> cost(static_cast<double>(bytes) / static_cast<double>(bytes_per_second));
  free_at = std::max(free_at, now) + std::chrono::duration_cast<Duration>(cost);
}

LimitedStream::LimitedStream(Below below, const StreamRates& rates)
    : Layer(std::move(below)),
      recv_{.bytes_per_second = checked(rates.recv_bytes_per_second), .free_at = loop().now()},
      send_{.bytes_per_second = checked(rates.send_bytes_per_second), .free_at = loop().now()},
      piece_([](Completion& self) noexcept {
        LimitedStream& stream = *static_cast<PieceOp&>(self).of;
        stream.below().complete(stream.piece_);
        stream.piece_is_complete();
        stream.pump();
      }) {
  piece_.of = this;
}

LimitedStream::~LimitedStream() {
  if (delayed_ != nullptr || complete_ != nullptr || !sends_.empty()) [[unlikely]]
    abort_destroyed_in_use();
}

// --- receiving ---

bool LimitedStream::start(RecvOp& op) noexcept {
  if (delayed_ != nullptr || complete_ != nullptr) {
    op.result = -EBUSY;
    return true;
  }
  if (!recv_.is_free(loop().now())) {
    delayed_ = &op;
    loop().timers().start(recv_timer_, recv_.free_at);
    return false;
  }
  return start_now(op);
}

bool LimitedStream::start_now(RecvOp& op) noexcept {
  if (!unread_.empty()) {  // a receive below would end their lifetime
    if (input_ended_) {
      op.result = 0;
    } else {
      take_unread(op);
    }
    return true;
  }
  if (op.kind == Op::Kind::recv_into) op.into().size = std::min(op.into().size, recv_bytes_max());
  if (!Layer::start(op)) return false;
  limit_received(op);
  return true;
}

std::size_t LimitedStream::recv_bytes_max() const noexcept {
  return recv_.bytes_per_second == 0 ? SIZE_MAX : piece_bytes(recv_.bytes_per_second);
}

// The stream below lends more than the rate allows: the remaining bytes stay lent until its next recv.
void LimitedStream::limit_received(RecvOp& op) noexcept {
  if (op.result <= 0) return;
  const auto count = static_cast<std::size_t>(op.result);
  const std::size_t allowed = std::min(count, recv_bytes_max());
  if (op.kind == Op::Kind::recv) unread_ = std::span(op.lent().data, count).subspan(allowed);
  op.result = static_cast<std::int32_t>(allowed);
  recv_.charge(allowed, loop().now());
}

void LimitedStream::take_unread(RecvOp& op) noexcept {
  std::size_t count = std::min(unread_.size(), recv_bytes_max());
  if (op.kind == Op::Kind::recv) {
    op.lent() = {.buffer = nullptr, .data = unread_.data()};
  } else {
    count = std::min(count, op.into().size);
    std::ranges::copy(unread_.first(count), op.into().data);
  }
  op.result = static_cast<std::int32_t>(count);
  unread_ = unread_.subspan(count);
  recv_.charge(count, loop().now());
}

bool LimitedStream::start_delayed() noexcept {
  RecvOp* const op = std::exchange(delayed_, nullptr);
  if (op == nullptr || !start_now(*op)) return false;
  complete_ = op;
  return true;
}

// The caller gets its bytes at once: if it were cancelled after the stream below had returned them, they would be lost.
void LimitedStream::recv_delay_is_over() noexcept {
  if (start_delayed()) complete_->done(*complete_);
}

void LimitedStream::interrupt_recv() noexcept {
  recv_timer_.unlink();
  if (start_delayed()) loop().finish_later(*complete_);
}

void LimitedStream::complete(RecvOp& op) noexcept {
  if (complete_ == &op) {
    complete_ = nullptr;
    return;
  }
  Layer::complete(op);
  limit_received(op);
}

void LimitedStream::cancel(RecvOp& op) noexcept {
  if (complete_ == &op) return;
  if (delayed_ != &op) return Layer::cancel(op);
  recv_timer_.unlink();
  delayed_ = nullptr;
  op.result = -ECANCELED;
  complete_ = &op;
  loop().finish_later(op);
}

void LimitedStream::end_input() noexcept {
  Layer::end_input();
  input_ended_ = true;
  interrupt_recv();
}

void LimitedStream::reopen_input() noexcept {
  Layer::reopen_input();
  input_ended_ = false;
}

// --- sending ---

bool LimitedStream::start(SendOp& op) noexcept {
  if (send_.bytes_per_second == 0) return Layer::start(op);
  if (send_error_ != 0) {
    op.error = send_error_;
    return true;
  }
  return sends_.start(op, [this] { pump(); });
}

bool LimitedStream::queue(BytesView bytes) noexcept {
  if (send_error_ != 0 || !sends_.empty() || !Layer::queue(bytes)) return false;
  send_.charge(bytes.size(), loop().now());
  return true;
}

void LimitedStream::pump() noexcept {
  send_timer_.unlink();
  while (!piece_is_sent_ && !sends_.empty()) {
    SendOp& op = sends_.front();
    if (op.sent == op.total() && op.then == SendOp::Then::nothing) {
      sends_.complete(op, 0, loop());
      continue;
    }
    if (op.sent != op.total() && !send_.is_free(loop().now())) {
      return loop().timers().start(send_timer_, send_.free_at);
    }
    piece_is_sent_ = true;
    if (start_piece(op)) piece_is_complete();
  }
}

bool LimitedStream::start_piece(SendOp& op) noexcept {
  BytesView next;
  piece_.then = op.sent == op.total() ? op.then : SendOp::Then::nothing;
  std::size_t skip = op.sent;
  for (const BytesView& piece : op.pieces()) {
    if (skip < piece.size()) {
      next = piece.from(skip).first(std::min(piece.size() - skip, piece_bytes(send_.bytes_per_second)));
      break;
    }
    skip -= piece.size();
  }
  piece_.assign(next);
  piece_.error = 0;
  piece_.state = SendOp::State::pending;
  return below().start(piece_);
}

void LimitedStream::piece_is_complete() noexcept {
  piece_is_sent_ = false;
  if (sends_.empty()) return;  // closed in between
  SendOp& op = sends_.front();
  const std::size_t sent = piece_.error == 0 ? piece_.total() : piece_.sent;
  send_.charge(sent, loop().now());
  op.sent += sent;
  const bool is_whole = op.sent == op.total() && op.then == piece_.then && piece_.error == 0;
  if (is_whole) return sends_.complete(op, 0, loop());
  if (piece_.error != 0 && piece_.error != ECANCELED) return fail_sends(piece_.error);
  if (op.state != SendOp::State::cancelling) return;
  complete_cancelled(op);
}

void LimitedStream::complete(SendOp& op) noexcept {
  if (send_.bytes_per_second == 0) Layer::complete(op);
}

void LimitedStream::fail_sends(int error) noexcept { sends_.complete_all(error, loop()); }

// After a part was sent, the peer cannot make sense of any later send.
void LimitedStream::complete_cancelled(SendOp& op) noexcept {
  if (op.sent != 0) send_error_ = EPIPE;
  sends_.complete(op, ECANCELED, loop());
  if (send_error_ != 0) fail_sends(send_error_);
}

void LimitedStream::cancel(SendOp& op) noexcept {
  if (send_.bytes_per_second == 0) return Layer::cancel(op);
  if (op.state == SendOp::State::complete) return;
  const bool is_first = &op == &sends_.front();
  if (is_first && piece_is_sent_) {
    op.state = SendOp::State::cancelling;
    return below().cancel(piece_);
  }
  complete_cancelled(op);
  pump();
}

// --- closing ---

void LimitedStream::interrupt() noexcept {
  unread_ = {};
  interrupt_recv();
  send_timer_.unlink();
  sends_.complete_all(EBADF, loop());
}

void LimitedStream::close() noexcept {
  Layer::close();
  interrupt();
}

void LimitedStream::abort() noexcept {
  Layer::abort();
  interrupt();
}

}  // namespace coax
