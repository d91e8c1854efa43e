// Sending of datagrams: queued during the loop's turn, passed to the kernel in batches at its end.
//
// An error of the kernel has one of three causes:
// - A device or route does not support a message of several datagrams. They are sent one by one; if that succeeds,
//   datagrams of that length are not joined any more.
// - On a connected socket, an earlier datagram failed (ICMP). The next call throws the error, and this datagram is
//   tried again, once.
// - Otherwise this datagram or its peer is the cause. It is counted and skipped, since the others in the queue are not
//   affected.
#include "coax/datagram/sender.hpp"

#include <cerrno>

namespace coax {

namespace {

std::vector<std::unique_ptr<DatagramSender>>& spare_senders() {
  static thread_local std::vector<std::unique_ptr<DatagramSender>> spare;
  return spare;
}
constexpr std::size_t spare_max = 8;

bool may_be_for_joining(int reason) noexcept { return reason == EINVAL || reason == EIO || reason == EMSGSIZE; }

}  // namespace

DatagramSender::DatagramSender(Reports reports, Loop& loop) noexcept
    : reports_(reports),
      loop_(&loop),
      op_(Op::Kind::send_batch,
          [](Completion& self) noexcept {
            DatagramSender& sender = *static_cast<SendNow&>(self).sender;
            sender.in_flight_ = false;
            sender.note(sender.op_.result);
            sender.push();
            sender.reports_.release_if_idle();
          }),
      end_of_turn_([](Flush& self) noexcept {
        DatagramSender& sender = *static_cast<EndOfTurn&>(self).sender;
        sender.push();
        sender.reports_.release_if_idle();
      }) {
  op_.sender = this;
  end_of_turn_.sender = this;
}

std::unique_ptr<DatagramSender> DatagramSender::acquire(Reports reports, Loop& loop, Descriptor descriptor,
                                                        bool can_wait) {
  std::unique_ptr<DatagramSender> sender;
  if (spare_senders().empty()) {
    sender.reset(new DatagramSender(reports, loop));
  } else {
    sender = std::move(spare_senders().back());
    spare_senders().pop_back();
  }
  sender->reports_ = reports;
  sender->loop_ = &loop;
  sender->op_.descriptor = descriptor;
  sender->op_.outgoing() = &sender->batch_;
  sender->batch_.set_waits(can_wait);
  return sender;
}

void DatagramSender::release(std::unique_ptr<DatagramSender> sender) noexcept {
  sender->end_of_turn_.unlink();
  if (spare_senders().size() < spare_max) spare_senders().push_back(std::move(sender));
}

bool DatagramSender::start(Send& op) noexcept {
  if (!end_of_turn_.linked()) loop_->flush_later(end_of_turn_);
  if (op.what != Send::What::flush && waits_.empty() && add(op)) return true;
  waits_.push_back(op);
  if (!loop_->backend().consume_budget()) return false;  // the budget of this turn is used: sent at its end
  starting_ = &op;
  push();
  return std::exchange(starting_, nullptr) == nullptr;
}

bool DatagramSender::add(const Send& op) noexcept {
  const auto to = op.to != nullptr ? op.to->native() : std::span<const std::byte>();
  return batch_.add(op.datagram, to, op.from, reports_.join_bytes_max());
}

void DatagramSender::push() noexcept {
  admit();
  while (!in_flight_ && !batch_.empty()) {
    op_.state = Op::State::idle;
    if (loop_->backend().submit(op_)) {
      note(op_.result);
    } else {
      in_flight_ = true;
    }
    admit();
  }
}

void DatagramSender::admit() noexcept {
  while (!waits_.empty()) {
    Send& op = waits_.front();
    if (op.what == Send::What::flush) {
      if (!batch_.empty()) return;
      complete(op, reports_.take_failure());
    } else if (add(op)) {
      complete(op, 0);
    } else {
      return;
    }
  }
}

void DatagramSender::note(std::int32_t result) noexcept {
  if (result < 0) return note_error(static_cast<int>(-result));
  if (suspected_join_max_) reports_.lower_join_bytes_max(*std::exchange(suspected_join_max_, std::nullopt));
  tried_again_ = false;
  batch_.pop(static_cast<std::size_t>(result));
}

void DatagramSender::note_error(int reason) noexcept {
  if (reason == EBADF) return batch_.clear();
  if (may_be_for_joining(reason) && batch_.datagrams() > 1) {
    suspected_join_max_ = reason == EIO ? 0 : batch_.segment_bytes() - 1;
    batch_.take_apart();
    return;
  }
  if (reports_.is_connected()) {
    reports_.record_failure(reason, reports_.peer());
    if (!std::exchange(tried_again_, true)) return;
  } else {
    reports_.record_failure(reason, Address::from_native(batch_.to()));
  }
  reports_.record_undelivered(batch_.datagrams());
  tried_again_ = false;
  batch_.pop(1);
  if (!batch_.is_apart()) suspected_join_max_.reset();
}

void DatagramSender::complete(Send& op, int error) noexcept {
  op.unlink();
  op.error = error;
  op.state = Send::State::complete;
  if (&op == starting_) {
    starting_ = nullptr;
  } else {
    loop_->finish_later(op);
  }
}

void DatagramSender::cancel(Send& op) noexcept {
  if (op.state != Send::State::complete) complete(op, ECANCELED);
}

void DatagramSender::abandon() noexcept {
  op_.unlink();
  in_flight_ = false;
  batch_.clear();
  while (!waits_.empty()) complete(waits_.front(), EBADF);
}

}  // namespace coax
