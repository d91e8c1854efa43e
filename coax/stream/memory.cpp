// Two pipes, one in each direction. Bytes leave a pipe only when the receiver is resumed, so that a recv() that is
// cancelled in the same turn loses none.
#include "coax/stream/memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace coax {

struct MemoryStream::Pipe {
  explicit Pipe(std::size_t capacity) : bytes(new char[capacity]), size(capacity) {}

  // Copies as many bytes as fit; returns their count.
  std::size_t put(BytesView from) noexcept {
    const std::size_t count = std::min(from.size(), size - used);
    for (std::size_t done = 0; done < count;) {
      const std::size_t at = (begin + used) % size;
      const std::size_t part = std::min(count - done, size - at);
      std::memcpy(bytes.get() + at, from.data() + done, part);
      used += part;
      done += part;
    }
    return count;
  }
  std::size_t take(std::span<char> to) noexcept {
    const std::size_t count = std::min(to.size(), used);
    for (std::size_t done = 0; done < count;) {
      const std::size_t part = std::min(count - done, size - begin);
      std::memcpy(to.data() + done, bytes.get() + begin, part);
      begin = (begin + part) % size;
      used -= part;
      done += part;
    }
    return count;
  }

  std::unique_ptr<char[]> bytes;
  std::size_t size;
  std::size_t begin = 0;
  std::size_t used = 0;
  MemoryStream* sender = nullptr;  // null when it is closed
  MemoryStream* receiver = nullptr;
  bool finished = false;  // no more bytes will follow
  bool reset = false;
};

MemoryStream::MemoryStream(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out)
    : in_(std::move(in)), out_(std::move(out)) {
  in_->receiver = this;
  out_->sender = this;
}

MemoryStream::~MemoryStream() {
  if (receiving_ != nullptr || !sends_.empty()) [[unlikely]]
    abort_destroyed_in_use();
  if (!closed_) Loop::require_current(loop(), "a stream");
  close();
}

std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> memory_stream_pair(std::size_t capacity) {
  auto there = std::make_shared<MemoryStream::Pipe>(capacity);
  auto back = std::make_shared<MemoryStream::Pipe>(capacity);
  return {std::make_unique<MemoryStream>(back, there), std::make_unique<MemoryStream>(there, back)};
}

void MemoryStream::close() noexcept {
  if (closed_) return;
  closed_ = true;
  return_lent();
  wake_receiver();
  fail_sends(EBADF);
  out_->finished = true;
  out_->sender = nullptr;
  in_->receiver = nullptr;
  if (out_->receiver != nullptr) out_->receiver->wake_receiver();
  if (in_->sender != nullptr) in_->sender->fail_sends(EPIPE);
}

void MemoryStream::abort() noexcept {
  if (closed_) return;
  out_->reset = true;
  out_->used = 0;
  close();
}

void MemoryStream::end_input() noexcept {
  input_ended_ = true;
  wake_receiver();
}

Duration MemoryStream::send_stalled() const noexcept {
  return stalled_since_ ? loop().now() - *stalled_since_ : Duration::zero();
}

// --- receiving ---

bool MemoryStream::can_complete() const noexcept {
  return closed_ || input_ended_ || in_->reset || in_->used != 0 || in_->finished;
}

bool MemoryStream::start(RecvOp& op) noexcept {
  if (!begin(op)) return true;
  const bool ready = can_complete();
  if (ready && loop().backend().consume_budget()) {
    complete(op);
    return true;
  }
  receiving_ = &op;
  if (ready) wake_receiver();  // it never has to wait: yield to the other tasks
  return false;
}

void MemoryStream::wake_receiver() noexcept {
  if (receiving_ != nullptr && !receiving_->linked()) loop().finish_later(*receiving_);
}

void MemoryStream::cancel(RecvOp& op) noexcept {
  op.result = -ECANCELED;
  wake_receiver();
}

void MemoryStream::complete(RecvOp& op) noexcept {
  receiving_ = nullptr;
  if (op.result == -ECANCELED) return;
  if (closed_) {
    op.result = -EBADF;
  } else if (in_->reset) {
    op.result = -ECONNRESET;
  } else if (input_ended_ || in_->used == 0) {
    op.result = 0;
  } else {
    take_bytes(op);
  }
}

void MemoryStream::take_bytes(RecvOp& op) noexcept {
  std::span<char> to;
  if (op.kind == Op::Kind::recv) {
    lent_ = loop().backend().buffers().take();
    to = {lent_->data(), lent_->size()};
  } else {
    to = {op.into().data, op.into().size};
  }
  const std::size_t count = in_->take(to.first(std::min(to.size(), recv_bytes_max_)));
  op.result = static_cast<std::int32_t>(count);
  if (op.kind == Op::Kind::recv) op.lent() = {.buffer = lent_, .data = to.data()};
  last_active_ = loop().now();
  has_received_ = true;
  if (in_->sender != nullptr) in_->sender->push();
}

// --- sending ---

bool MemoryStream::start(SendOp& op) noexcept {
  const bool after_finish = out_->finished && op.then != SendOp::Then::nothing;
  if (!closed_ && after_finish) return true;
  if (send_error_ != 0 || out_->finished) {
    op.error = send_error_ != 0 ? send_error_ : EPIPE;
    return true;
  }
  return sends_.start(op, [this] { push(); });
}

bool MemoryStream::queue(BytesView bytes) noexcept {
  if (send_error_ != 0 || out_->finished || !sends_.empty() || bytes.size() > out_->size - out_->used) return false;
  out_->put(bytes);
  if (out_->receiver != nullptr && bytes) out_->receiver->wake_receiver();
  return true;
}

void MemoryStream::push() noexcept {
  while (!sends_.empty()) {
    SendOp& op = sends_.front();
    std::size_t skip = op.sent;
    std::size_t put = 0;
    for (const BytesView& piece : op.pieces()) {
      const std::size_t skipped = std::min(skip, piece.size());
      skip -= skipped;
      put += out_->put(piece.from(skipped));
    }
    op.sent += put;
    if (put != 0) last_active_ = loop().now();
    const bool all = op.sent == op.total();
    if (!all && (put != 0 || !stalled_since_)) stalled_since_ = loop().now();
    if (put != 0 && out_->receiver != nullptr) out_->receiver->wake_receiver();
    if (!all) return;
    if (op.then == SendOp::Then::shutdown) out_->finished = true;
    if (out_->finished && out_->receiver != nullptr) out_->receiver->wake_receiver();
    sends_.complete(op, 0, loop());
    if (out_->finished) return fail_sends(EPIPE);
  }
  stalled_since_.reset();
}

void MemoryStream::fail_sends(int error) noexcept {
  send_error_ = error;
  stalled_since_.reset();
  sends_.complete_all(error, loop());
}

void MemoryStream::cancel(SendOp& op) noexcept {
  if (op.state == SendOp::State::complete) return;
  const bool broken = op.sent != 0;  // the peer has a part of it, and cannot make sense of any later send
  sends_.complete(op, ECANCELED, loop());
  if (broken) return fail_sends(EPIPE);
  push();
}

}  // namespace coax
