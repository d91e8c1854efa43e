// Sending on stream sockets. Small sends are copied into the queue, which is sent at the end of the loop's turn, with
// one sendmsg(2). A send that does not fit waits, and its bytes are not copied. The queue is always sent before the
// waiting sends, and nothing is queued while one waits, so the order of the calls is the order on the wire.
#include "coax/stream/socket_writer.hpp"

#include <cerrno>

#include "coax/base/free_list.hpp"

namespace coax {

namespace {
thread_local FreeList<SocketWriter, 64> spare_writers;
}  // namespace

SocketWriter::SocketWriter(Reports reports, Loop& loop) noexcept
    : reports_(reports),
      loop_(&loop),
      op_(Op::Kind::send,
          [](Completion& self) noexcept {
            SocketWriter& writer = *static_cast<SendNow&>(self).writer;
            writer.in_flight_ = false;
            writer.note_sent(writer.op_.result);
            writer.push();
            writer.reports_.release_if_idle();
          }),
      end_of_turn_([](Flush& self) noexcept {
        SocketWriter& writer = *static_cast<EndOfTurn&>(self).writer;
        writer.push();
        writer.reports_.release_if_idle();
      }) {
  op_.writer = this;
  end_of_turn_.writer = this;
}

std::unique_ptr<SocketWriter> SocketWriter::acquire(Reports reports, Loop& loop, Descriptor descriptor) {
  std::unique_ptr<SocketWriter> writer = spare_writers.acquire();
  if (!writer) writer.reset(new SocketWriter(reports, loop));
  writer->reports_ = reports;
  writer->loop_ = &loop;
  writer->op_.descriptor = descriptor;
  return writer;
}

void SocketWriter::release(std::unique_ptr<SocketWriter> writer) noexcept {
  writer->end_of_turn_.unlink();
  writer->stalled_since_.reset();
  writer->acknowledged_.reset();
  spare_writers.release(std::move(writer));
}

bool SocketWriter::start(SendOp& op) noexcept {
  const std::size_t total = op.total();
  const bool is_small = op.then == SendOp::Then::nothing && total <= copied_bytes_max && op.sent == 0;
  if (is_small && queue(op.pieces(), total)) return true;
  if (!end_of_turn_.linked()) loop_->flush_later(end_of_turn_);
  if (!loop_->backend().consume_budget()) {  // the task's budget is exhausted: end_of_turn_ sends it
    waits_.append(op);
    return false;
  }
  return waits_.start(op, [this] { push(); });
}

bool SocketWriter::queue(std::span<const BytesView> pieces, std::size_t total) noexcept {
  if (!waits_.empty() || total > queue_bytes_max - queue_end_) return false;
  if (!end_of_turn_.linked()) loop_->flush_later(end_of_turn_);
  for (const BytesView& piece : pieces) {
    queue_end_ += piece.text().copy(queue_.data() + queue_end_, piece.size());
  }
  return true;
}

void SocketWriter::push() noexcept {
  complete_sent();
  while (!in_flight_) {
    const std::size_t count = gather();
    if (count == 0) return;
    op_.gather() = {.list = vectors_.data(), .count = count};
    op_.state = Op::State::idle;
    if (loop_->backend().submit(op_)) {
      note_sent(op_.result);
    } else {
      in_flight_ = true;
      if (!stalled_since_) stalled_since_ = loop_->now();
    }
  }
}

std::size_t SocketWriter::gather() noexcept {
  std::size_t count = 0;
  if (queue_begin_ != queue_end_) vectors_[count++] = {queue_.data() + queue_begin_, queue_end_ - queue_begin_};
  bool finishing = false;
  waits_.for_each([&](const SendOp& op) {
    if (finishing) return;
    finishing = op.then == SendOp::Then::shutdown;
    std::size_t skip = op.sent;
    for (const BytesView& piece : op.pieces()) {
      const std::size_t skipped = std::min(skip, piece.size());
      skip -= skipped;
      if (skipped == piece.size() || count == vectors_max) continue;
      vectors_[count++] = {const_cast<char*>(piece.data()) + skipped, piece.size() - skipped};
    }
  });
  return count;
}

void SocketWriter::note_sent(std::int64_t result) noexcept {
  if (result >= 0) {
    reports_.record_sent();
    stalled_since_.reset();
    consume(static_cast<std::size_t>(result));
    complete_sent();
  } else if (result != -ECANCELED) {
    fail(static_cast<int>(-result));
  }
  drop_cancelled();
}

void SocketWriter::consume(std::size_t count) noexcept {
  const std::size_t queued = std::min(count, queue_end_ - queue_begin_);
  queue_begin_ += queued;
  if (queue_begin_ == queue_end_) queue_begin_ = queue_end_ = 0;
  count -= queued;
  waits_.for_each([&](SendOp& op) {
    const std::size_t taken = std::min(count, op.total() - op.sent);
    op.sent += taken;
    count -= taken;
  });
}

void SocketWriter::complete_sent() noexcept {
  while (queue_begin_ == queue_end_ && !waits_.empty() && waits_.front().sent == waits_.front().total()) {
    SendOp& op = waits_.front();
    if (op.then != SendOp::Then::shutdown) {
      waits_.complete(op, 0, *loop_);
      continue;
    }
    const int failure = loop_->backend().shutdown_send(op_.descriptor);
    if (failure == 0) reports_.record_shutdown();
    waits_.complete(op, failure, *loop_);
    fail(EPIPE);  // sends that were started after the shutdown, and all later ones
  }
}

void SocketWriter::cancel(SendOp& op) noexcept {
  if (op.state == SendOp::State::complete) return;
  op.state = SendOp::State::cancelling;
  if (in_flight_) return loop_->backend().cancel(op_);  // the kernel may read its bytes: it ends when op_ does
  drop_cancelled();
}

void SocketWriter::drop_cancelled() noexcept {
  bool broken = false;  // a part of a cancelled send was sent: any later bytes would corrupt the stream
  waits_.for_each([&](SendOp& op) {
    if (op.state != SendOp::State::cancelling) return;
    broken = broken || op.sent != 0;
    waits_.complete(op, ECANCELED, *loop_);
  });
  if (broken) fail(EPIPE);
}

void SocketWriter::fail(int reason) noexcept {
  reports_.record_failure(reason);
  stalled_since_.reset();
  queue_begin_ = queue_end_ = 0;
  waits_.complete_all(reason, *loop_);
}

void SocketWriter::abandon() noexcept {
  op_.unlink();
  in_flight_ = false;
  fail(EBADF);
}

}  // namespace coax
