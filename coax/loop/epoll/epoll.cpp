// The epoll back-end: edge-triggered, registered once for both directions, system call first.
//
// Theory of operation. A slot remembers whether its descriptor is readable and writable. An operation tries its system
// call at once when the slot says that it may succeed. On EAGAIN the flag is cleared, and the operation waits in the
// slot until an edge sets it again. Kernel facts that this relies on:
// - A short read has drained the socket: the flag is cleared without another read for EAGAIN. Later bytes make a
//   new edge. There are three exceptions, in which the descriptor is read until EAGAIN from then on:
//   A FIN that arrives together with data makes no edge of its own: once RDHUP was seen, the flag stays set until the
//   end has been read.
//   Bytes behind urgent data make none either, and every read stops short before urgent data (PRI).
//   Reads of a Unix socket stop short before and after bytes that carry descriptors (SCM_RIGHTS).
// - A partial write means that the send buffer is full, and that an edge follows when it has room.
// - An event that was fetched before its descriptor was closed may be handled after the slot has a new owner. The event
//   carries the generation, and is dropped when it is not the slot's.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "coax/base/error.hpp"
#include "coax/loop/backend.hpp"
#include "coax/loop/datagrams.hpp"
#include "coax/loop/readiness_private.hpp"
#include "coax/loop/sockets.hpp"
#include "coax/net/accept_error.hpp"
#include "coax/net/send_file_private.hpp"

namespace coax {

namespace {

constexpr std::uint32_t hang_up = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t interest = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;

struct EpollSlot {
  std::uint32_t generation = 0;
  bool open = false;
  int fd = -1;
  bool readable = false;
  bool writable = true;
  bool drains = false;    // a short read may leave bytes: RDHUP, HUP, ERR or PRI was seen, or ...
  bool is_local = false;  // ... it is a Unix socket
  Op* reader = nullptr;
  Op* writer = nullptr;
};

class EpollBackend final : public ReadinessBackend<EpollBackend, EpollSlot> {
 public:
  EpollBackend();
  ~EpollBackend() override;

  std::int32_t send_now(Descriptor descriptor, std::span<const BytesView> pieces) noexcept override;
  std::int64_t send_file_now(Descriptor descriptor, const FilePart& part) noexcept override;
  bool poll(std::optional<TimePoint> until) noexcept override;
  void wake() noexcept override;
  std::expected<int, int> poll_descriptor() noexcept override { return epoll_; }

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
  [[nodiscard]] const char* name() const noexcept override { return "epoll"; }

 private:
  friend ReadinessBackend;
  using Slot = EpollSlot;
  static constexpr std::uint64_t wake_tag = UINT64_MAX;

  bool perform(Slot& slot, Op& op) noexcept;  // true: completed
  bool perform_recv(Slot& slot, Op& op) noexcept;
  bool perform_recv_into(Slot& slot, Op& op) noexcept;
  bool perform_send(Slot& slot, Op& op) noexcept;
  // The count or -errno. A short count: the slot is not writable any more.
  static std::int32_t send_on(Slot& slot, std::span<const iovec> gather) noexcept;
  bool perform_accept(Slot& slot, Op& op) noexcept;
  bool perform_connect(Slot& slot, Op& op) noexcept;
  bool perform_recv_batch(Slot& slot, Op& op) noexcept;
  bool perform_send_batch(Slot& slot, Op& op) noexcept;
  void dispatch(const epoll_event& event) noexcept;
  static void withdraw(const Slot&) noexcept {}

  // After a read of `got` of `asked` bytes: may there be more without another edge?
  static void note_read(Slot& slot, std::size_t got, std::size_t asked) noexcept {
    if (got < asked && got > 0 && !slot.drains && !slot.is_local) slot.readable = false;
  }

  int epoll_ = -1;
  int wake_ = -1;
  std::array<epoll_event, 64> events_{};  // more would evict the first sockets from the cache before the flush
};

EpollBackend::EpollBackend() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = wake_tag}};
  if (epoll_ < 0 || wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
    const int reason = errno;
    ::close(epoll_);
    ::close(wake_);
    throw Error(reason, "make an event loop", "epoll", "raise the limit on open files (ulimit -n)");
  }
}

EpollBackend::~EpollBackend() {
  slots_.for_each([this](Descriptor descriptor) { ::close(slots_.find(descriptor)->fd); });
  ::close(wake_);
  ::close(epoll_);
}

bool EpollBackend::poll(std::optional<TimePoint> until) noexcept {
  int timeout = -1;
  if (until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now()).count();
    timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
  }
  const int count = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), timeout);
  note_turn();
  for (int index = 0; index < count; ++index) dispatch(events_[static_cast<std::size_t>(index)]);
  return count > 0;
}

void EpollBackend::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

void EpollBackend::dispatch(const epoll_event& event) noexcept {
  if (event.data.u64 == wake_tag) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake_, &count, sizeof count);
    return;
  }
  const Descriptor descriptor{.index = static_cast<std::uint32_t>(event.data.u64),
                              .generation = static_cast<std::uint32_t>(event.data.u64 >> 32)};
  Slot* const slot = slots_.find(descriptor);
  if (slot == nullptr) return;
  // Both flags first: the task that is resumed for the one may use the other.
  if (event.events & (hang_up | EPOLLPRI)) slot->drains = true;
  if (event.events & (EPOLLIN | EPOLLPRI | hang_up)) slot->readable = true;
  if (event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) slot->writable = true;
  retry(descriptor, slot);
}

bool EpollBackend::perform(Slot& slot, Op& op) noexcept {
  switch (op.kind) {
    case Op::Kind::recv: return slot.readable && perform_recv(slot, op);
    case Op::Kind::recv_into: return slot.readable && perform_recv_into(slot, op);
    case Op::Kind::accept: return slot.readable && perform_accept(slot, op);
    case Op::Kind::send: return slot.writable && perform_send(slot, op);
    case Op::Kind::connect: return perform_connect(slot, op);
    case Op::Kind::recv_batch: return slot.readable && perform_recv_batch(slot, op);
    case Op::Kind::send_batch: return slot.writable && perform_send_batch(slot, op);
  }
  return finish_now(op, -EINVAL);
}

bool EpollBackend::perform_recv(Slot& slot, Op& op) noexcept {
  LentBuffer* buffer = buffers().take();
  const ssize_t got = ::recv(slot.fd, buffer->data(), buffer->size(), 0);
  if (got > 0) {
    op.lent().buffer = buffer;
    const auto count = static_cast<std::size_t>(got);
    if (count == buffer->size()) buffers().filled(*buffer);
    note_read(slot, count, buffer->size());
    return finish_now(op, static_cast<std::int32_t>(got));
  }
  const int reason = errno;
  buffers().give_back(buffer);
  op.lent().buffer = nullptr;
  if (got == 0) return finish_now(op, 0);
  if (reason == EAGAIN || reason == EINTR) {
    slot.readable = reason == EINTR;
    return false;
  }
  return finish_now(op, -reason);
}

bool EpollBackend::perform_recv_into(Slot& slot, Op& op) noexcept {
  const ssize_t got = ::recv(slot.fd, op.into().data, op.into().size, 0);
  if (got >= 0) {
    note_read(slot, static_cast<std::size_t>(got), op.into().size);
    return finish_now(op, static_cast<std::int32_t>(got));
  }
  if (errno == EAGAIN) {
    slot.readable = false;
    return false;
  }
  return finish_now(op, -errno);
}

bool EpollBackend::perform_send(Slot& slot, Op& op) noexcept {
  const std::int32_t sent = send_on(slot, {op.gather().list, op.gather().count});
  return sent != -EAGAIN && finish_now(op, sent);
}

std::int32_t EpollBackend::send_on(Slot& slot, std::span<const iovec> gather) noexcept {
  std::size_t asked = gather[0].iov_len;
  ssize_t sent = 0;
  if (gather.size() == 1) {
    sent = ::send(slot.fd, gather[0].iov_base, asked, MSG_NOSIGNAL);
  } else {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(gather.data());
    message.msg_iovlen = gather.size();
    for (const iovec& vector : gather.subspan(1)) asked += vector.iov_len;
    sent = ::sendmsg(slot.fd, &message, MSG_NOSIGNAL);
  }
  if (sent == static_cast<ssize_t>(asked)) return static_cast<std::int32_t>(sent);
  if (sent >= 0 || errno == EAGAIN) slot.writable = false;
  return sent >= 0 ? static_cast<std::int32_t>(sent) : -errno;
}

std::int32_t EpollBackend::send_now(Descriptor descriptor, std::span<const BytesView> pieces) noexcept {
  std::array<iovec, 16> vectors;
  Slot* const slot = slots_.find(descriptor);
  if (slot == nullptr) return -EBADF;
  if (!slot->writable || slot->writer != nullptr || pieces.size() > vectors.size()) return -EAGAIN;
  std::size_t count = 0;
  for (const BytesView& piece : pieces) vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
  return send_on(*slot, std::span(vectors).first(count));
}

std::int64_t EpollBackend::send_file_now(Descriptor descriptor, const FilePart& part) noexcept {
  Slot* const slot = slots_.find(descriptor);
  if (slot == nullptr) return -EBADF;
  if (!slot->writable || slot->writer != nullptr) return -EAGAIN;
  auto offset = static_cast<off_t>(part.offset);
  const ssize_t sent = detail::send_file(slot->fd, part.native, &offset, part.size);
  if (sent >= 0) return sent;  // fewer bytes than asked for: also when the file has no more
  if (errno == EAGAIN) slot->writable = false;
  return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

bool EpollBackend::perform_accept(Slot& slot, Op& op) noexcept {
  NativeAddress native;
  for (int attempt = 0; attempt < accept_attempts_max; ++attempt) {
    socklen_t length = sizeof native.bytes;
    const int fd = ::accept4(slot.fd, native.get(), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      if (op.endpoint() != nullptr) *op.endpoint() = Endpoint::from_native(native.get());
      return finish_now(op, fd);
    }
    if (errno == EAGAIN) {
      slot.readable = false;
      return false;
    }
    if (classify_accept_error(errno) != AcceptError::retry) break;
  }
  return finish_now(op, -errno);
}

bool EpollBackend::perform_connect(Slot& slot, Op& op) noexcept {
  if (op.state != Op::State::submitted) {
    slot.writable = false;
    slot.drains = false;  // an unconnected socket reports HUP as soon as it is registered
    if (::connect(slot.fd, op.address()->get(), static_cast<socklen_t>(op.address()->native().size())) == 0) {
      slot.writable = true;
      return finish_now(op, 0);
    }
    if (errno == EINPROGRESS || errno == EINTR) return false;
    return finish_now(op, -errno);
  }
  if (!slot.writable) return false;
  int reason = 0;
  socklen_t length = sizeof reason;
  getsockopt(slot.fd, SOL_SOCKET, SO_ERROR, &reason, &length);
  return finish_now(op, -reason);
}

bool EpollBackend::perform_recv_batch(Slot& slot, Op& op) noexcept {
  const std::int32_t count = receive_batch(slot.fd, op.incoming());
  const bool drained = count == -EAGAIN || (count > 0 && static_cast<std::size_t>(count) < ReceiveBatch::messages_max);
  if (drained) slot.readable = false;
  return count != -EAGAIN && finish_now(op, count);
}

bool EpollBackend::perform_send_batch(Slot& slot, Op& op) noexcept {
  const std::int32_t count = send_batch(slot.fd, *op.outgoing());
  if (count != -EAGAIN) return finish_now(op, count);
  slot.writable = false;
  return false;
}

std::expected<Descriptor, int> EpollBackend::open(Family family) {
  const auto native = make_socket(family, SOCK_NONBLOCK);
  if (!native) return std::unexpected(native.error());
  return adopt(*native);
}

std::expected<Descriptor, int> EpollBackend::open_datagrams(const Address& at, const Address& peer,
                                                            const DatagramOptions& options) {
  const auto native = make_datagram_socket(at, peer, options, SOCK_NONBLOCK);
  if (!native) return std::unexpected(native.error());
  return adopt(*native);
}

std::expected<Descriptor, int> EpollBackend::listen(const Address& at, const ListenOptions& options) {
  const auto native = make_listener(at, options, SOCK_NONBLOCK);
  if (!native) return std::unexpected(native.error());
  return adopt(*native);
}

std::expected<Descriptor, int> EpollBackend::adopt(int native) {
  const auto family = family_of(native);
  if (!family) {
    ::close(native);
    return std::unexpected(family.error());
  }
  const Descriptor descriptor = slots_.take();
  const std::uint64_t tag = std::uint64_t{descriptor.generation} << 32 | descriptor.index;
  epoll_event event{.events = interest, .data = {.u64 = tag}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, native, &event) != 0) {
    const int reason = errno;
    ::close(native);
    slots_.release(descriptor);
    return std::unexpected(reason);
  }
  Slot& slot = *slots_.find(descriptor);
  slot.fd = native;
  slot.is_local = *family == AF_UNIX;
  return descriptor;
}

void EpollBackend::close(Descriptor descriptor) noexcept {
  const Slot* const slot = slots_.find(descriptor);
  if (slot == nullptr) return;
  ::close(slot->fd);
  finish_waiting(*slot);
  slots_.release(descriptor);
}

int EpollBackend::set_option(Descriptor descriptor, const SocketOption& option) noexcept {
  const Slot* const slot = slots_.find(descriptor);
  return slot == nullptr ? EBADF : set_option_of(slot->fd, option);
}

int EpollBackend::get_option(Descriptor descriptor, int level, int name, std::span<std::byte> value) const noexcept {
  const Slot* const slot = slots_.find(descriptor);
  return slot == nullptr ? EBADF : get_option_of(slot->fd, level, name, value);
}

int EpollBackend::shutdown_send(Descriptor descriptor) noexcept {
  const Slot* slot = slots_.find(descriptor);
  return slot == nullptr ? EBADF : shut_down_sending(slot->fd);
}

Address EpollBackend::local(Descriptor descriptor) const noexcept {
  const Slot* slot = slots_.find(descriptor);
  return slot == nullptr ? Address() : local_of(slot->fd);
}

Address EpollBackend::peer(Descriptor descriptor) const noexcept {
  const Slot* slot = slots_.find(descriptor);
  return slot == nullptr ? Address() : peer_of(slot->fd);
}

}  // namespace

std::unique_ptr<Backend> make_epoll_backend() { return std::make_unique<EpollBackend>(); }

}  // namespace coax
