// The io_uring back-end: requests are submitted in batches, once per turn, and are answered by completions.
//
// Theory of operation. A receive request takes a provided buffer, which recv() lends to the task. At first there is one
// request for each recv(). After several short receives in a row, one multishot request stays in the kernel and
// produces a completion, each with a buffer, for every receive. Accepting is multishot from the start. A completion
// without a waiting operation is kept (`early`), and the multishot request is cancelled; so what one connection may
// hold is bounded by the provided buffers and the peer's window. Rules:
// - A tag (user_data) names the slot, its generation and the lane: which of the slot's operations the request is for.
//   A completion for a released slot is dropped, together with its buffer.
// - Memory that a pending request points to must live until its completion: a cancelled send, connect or recv_into
//   ends only with its completion, and close() blocks until then. A request with provided buffers points to no memory
//   of ours.
// - A queued request names its descriptor by number: close() submits the queue before the number is free again.
// - With O_NONBLOCK, a request fails with EAGAIN instead of waiting: our descriptors are blocking.
// - Batches of datagrams use recvmmsg(2) and sendmmsg(2) after a poll request: multishot requests have no batches, and
//   one completion per datagram costs more than the calls.
// - Where the kernel supports it, the descriptor of a connection moves to the ring's table of fixed files, which
//   RLIMIT_NOFILE does not count. For calls without a request, such as shutdown(2), it is installed as a plain
//   descriptor for the duration of the call.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "coax/base/error.hpp"
#include "coax/base/free_list.hpp"
#include "coax/loop/backend.hpp"
#include "coax/loop/datagrams.hpp"
#include "coax/loop/slots.hpp"
#include "coax/loop/sockets.hpp"
#include "coax/loop/uring/uring_private.hpp"
#include "coax/net/accept_error.hpp"

namespace coax {

namespace {

class UringBackend final : public Backend {
 public:
  UringBackend() : ring_(buffers()) {}
  ~UringBackend() override {
    slots_.for_each([this](Descriptor descriptor) { close(descriptor); });
  }

  bool submit(Op& op) noexcept override;
  void cancel(Op& op) noexcept override;
  bool poll(std::optional<TimePoint> until) noexcept override;
  void wake() noexcept override { ring_.wake(); }
  std::expected<int, int> poll_descriptor() noexcept override { return ring_.poll_descriptor(); }
  void prepare_wait() noexcept override { ring_.prepare_wait(); }

  std::expected<Descriptor, int> open(Family family) override;
  std::expected<Descriptor, int> open_datagrams(const Address& at, const Address& peer,
                                                const DatagramOptions& options) override;
  std::expected<Descriptor, int> listen(const Address& at, const ListenOptions& options) override;
  std::expected<Descriptor, int> adopt(int native) override;
  void close(Descriptor descriptor) noexcept override;
  int shutdown_send(Descriptor descriptor) noexcept override;
  int set_option(Descriptor descriptor, const SocketOption& option) noexcept override;
  int get_option(Descriptor descriptor, int level, int name, std::span<std::byte> value) const noexcept override;
  [[nodiscard]] Address local(Descriptor descriptor) const noexcept override;
  [[nodiscard]] Address peer(Descriptor descriptor) const noexcept override;
  [[nodiscard]] const char* name() const noexcept override { return "io_uring"; }
  [[nodiscard]] std::size_t fixed_files_max() const noexcept override { return ring_.table_size(); }

 private:
  using Lane = Ring::Lane;  // which of a slot's operations a request is for
  // Memory that some requests point to while they are in flight.
  struct Scratch {
    msghdr message{};
  };
  // A completion that no operation waited for: bytes, the end, an error, or an accepted connection.
  struct Early {
    std::int32_t result;
    LentBuffer* buffer;
  };
  // The request of the receiving side (or of accept) that is in the kernel.
  enum class Inbound : std::uint8_t {
    none,
    op_memory,   // one completion: a receive into the op's memory, or the poll before a batch
    one_shot,    // one completion, with a provided buffer
    multishot,   // until it is cancelled
    cancelling,  // multishot, and its cancellation was requested
  };
  // A multishot request continues while we process its completions, and so reads far ahead in bulk transfers. It is for
  // connections with this many short receives in a row.
  static constexpr std::uint8_t short_receives_min = 16;
  static constexpr std::int32_t short_bytes_max = 16 * 1024;
  struct Slot {
    std::uint32_t generation = 0;
    bool open = false;
    bool fixed = false;  // it is in the ring's table under the slot's index
    bool listens = false;
    Inbound inbound = Inbound::none;
    std::uint8_t short_receives = 0;   // in a row
    std::uint8_t accept_failures = 0;  // in a row, of those that are retried at once
    int fd = -1;
    Op* reader = nullptr;
    Op* writer = nullptr;
    std::unique_ptr<Scratch> scratch;  // of the writer
    std::vector<Early> early;
  };

  static std::uint64_t tag_of(Descriptor descriptor, Lane lane) noexcept {
    return std::uint64_t{descriptor.generation} << 32 | std::uint64_t{descriptor.index} << 2 |
           static_cast<std::uint64_t>(lane);
  }
  // Whether the cancellation of that lane's request was requested, and its last completion has not arrived.
  static bool is_cancelling(const Slot& slot, Lane lane) noexcept {
    const Op* const op = lane == Lane::send ? slot.writer : slot.reader;
    const bool is_cancelled = op != nullptr && op->state == Op::State::cancelling;
    return is_cancelled || (lane != Lane::send && slot.inbound == Inbound::cancelling);
  }
  // Its request uses the op's memory, or is a poll for it: it cannot be left to the next receiver.
  static bool uses_op_memory(const Op& op) noexcept {
    return op.kind == Op::Kind::recv_into || op.kind == Op::Kind::recv_batch;
  }
  static Lane inbound_lane(const Slot& slot) noexcept { return slot.listens ? Lane::accept : Lane::receive; }
  static void set_descriptor(io_uring_sqe* request, const Slot& slot, std::uint32_t index) noexcept {
    request->fd = slot.fixed ? static_cast<int>(index) : slot.fd;
    if (slot.fixed) request->flags |= IOSQE_FIXED_FILE;
  }

  enum class Role : std::uint8_t { connection, listener, datagrams };
  Descriptor take(int native, Role role);
  void receive(Slot& slot, Op& op) noexcept;
  void send(Slot& slot, Op& op) noexcept;
  void handle(const io_uring_cqe& completion) noexcept;
  void handle_inbound(Descriptor descriptor, const io_uring_cqe& completion) noexcept;
  void handle_outbound(Slot& slot, const io_uring_cqe& completion) noexcept;
  void deliver(Slot& slot, Descriptor descriptor, const Early& what) noexcept;
  void fill(Slot& slot, Op& op, const Early& what) noexcept;
  void discard_early(const Early& what, Lane lane) noexcept;
  bool try_batch(const Slot& slot, Op& op) noexcept;  // false: it would block
  void keep(Slot& slot, std::span<const char> bytes);
  void finish_with(Op& op, std::int32_t result) noexcept {
    op.result = result;
    op.state = Op::State::finished;
  }
  template <class Call>
  auto with_native(Descriptor descriptor, Call call) const;

  mutable Ring ring_;  // borrowing a descriptor for a query does not change the observable state
  Slots<Slot> slots_;
  FreeList<Scratch, 256> spare_scratch_;
};

// --- starting and cancelling ---

bool UringBackend::submit(Op& op) noexcept {
  Slot* const slot = slots_.find(op.descriptor);
  Op** const waiting = slot == nullptr ? nullptr : op.receives() ? &slot->reader : &slot->writer;
  if (waiting == nullptr || *waiting != nullptr) {
    finish_with(op, waiting == nullptr ? -EBADF : -EBUSY);
    return true;
  }
  if (op.receives() && !slot->early.empty()) {
    const Early first = slot->early.front();
    slot->early.erase(slot->early.begin());
    fill(*slot, op, first);
    return true;
  }
  if (op.kind == Op::Kind::send_batch && try_batch(*slot, op)) return true;
  *waiting = &op;
  op.state = Op::State::submitted;
  if (!op.receives()) {
    send(*slot, op);
  } else if (slot->inbound == Inbound::none) {
    receive(*slot, op);
  }
  return false;
}

void UringBackend::receive(Slot& slot, Op& op) noexcept {
  io_uring_sqe* const request = ring_.request(tag_of(op.descriptor, inbound_lane(slot)));
  slot.inbound = uses_op_memory(op) ? Inbound::op_memory : Inbound::multishot;
  if (op.kind == Op::Kind::recv_batch) {
    io_uring_prep_poll_add(request, -1, POLLIN);
  } else if (op.kind == Op::Kind::recv_into) {
    io_uring_prep_recv(request, -1, op.into().data, op.into().size, 0);
  } else if (slot.listens) {
    io_uring_prep_multishot_accept(request, -1, nullptr, nullptr, SOCK_CLOEXEC);
  } else {
    if (slot.short_receives != short_receives_min) {
      slot.inbound = Inbound::one_shot;
      io_uring_prep_recv(request, -1, nullptr, 0, 0);
    } else {
      io_uring_prep_recv_multishot(request, -1, nullptr, 0, 0);
    }
    request->flags |= IOSQE_BUFFER_SELECT;
    request->buf_group = Ring::buffer_group;
  }
  set_descriptor(request, slot, op.descriptor.index);
}

void UringBackend::send(Slot& slot, Op& op) noexcept {
  io_uring_sqe* const request = ring_.request(tag_of(op.descriptor, Lane::send));
  if (op.kind == Op::Kind::send_batch) {
    io_uring_prep_poll_add(request, -1, POLLOUT);
    return set_descriptor(request, slot, op.descriptor.index);
  }
  if (op.kind == Op::Kind::send && op.gather().count == 1) {
    io_uring_prep_send(request, -1, op.gather().list->iov_base, op.gather().list->iov_len, MSG_NOSIGNAL);
  } else if (op.kind == Op::Kind::send) {
    slot.scratch = spare_scratch_.acquire();
    if (!slot.scratch) slot.scratch = std::make_unique<Scratch>();
    slot.scratch->message = {};
    slot.scratch->message.msg_iov = const_cast<iovec*>(op.gather().list);
    slot.scratch->message.msg_iovlen = op.gather().count;
    io_uring_prep_sendmsg(request, -1, &slot.scratch->message, MSG_NOSIGNAL);
  } else {
    io_uring_prep_connect(request, -1, op.address()->get(), static_cast<socklen_t>(op.address()->native().size()));
  }
  set_descriptor(request, slot, op.descriptor.index);
}

void UringBackend::cancel(Op& op) noexcept {
  if (op.state != Op::State::submitted) return;  // it has completed, and done() follows
  Slot* const slot = slots_.find(op.descriptor);
  if (slot == nullptr) return;
  if (!op.receives() || (uses_op_memory(op) && slot->inbound == Inbound::op_memory)) {
    op.state = Op::State::cancelling;
    return ring_.cancel(tag_of(op.descriptor, op.receives() ? Lane::receive : Lane::send));
  }
  slot->reader = nullptr;  // later completions are kept for the next receiver
  finish_undone(op, ECANCELED);
}

// --- completions ---

bool UringBackend::poll(std::optional<TimePoint> until) noexcept {
  ring_.wait(until);
  note_turn();
  return ring_.take_completions([this](const io_uring_cqe& completion) { handle(completion); });
}

void UringBackend::handle(const io_uring_cqe& completion) noexcept {
  const Lane lane = Ring::lane_of(completion.user_data);
  const bool missed = Ring::missed(completion.user_data);
  const std::uint64_t tag = Ring::target_of(completion.user_data);
  const Descriptor descriptor{.index = static_cast<std::uint32_t>(tag) >> 2,
                              .generation = static_cast<std::uint32_t>(tag >> 32)};
  Slot* const slot = slots_.find(descriptor);
  if (missed) {
    if (slot != nullptr && is_cancelling(*slot, lane)) ring_.cancel(tag);
  } else if (slot == nullptr) {  // closed in between
    discard_early({.result = completion.res, .buffer = ring_.take_buffer(completion)}, lane);
  } else if (lane == Lane::send) {
    handle_outbound(*slot, completion);
  } else {
    handle_inbound(descriptor, completion);
  }
}

void UringBackend::handle_outbound(Slot& slot, const io_uring_cqe& completion) noexcept {
  Op* const op = slot.writer;
  if (op == nullptr) return;
  if (slot.scratch) spare_scratch_.release(std::move(slot.scratch));
  const bool was_interrupted = completion.res == -EINTR;  // by a signal or, on a kernel thread, by our own cancel
  if (was_interrupted && op->kind == Op::Kind::send && op->state == Op::State::submitted) return send(slot, *op);
  if (op->kind == Op::Kind::send_batch && op->state == Op::State::submitted) {
    if (!try_batch(slot, *op)) return send(slot, *op);
    slot.writer = nullptr;
    return complete(*op);
  }
  slot.writer = nullptr;
  finish_with(*op, was_interrupted && op->state == Op::State::cancelling ? -ECANCELED : completion.res);
  complete(*op);
}

void UringBackend::handle_inbound(Descriptor descriptor, const io_uring_cqe& completion) noexcept {
  Slot* slot = slots_.find(descriptor);
  const Inbound before = slot->inbound;
  if ((completion.flags & IORING_CQE_F_MORE) == 0) slot->inbound = Inbound::none;
  const Early what{.result = completion.res, .buffer = ring_.take_buffer(completion)};
  const bool is_transient =
      slot->listens && what.result < 0 && classify_accept_error(static_cast<int>(-what.result)) == AcceptError::retry;
  slot->accept_failures =
      is_transient ? static_cast<std::uint8_t>((slot->accept_failures + 1) % accept_attempts_max) : 0;
  const bool is_cancelled = before == Inbound::op_memory && is_cancelling(*slot, Lane::receive);
  // The ring ran out of buffers, a signal interrupted the request, we cancelled one with provided buffers, or accept
  // failed for a transient reason. The request is submitted again if an op waits.
  const bool is_retried = what.result == -ENOBUFS || (what.result == -EINTR && !is_cancelled) ||
                          (what.result == -ECANCELED && before != Inbound::op_memory) || slot->accept_failures != 0;
  if (what.result > short_bytes_max) {
    slot->short_receives = 0;
  } else if (what.result > 0 && slot->short_receives != short_receives_min) {
    ++slot->short_receives;
  }
  if (is_retried) {
    discard_early(what, Lane::receive);
  } else if (before == Inbound::op_memory && slot->reader->kind == Op::Kind::recv_batch && !is_cancelled) {
    Op& op = *slot->reader;
    if (try_batch(*slot, op)) {
      slot->reader = nullptr;
      complete(op);
    }
  } else if (before == Inbound::op_memory) {
    Op& op = *std::exchange(slot->reader, nullptr);
    const bool is_kept = op.state == Op::State::cancelling && op.kind == Op::Kind::recv_into && what.result > 0;
    if (is_kept) keep(*slot, {op.into().data, static_cast<std::size_t>(what.result)});
    const bool nothing_was_done = is_kept || what.result == -EINTR || op.kind == Op::Kind::recv_batch;
    finish_with(op, nothing_was_done ? -ECANCELED : what.result);
    complete(op);
  } else {
    deliver(*slot, descriptor, what);
  }
  slot = slots_.find(descriptor);  // again: the resumed task may have closed it
  if (slot != nullptr && slot->reader != nullptr && slot->inbound == Inbound::none) receive(*slot, *slot->reader);
}

void UringBackend::deliver(Slot& slot, Descriptor descriptor, const Early& what) noexcept {
  Op* const op = std::exchange(slot.reader, nullptr);
  if (slot.inbound == Inbound::multishot && (op == nullptr || (slot.short_receives == 0 && !slot.listens))) {
    ring_.cancel(tag_of(descriptor, inbound_lane(slot)));
    slot.inbound = Inbound::cancelling;
  }
  if (op == nullptr) return slot.early.push_back(what);
  fill(slot, *op, what);
  complete(*op);
}

void UringBackend::fill(Slot& slot, Op& op, const Early& what) noexcept {
  finish_with(op, what.result);
  if (op.kind == Op::Kind::accept) {
    if (op.result >= 0 && op.endpoint() != nullptr) *op.endpoint() = peer_of(static_cast<int>(op.result)).endpoint();
  } else if (op.kind == Op::Kind::recv) {
    op.lent().buffer = what.result > 0 ? what.buffer : nullptr;
    if (op.lent().buffer == nullptr) discard_early(what, Lane::receive);
  } else if (what.result > 0) {
    const auto count = static_cast<std::size_t>(what.result);
    const std::size_t taken = std::min(count, op.into().size);
    std::memcpy(op.into().data, what.buffer->data(), taken);
    op.result = static_cast<std::int32_t>(taken);
    if (taken == count) return discard_early(what, Lane::receive);
    std::memmove(what.buffer->data(), what.buffer->data() + taken, count - taken);
    slot.early.insert(slot.early.begin(), {.result = static_cast<std::int32_t>(count - taken), .buffer = what.buffer});
  }
}

// For the next receiver: a cancelled receive has consumed nothing, although the kernel had filled its buffer.
void UringBackend::keep(Slot& slot, std::span<const char> bytes) {
  while (!bytes.empty()) {
    LentBuffer* const buffer = buffers().take();
    const std::size_t count = std::min(bytes.size(), buffer->size());
    std::memcpy(buffer->data(), bytes.data(), count);
    slot.early.push_back({.result = static_cast<std::int32_t>(count), .buffer = buffer});
    bytes = bytes.subspan(count);
  }
}

void UringBackend::discard_early(const Early& what, Lane lane) noexcept {
  if (what.buffer != nullptr) buffers().give_back(what.buffer);
  if (lane == Lane::accept && what.result >= 0) ::close(static_cast<int>(what.result));
}

bool UringBackend::try_batch(const Slot& slot, Op& op) noexcept {
  const bool sends = op.kind == Op::Kind::send_batch;
  const std::int32_t count = sends ? send_batch(slot.fd, *op.outgoing()) : receive_batch(slot.fd, op.incoming());
  if (count == -EAGAIN) return false;
  finish_with(op, count);
  return true;
}

// --- descriptors ---

std::expected<Descriptor, int> UringBackend::open(Family family) {
  const auto native = make_socket(family, 0);
  if (!native) return std::unexpected(native.error());
  return take(*native, Role::connection);
}

std::expected<Descriptor, int> UringBackend::open_datagrams(const Address& at, const Address& peer,
                                                            const DatagramOptions& options) {
  const auto native = make_datagram_socket(at, peer, options, 0);
  if (!native) return std::unexpected(native.error());
  return take(*native, Role::datagrams);
}

std::expected<Descriptor, int> UringBackend::listen(const Address& at, const ListenOptions& options) {
  const auto native = make_listener(at, options, 0);
  if (!native) return std::unexpected(native.error());
  return take(*native, Role::listener);
}

std::expected<Descriptor, int> UringBackend::adopt(int native) {
  const int flags = fcntl(native, F_GETFL);
  int listens = 0;
  socklen_t length = sizeof listens;
  if (flags < 0 || getsockopt(native, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0) {
    const int reason = errno;
    ::close(native);
    return std::unexpected(reason);
  }
  if ((flags & O_NONBLOCK) != 0) fcntl(native, F_SETFL, flags & ~O_NONBLOCK);
  return take(native, listens != 0 ? Role::listener : Role::connection);
}

Descriptor UringBackend::take(int native, Role role) {
  const Descriptor descriptor = slots_.take();
  Slot& slot = *slots_.find(descriptor);
  slot.listens = role == Role::listener;
  slot.fd = native;
  if (role == Role::connection && descriptor.index < ring_.table_size() && ring_.put(descriptor.index, native) == 0) {
    ::close(std::exchange(slot.fd, -1));
    slot.fixed = true;
  }
  return descriptor;
}

void UringBackend::close(Descriptor descriptor) noexcept {
  Slot* const slot = slots_.find(descriptor);
  if (slot == nullptr) return;
  if (slot->writer != nullptr) ring_.end(tag_of(descriptor, Lane::send));
  if (slot->inbound == Inbound::op_memory || (slot->inbound != Inbound::none && slot->listens)) {
    ring_.end(tag_of(descriptor, inbound_lane(*slot)));
  } else if (slot->inbound != Inbound::none) {
    ring_.submit();
    ring_.cancel(tag_of(descriptor, Lane::receive));
  }
  if (slot->fixed) {
    ring_.remove(descriptor.index);
  } else {
    ::close(slot->fd);
  }
  for (const Early& what : slot->early) discard_early(what, inbound_lane(*slot));
  if (slot->scratch) spare_scratch_.release(std::move(slot->scratch));
  for (Op* op : {slot->reader, slot->writer}) {
    if (op != nullptr) finish_undone(*op, EBADF);
  }
  slots_.release(descriptor);
}

template <class Call>
auto UringBackend::with_native(Descriptor descriptor, Call call) const {
  const Slot* const slot = slots_.find(descriptor);
  if (slot == nullptr || !slot->fixed) return call(slot == nullptr ? -1 : slot->fd);
  const int borrowed = ring_.borrow(descriptor.index);
  const auto result = call(borrowed);
  if (borrowed >= 0) ::close(borrowed);
  return result;
}

int UringBackend::shutdown_send(Descriptor descriptor) noexcept { return with_native(descriptor, shut_down_sending); }

int UringBackend::set_option(Descriptor descriptor, const SocketOption& option) noexcept {
  return with_native(descriptor, [&](int native) { return set_option_of(native, option); });
}

int UringBackend::get_option(Descriptor descriptor, int level, int name, std::span<std::byte> value) const noexcept {
  return with_native(descriptor, [&](int native) { return get_option_of(native, level, name, value); });
}

Address UringBackend::local(Descriptor descriptor) const noexcept { return with_native(descriptor, local_of); }
Address UringBackend::peer(Descriptor descriptor) const noexcept { return with_native(descriptor, peer_of); }

}  // namespace

std::unique_ptr<Backend> make_uring_backend() { return std::make_unique<UringBackend>(); }

std::string why_no_uring() {
  try {
    Buffers buffers;
    const Ring ring(buffers);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace coax
