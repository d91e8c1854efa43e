// Datagrams on the loop: one system call receives a batch, and further calls are served from it.
#include "coax/datagram/transport.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "coax/base/error.hpp"
#include "coax/datagram/sender.hpp"
#include "coax/loop/datagrams.hpp"
#include "coax/stream/look_up.hpp"
#include "coax/task/scope.hpp"

namespace coax {

namespace {

constexpr Duration look_up_limit = std::chrono::seconds(30);
constexpr std::size_t v4_bytes_max = 65507;
constexpr std::size_t v6_bytes_max = 65527;

bool is_ip(Family family) noexcept { return family == Family::v4 || family == Family::v6; }

}  // namespace

// --- opening and closing ---

DatagramTransport::DatagramTransport(std::string_view at, const DatagramOptions& options)
    : DatagramTransport(Address::of_literal(at, "receive at"), options) {}

DatagramTransport::DatagramTransport(const Address& at, const DatagramOptions& options)
    : DatagramTransport(at, Address(), options) {}

DatagramTransport DatagramTransport::connect(const Address& to, const DatagramOptions& options) {
  if (to.family() == Family::none) throw Error(ErrorKind::address, "connect", "", "no address to connect to");
  return {Address(), to, options};
}

DatagramTransport::DatagramTransport(const Address& at, const Address& peer, const DatagramOptions& options)
    : loop_(Loop::current()),
      family_(at.family() != Family::none ? at.family() : peer.family()),
      peer_(peer),
      join_bytes_max_(is_ip(family_) ? SIZE_MAX : 0) {
  const auto descriptor = loop_.backend().open_datagrams(at, peer, options);
  if (!descriptor && is_connected()) {
    throw Error(descriptor.error(), "connect to", peer.to_string(), connect_advice(descriptor.error(), peer));
  }
  if (!descriptor) {
    throw Error(descriptor.error(), "receive at", at.to_string(), listen_advice(descriptor.error(), at));
  }
  descriptor_ = *descriptor;
}

DatagramTransport::~DatagramTransport() {
  if (descriptor_) Loop::require_current(loop_, "a DatagramTransport");
  close();
}

void DatagramTransport::close() noexcept {
  if (!descriptor_) return;
  give_back_batch();
  loaded_ = false;
  if (sender_) sender_->push();
  loop_.backend().close(std::exchange(descriptor_, {}));
  if (sender_) {
    sender_->abandon();
    release_idle_sender();
  }
}

namespace {

Task<std::unique_ptr<DatagramTransport>> connect_by_name(std::string where, DatagramOptions options) {
  using Result = std::unique_ptr<DatagramTransport>;
  const auto open = [&](const Address& to) {
    // NOLINTNEXTLINE(modernize-make-unique): it cannot be moved
    return Result(new DatagramTransport(DatagramTransport::connect(to, options)));
  };
  if (where.starts_with("unix:")) co_return open(Address::of(where, Family::local));
  const auto target = parse_host_port(where);
  if (!target || !target->port) {
    throw Error(ErrorKind::invalid, "connect to", where, "give HOST:PORT, an IPv6 address as [ADDRESS]:PORT");
  }
  const std::string host = target->host.empty() ? "localhost" : target->host;
  if (const auto numeric = Endpoint::from_ip(host, *target->port)) co_return open(*numeric);
  const std::vector<Endpoint> addresses = co_await timeout(look_up_limit, look_up(host, *target->port));
  std::optional<Error> failure;
  for (const Endpoint& address : addresses) {
    try {
      co_return open(address);
    } catch (const Error& error) {
      if (!failure) failure = error;
    }
  }
  throw Error(failure->kind(), "connect to", where, failure->what());
}

}  // namespace

Task<std::unique_ptr<DatagramTransport>> connect_datagrams(std::string_view where, DatagramOptions options) {
  return connect_by_name(std::string(where), options);
}

// --- options ---

void DatagramTransport::apply(int level, int name, std::span<const std::byte> value, const char* operation) {
  const SocketOption option{.level = level, .name = name, .value = value.data(), .size = value.size()};
  if (const int reason = loop_.backend().set_option(descriptor_, option); reason != 0) {
    throw Error(reason, operation, local().to_string());
  }
}

void DatagramTransport::join(const Endpoint& group, unsigned interface, const std::optional<Endpoint>& source) {
  const auto option = MulticastOption::join(group, interface, source);
  apply(option.level(), option.name(), option.value(), "join a group at");
}

void DatagramTransport::leave(const Endpoint& group, unsigned interface, const std::optional<Endpoint>& source) {
  const auto option = MulticastOption::leave(group, interface, source);
  apply(option.level(), option.name(), option.value(), "leave a group at");
}

void DatagramTransport::set_multicast_interface(unsigned interface) {
  const auto option = MulticastOption::interface(family_, interface);
  apply(option.level(), option.name(), option.value(), "set the multicast interface of");
}

void DatagramTransport::set(const options::Flag& option, bool value) {
  const int number = value ? 1 : 0;
  apply(option.level, option.name, std::as_bytes(std::span(&number, 1)), "set an option of");
}

void DatagramTransport::set(const options::Number& option, int value) {
  apply(option.level, option.name, std::as_bytes(std::span(&value, 1)), "set an option of");
}

// --- receiving ---

DatagramTransport::Recv::Recv(DatagramTransport& transport, std::size_t bytes_max) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& recv = static_cast<Recv&>(self);
        recv.transport_.loop_.cancel(recv);
      }),
      Op(Kind::recv_batch,
         [](Completion& self) noexcept {
           auto& recv = static_cast<Recv&>(self);
           recv.transport_.settle(recv);
           recv.resume();
         }),
      transport_(transport),
      bytes_max_(bytes_max) {}

bool DatagramTransport::start(Recv& op) noexcept {
  if (receiving_ != nullptr) [[unlikely]] {
    op.result = -EBUSY;
    return true;
  }
  op.result = 1;
  if (loaded_ || load()) {
    if (loop_.backend().consume_budget(1)) return true;
    // The budget of this turn is used: the rest of the batch stays, and a cancelled wait consumes none of it.
    op.result = -EAGAIN;
    receiving_ = &op;
    loop_.run_next_turn(op);
    return false;
  }
  const bool was_full = messages_ == ReceiveBatch::messages_max;
  give_back_batch();
  if (is_connected() && failure_ != 0) {
    op.result = -std::exchange(failure_, 0);
    return true;
  }
  op.descriptor = descriptor_;
  op.incoming() = {.lent = nullptr, .may_be_joined = is_ip(family_)};
  // After a full batch the other tasks have their turn, and the replies to it are sent.
  if (was_full && batch_turn_ == loop_.now()) {
    loop_.submit_later(op);
  } else if (loop_.submit(op)) {
    settle(op);
    return true;
  }
  receiving_ = &op;
  return false;
}

void DatagramTransport::settle(Recv& op) noexcept {
  receiving_ = nullptr;
  if (op.result == -EAGAIN) {  // the budget of its turn was used
    op.result = loaded_ ? 1 : -EBADF;
    return;
  }
  if (op.result == -ECANCELED && is_connected() && failure_ != 0) op.result = -std::exchange(failure_, 0);
  if (op.result <= 0) return;
  batch_ = op.incoming().lent;
  messages_ = static_cast<std::size_t>(op.result);
  next_ = 0;
  batch_turn_ = loop_.now();
  load();
}

bool DatagramTransport::load() noexcept {
  if (next_ == messages_) return false;
  const ReceiveBatch::Message message = batch_->message(next_++);
  data_ = message.data;
  left_ = message.size;
  segment_ = message.segment;
  length_ = message.length;
  from_ = message.from;
  to_ = message.to;
  return loaded_ = true;
}

Datagram DatagramTransport::take(std::size_t bytes_max) noexcept {
  const std::size_t size = segment_ == 0 ? left_ : std::min(left_, segment_);
  const char* const data = std::exchange(data_, data_ + size);
  left_ -= size;
  loaded_ = left_ != 0;
  return {.bytes = BytesView(data, std::min(size, bytes_max)),
          .from = Address::from_native(from_),
          .length = segment_ == 0 ? length_ : size,
          .to = to_};
}

void DatagramTransport::give_back_batch() noexcept {
  next_ = messages_ = 0;
  if (batch_ != nullptr) ReceiveBatch::give_back(std::exchange(batch_, nullptr));
}

Datagram DatagramTransport::Recv::finish() const {
  if (result > 0) return transport_.take(bytes_max_);
  if (result == -ECANCELED) throw Cancelled();
  const Address& peer = transport_.peer_;
  if (result == -EBUSY) {
    throw Error(ErrorKind::invalid, "recv from", peer.to_string(), "another task already receives from it");
  }
  throw Error(static_cast<int>(-result), "recv from", peer.to_string(), result == -EBADF ? "it was closed" : "");
}

// --- sending ---

DatagramTransport::Send::Send(DatagramTransport& transport, What what, BytesView datagram, const Address* to,
                              const Endpoint& from) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& send = static_cast<Send&>(self);
        if (send.transport_.sender_) send.transport_.sender_->cancel(send);
      }),
      DatagramSendOp{Completion([](Completion& self) noexcept { static_cast<Send&>(self).resume(); }),
                     what,
                     State::pending,
                     0,
                     datagram,
                     to,
                     from},
      transport_(transport) {}

void DatagramTransport::release_idle_sender() noexcept {
  if (sender_->is_idle()) DatagramSender::release(std::move(sender_));
}

int DatagramTransport::refusal(const DatagramSendOp& op) const noexcept {
  if (!descriptor_) return EBADF;
  if (op.what == Send::What::flush) return 0;
  if (op.what == Send::What::send && !is_connected()) return EDESTADDRREQ;
  if (op.what == Send::What::send_to && is_connected()) return EISCONN;
  const Family to = op.to != nullptr ? op.to->family() : family_;
  if (to != family_ && (to != Family::v4 || family_ != Family::v6)) return EAFNOSUPPORT;
  const std::size_t most = to == Family::v4   ? v4_bytes_max
                           : to == Family::v6 ? v6_bytes_max
                                              : ReceiveBatch::message_bytes_max;
  return op.datagram.size() > most ? EMSGSIZE : 0;
}

bool DatagramTransport::start(Send& op) noexcept {
  loop_.require_own_thread();
  op.error = refusal(op);
  if (op.error == 0 && failure_ != 0 && op.what == Send::What::send) op.error = std::exchange(failure_, 0);
  if (op.error != 0) return true;
  if (!sender_) {
    if (op.what == Send::What::flush) {
      op.error = std::exchange(failure_, 0);
      return true;
    }
    // The kernel does not report when the peer of an unconnected Unix socket has room again.
    const bool can_wait = family_ != Family::local || is_connected();
    sender_ = DatagramSender::acquire(SendReports(*this), loop_, descriptor_, can_wait);
  }
  return sender_->start(op);
}

void DatagramTransport::note_failure(int reason, const Address& to) noexcept {
  if (is_connected() && failure_ != 0) return;  // the first error is the cause
  failure_ = reason;
  failed_to_ = to;
  if (is_connected() && receiving_ != nullptr) loop_.cancel(*receiving_);  // its settle() reports it
}

void DatagramTransport::Send::fail() const {
  if (error == ECANCELED) throw Cancelled();
  const Address& receiver = to != nullptr               ? *to
                            : transport_.is_connected() ? transport_.peer_
                            : what == What::flush       ? transport_.failed_to_
                                                        : Address();
  std::string_view advice = connect_advice(error, receiver);
  if (error == EBADF) advice = "it was closed";
  if (error == EDESTADDRREQ) advice = "name the receiver with send_to(), or connect";
  if (error == EISCONN) advice = "it is connected: use send()";
  if (error == EMSGSIZE) advice = "a datagram has at most 65,507 bytes over IPv4, 65,527 over IPv6";
  if (error == EAFNOSUPPORT) advice = "the socket is of another family";
  throw Error(error, "send to", receiver.to_string(), advice);
}

}  // namespace coax
