// How datagrams are sent: queued during the loop's turn, handed over together at its end.
//
// What the kernel refuses is one of three things. A message of several datagrams that some device or route does not
// take: they are sent one by one, and if that helps, no such long ones are joined any more. On a connected socket, news
// of an earlier datagram: told to the next call, and this one is tried again, once. Else it is about this datagram and
// its peer: counted and passed over, since the others in the queue have nothing to do with it.
#include "coax/stream/datagram_sender.hpp"

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

DatagramSender::DatagramSender()
    : op_(Op::Kind::send_batch,
          [](Completion& self) noexcept {
            DatagramSender& sender = *static_cast<SendNow&>(self).sender;
            sender.in_flight_ = false;
            sender.note(sender.op_.result);
            sender.push();
            give_back_if_idle(sender.transport_->sender_);
          }),
      end_of_turn_([](Flush& self) noexcept {
        DatagramSender& sender = *static_cast<EndOfTurn&>(self).sender;
        sender.push();
        give_back_if_idle(sender.transport_->sender_);
      }) {
  op_.sender = this;
  end_of_turn_.sender = this;
}

std::unique_ptr<DatagramSender> DatagramSender::take(DatagramTransport& transport) {
  std::unique_ptr<DatagramSender> sender;
  if (spare_senders().empty()) {
    sender.reset(new DatagramSender);
  } else {
    sender = std::move(spare_senders().back());
    spare_senders().pop_back();
  }
  sender->transport_ = &transport;
  sender->op_.descriptor = transport.descriptor_;
  sender->op_.outgoing = &sender->batch_;
  // Of a Unix socket that is not connected nobody tells when a peer has room again.
  sender->batch_.set_waits(transport.family_ != Family::local || transport.is_connected());
  return sender;
}

void DatagramSender::give_back_if_idle(std::unique_ptr<DatagramSender>& sender) noexcept {
  if (sender->in_flight_ || !sender->batch_.empty() || !sender->waits_.empty()) return;
  sender->end_of_turn_.unlink();
  sender->transport_ = nullptr;
  if (spare_senders().size() < spare_max) spare_senders().push_back(std::move(sender));
  sender.reset();
}

bool DatagramSender::start(Send& op) noexcept {
  if (!end_of_turn_.linked()) loop().flush_later(end_of_turn_);
  if (op.what_ != Send::What::flush && waits_.empty() && add(op)) return true;
  waits_.push_back(op);
  if (!loop().backend().spend()) return false;  // its share of this turn is used up: the end of the turn will send it
  starting_ = &op;
  push();
  return std::exchange(starting_, nullptr) == nullptr;
}

bool DatagramSender::add(const Send& op) noexcept {
  const auto to = op.to_ != nullptr ? op.to_->native() : std::span<const std::byte>();
  return batch_.add(op.datagram_, to, op.from_, transport_->join_bytes_max_);
}

void DatagramSender::push() noexcept {
  admit();
  while (!in_flight_ && !batch_.empty()) {
    op_.state = Op::State::idle;
    if (loop().backend().submit(op_)) {
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
    if (op.what_ == Send::What::flush) {
      if (!batch_.empty()) return;
      settle(op, std::exchange(transport_->failure_, 0));
    } else if (add(op)) {
      settle(op, 0);
    } else {
      return;
    }
  }
}

void DatagramSender::note(std::int64_t result) noexcept {
  if (result < 0) return note_error(static_cast<int>(-result));
  if (suspected_join_max_) transport_->join_bytes_max_ = *std::exchange(suspected_join_max_, std::nullopt);
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
  if (transport_->is_connected()) {
    transport_->note_failure(reason, transport_->peer_);
    if (!std::exchange(tried_again_, true)) return;
  } else {
    transport_->note_failure(reason, Address::from_native(batch_.to()));
  }
  transport_->undelivered_ += batch_.datagrams();
  tried_again_ = false;
  batch_.pop(1);
  if (!batch_.is_apart()) suspected_join_max_.reset();
}

void DatagramSender::settle(Send& op, int error) noexcept {
  op.unlink();
  op.error_ = error;
  op.settled_ = true;
  if (&op == starting_) {
    starting_ = nullptr;
  } else {
    loop().finish_later(op);
  }
}

void DatagramSender::cancel(Send& op) noexcept {
  if (!op.settled_) settle(op, ECANCELED);
}

void DatagramSender::abandon() noexcept {
  op_.unlink();
  in_flight_ = false;
  batch_.clear();
  while (!waits_.empty()) settle(waits_.front(), EBADF);
}

}  // namespace coax
