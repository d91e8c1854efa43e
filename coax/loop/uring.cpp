// The io_uring back-end: operations are handed to the kernel in batches, once per turn, and come back as completions.
//
// Theory of operation. Each waiting operation is one request in flight; its user_data names the slot, the generation
// and the direction. A recv names a ring of provided buffers, from which the kernel takes one when bytes are there:
// idle connections hold none. The buffer that a completion brings becomes the one that is lent, and a fresh one takes
// its place in the ring. Kernel facts that this rests on:
// - A descriptor with O_NONBLOCK is answered with EAGAIN instead of being waited for: ours are blocking.
// - With DEFER_TASKRUN nothing of a request runs but in our own calls into the kernel, so what a waiting request points
//   to is not touched in between. IORING_REGISTER_SYNC_CANCEL ends the requests of a descriptor before it returns, so
//   that close() may be followed by the end of their buffers; their completions come later and name a generation that
//   is over.
// - A request that is cancelled may have been faster: its real result comes then.
// Containers and old kernels forbid some or all of it; the constructor finds out, and the loop takes epoll instead.
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "coax/base/error.hpp"
#include "coax/loop/backend.hpp"
#include "coax/loop/sockets.hpp"

namespace coax {

namespace {

class UringBackend final : public Backend {
 public:
  UringBackend();
  ~UringBackend() override;

  bool submit(Op& op) noexcept override;
  void cancel(Op& op) noexcept override;
  bool poll(std::optional<TimePoint> until) noexcept override;
  void wake() noexcept override;

  std::expected<Descriptor, int> open(Endpoint::Family family) override;
  std::expected<Descriptor, int> listen(const Endpoint& at, const ListenOptions& options) override;
  std::expected<Descriptor, int> adopt(int native) override;
  void close(Descriptor descriptor) noexcept override;
  int finish(Descriptor descriptor) noexcept override;
  [[nodiscard]] Endpoint local(Descriptor descriptor) const noexcept override;
  [[nodiscard]] Endpoint peer(Descriptor descriptor) const noexcept override;
  [[nodiscard]] const char* name() const noexcept override { return "io_uring"; }

 private:
  // What some requests point to while they are in flight.
  struct Scratch {
    msghdr message{};
    NativeAddress address;
    socklen_t length = 0;
  };
  struct Slot {
    int fd = -1;
    std::uint32_t generation = 0;
    Op* reader = nullptr;
    Op* writer = nullptr;
    Scratch* read_scratch = nullptr;
    Scratch* write_scratch = nullptr;
  };
  static constexpr unsigned entries = 1024;
  static constexpr unsigned provided_count = 256;  // a power of two
  static constexpr unsigned provided_group = 0;
  static constexpr std::uint64_t wake_tag = UINT64_MAX;
  static constexpr std::uint64_t ignored_tag = UINT64_MAX - 1;

  const Slot* find(Descriptor descriptor) const noexcept;
  Slot* find(Descriptor descriptor) noexcept { return const_cast<Slot*>(std::as_const(*this).find(descriptor)); }
  io_uring_sqe* next_request() noexcept;
  void start(Slot& slot, Op& op) noexcept;
  void handle(const io_uring_cqe& completion) noexcept;
  void finish_request(Slot& slot, Op& op, const io_uring_cqe& completion) noexcept;
  LentBuffer* take_provided(const io_uring_cqe& completion) noexcept;
  void provide(unsigned id) noexcept;
  void make_provided();
  void enable() noexcept;
  void await_wake() noexcept;
  Scratch* take_scratch();
  void release(Scratch*& scratch) noexcept;

  static bool receives(const Op& op) noexcept { return op.kind != Op::Kind::send && op.kind != Op::Kind::connect; }
  static std::uint64_t tag_of(Descriptor descriptor, bool receiving) noexcept {
    return std::uint64_t{descriptor.generation} << 32 | std::uint64_t{descriptor.index} << 1 | (receiving ? 1U : 0U);
  }

  io_uring ring_{};
  io_uring_buf_ring* provided_ = nullptr;
  std::vector<LentBuffer*> provided_buffers_;  // by their number in the ring
  int wake_ = -1;
  std::uint64_t wake_count_ = 0;
  bool enabled_ = false;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::vector<std::unique_ptr<Scratch>> spare_scratch_;
};

constexpr std::size_t provided_bytes(unsigned count) { return count * sizeof(io_uring_buf); }

UringBackend::UringBackend() : wake_(eventfd(0, EFD_CLOEXEC)) {
  io_uring_params params{};
  params.flags =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
  params.cq_entries = entries * 8;
  const int failure = wake_ < 0 ? -errno : io_uring_queue_init_params(entries, &ring_, &params);
  if (failure != 0) {
    ::close(wake_);
    throw Error(-failure, "make an event loop", "io_uring", "use COAX_BACKEND=epoll");
  }
  try {
    make_provided();
  } catch (...) {
    io_uring_queue_exit(&ring_);
    ::close(wake_);
    throw;
  }
}

void UringBackend::make_provided() {
  void* const memory =
      mmap(nullptr, provided_bytes(provided_count), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  if (memory == MAP_FAILED) throw Error(errno, "make an event loop", "io_uring");
  provided_ = static_cast<io_uring_buf_ring*>(memory);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
  registration.ring_entries = provided_count;
  registration.bgid = provided_group;
  const int failure = io_uring_register_buf_ring(&ring_, &registration, 0);
  if (failure != 0) {
    munmap(memory, provided_bytes(provided_count));
    throw Error(-failure, "make an event loop", "io_uring", "the kernel is too old for it: use COAX_BACKEND=epoll");
  }
  io_uring_buf_ring_init(provided_);
  provided_buffers_.resize(provided_count);
  for (unsigned id = 0; id < provided_count; ++id) provide(id);
}

UringBackend::~UringBackend() {
  for (std::uint32_t index = 0; index < slots_.size(); ++index) {
    if (slots_[index].fd >= 0) close({.index = index, .generation = slots_[index].generation});
  }
  io_uring_queue_exit(&ring_);
  munmap(provided_, provided_bytes(provided_count));
  for (LentBuffer* buffer : provided_buffers_) delete buffer;
  ::close(wake_);
}

const UringBackend::Slot* UringBackend::find(Descriptor descriptor) const noexcept {
  if (descriptor.index >= slots_.size()) return nullptr;
  const Slot& slot = slots_[descriptor.index];
  return slot.generation == descriptor.generation && slot.fd >= 0 ? &slot : nullptr;
}

io_uring_sqe* UringBackend::next_request() noexcept {
  enable();
  io_uring_sqe* request = io_uring_get_sqe(&ring_);
  while (request == nullptr) {  // the queue is full of this turn's requests
    io_uring_submit(&ring_);
    request = io_uring_get_sqe(&ring_);
  }
  return request;
}

UringBackend::Scratch* UringBackend::take_scratch() {
  if (spare_scratch_.empty()) return new Scratch;
  Scratch* scratch = spare_scratch_.back().release();
  spare_scratch_.pop_back();
  return scratch;
}

void UringBackend::release(Scratch*& scratch) noexcept {
  if (scratch != nullptr) spare_scratch_.emplace_back(std::exchange(scratch, nullptr));
}

bool UringBackend::submit(Op& op) noexcept {
  Slot* slot = find(op.descriptor);
  Op** waiting = slot == nullptr ? nullptr : receives(op) ? &slot->reader : &slot->writer;
  if (waiting == nullptr || *waiting != nullptr) {
    op.result = waiting == nullptr ? -EBADF : -EBUSY;
    op.state = Op::State::finished;
    return true;
  }
  *waiting = &op;
  op.state = Op::State::waiting;
  start(*slot, op);
  return false;
}

void UringBackend::start(Slot& slot, Op& op) noexcept {
  io_uring_sqe* const request = next_request();
  switch (op.kind) {
    case Op::Kind::recv:
      io_uring_prep_recv(request, slot.fd, nullptr, 0, 0);
      request->flags |= IOSQE_BUFFER_SELECT;
      request->buf_group = provided_group;
      break;
    case Op::Kind::recv_into: io_uring_prep_recv(request, slot.fd, op.into.data, op.into.size, 0); break;
    case Op::Kind::send:
      slot.write_scratch = take_scratch();
      slot.write_scratch->message = {};
      slot.write_scratch->message.msg_iov = const_cast<iovec*>(op.gather.list);
      slot.write_scratch->message.msg_iovlen = op.gather.count;
      io_uring_prep_sendmsg(request, slot.fd, &slot.write_scratch->message, MSG_NOSIGNAL);
      break;
    case Op::Kind::accept:
      slot.read_scratch = take_scratch();
      slot.read_scratch->length = sizeof slot.read_scratch->address.bytes;
      io_uring_prep_accept(request, slot.fd, slot.read_scratch->address.get(), &slot.read_scratch->length,
                           SOCK_CLOEXEC);
      break;
    case Op::Kind::connect:
      slot.write_scratch = take_scratch();
      slot.write_scratch->length = op.endpoint->to_native(slot.write_scratch->address);
      io_uring_prep_connect(request, slot.fd, slot.write_scratch->address.get(), slot.write_scratch->length);
      break;
  }
  io_uring_sqe_set_data64(request, tag_of(op.descriptor, receives(op)));
}

void UringBackend::cancel(Op& op) noexcept {
  if (op.state != Op::State::waiting) return;  // finished: its result is on its way
  io_uring_sqe* const request = next_request();
  io_uring_prep_cancel64(request, tag_of(op.descriptor, receives(op)), 0);
  io_uring_sqe_set_data64(request, ignored_tag);
}

// The thread that enables the ring is the only one that may use it: the loop's, which need not have made it.
void UringBackend::enable() noexcept {
  if (std::exchange(enabled_, true)) return;
  // liburing 2.3 declares io_uring_enable_rings() and does not export it.
  syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  await_wake();
}

void UringBackend::await_wake() noexcept {
  io_uring_sqe* const request = next_request();
  io_uring_prep_read(request, wake_, &wake_count_, sizeof wake_count_, 0);
  io_uring_sqe_set_data64(request, wake_tag);
}

void UringBackend::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

bool UringBackend::poll(std::optional<TimePoint> until) noexcept {
  enable();
  const auto left = until ? *until - Clock::now() : Duration::max();
  if (left <= Duration::zero()) {
    io_uring_submit_and_get_events(&ring_);
  } else {
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    __kernel_timespec limit{.tv_sec = nanoseconds / 1'000'000'000, .tv_nsec = nanoseconds % 1'000'000'000};
    io_uring_cqe* first = nullptr;
    io_uring_submit_and_wait_timeout(&ring_, &first, 1, until ? &limit : nullptr, nullptr);
  }
  note_turn();
  io_uring_cqe* completion = nullptr;
  unsigned count = 0;
  for (; count < entries && io_uring_peek_cqe(&ring_, &completion) == 0; ++count) {
    const io_uring_cqe copy = *completion;
    io_uring_cqe_seen(&ring_, completion);
    handle(copy);
  }
  return count != 0;
}

void UringBackend::handle(const io_uring_cqe& completion) noexcept {
  if (completion.user_data == ignored_tag) return;
  if (completion.user_data == wake_tag) return await_wake();
  const Descriptor descriptor{.index = static_cast<std::uint32_t>(completion.user_data) >> 1,
                              .generation = static_cast<std::uint32_t>(completion.user_data >> 32)};
  const bool receiving = (completion.user_data & 1) != 0;
  Slot* slot = find(descriptor);
  Op* op = slot == nullptr ? nullptr : receiving ? slot->reader : slot->writer;
  if (op == nullptr) {  // of a descriptor that was closed
    if ((completion.flags & IORING_CQE_F_BUFFER) != 0) buffers().give_back(take_provided(completion));
    return;
  }
  finish_request(*slot, *op, completion);
}

void UringBackend::finish_request(Slot& slot, Op& op, const io_uring_cqe& completion) noexcept {
  const bool again = completion.res == -ENOBUFS && op.kind == Op::Kind::recv;  // more were ready than the ring has
  if (again || completion.res == -EINTR) return start(slot, op);
  op.result = completion.res;
  if (op.kind == Op::Kind::accept && op.result >= 0 && op.endpoint != nullptr) {
    *op.endpoint = Endpoint::from_native(slot.read_scratch->address.get());
  }
  if (op.kind == Op::Kind::recv) {
    LentBuffer* const buffer = (completion.flags & IORING_CQE_F_BUFFER) != 0 ? take_provided(completion) : nullptr;
    op.lent = op.result > 0 ? buffer : nullptr;
    if (buffer != nullptr && op.lent == nullptr) buffers().give_back(buffer);
    if (op.lent != nullptr && static_cast<std::size_t>(op.result) == buffer->size()) buffers().filled(*buffer);
  }
  release(receives(op) ? slot.read_scratch : slot.write_scratch);
  (receives(op) ? slot.reader : slot.writer) = nullptr;
  op.state = Op::State::finished;
  complete(op);
}

// The buffer that the completion names is the caller's; a fresh one stands in its place.
LentBuffer* UringBackend::take_provided(const io_uring_cqe& completion) noexcept {
  const unsigned id = completion.flags >> IORING_CQE_BUFFER_SHIFT;
  LentBuffer* const taken = provided_buffers_[id];
  provide(id);
  return buffers().lend(taken);
}

void UringBackend::provide(unsigned id) noexcept {
  LentBuffer* const buffer = buffers().reserve();
  provided_buffers_[id] = buffer;
  io_uring_buf_ring_add(provided_, buffer->data(), static_cast<unsigned>(buffer->size()),
                        static_cast<std::uint16_t>(id), io_uring_buf_ring_mask(provided_count), 0);
  io_uring_buf_ring_advance(provided_, 1);
}

std::expected<Descriptor, int> UringBackend::open(Endpoint::Family family) {
  const auto native = make_socket(family, 0);
  if (!native) return std::unexpected(native.error());
  return adopt(*native);
}

std::expected<Descriptor, int> UringBackend::listen(const Endpoint& at, const ListenOptions& options) {
  const auto native = make_listener(at, options, 0);
  if (!native) return std::unexpected(native.error());
  return adopt(*native);
}

std::expected<Descriptor, int> UringBackend::adopt(int native) {
  int type = 0;
  socklen_t length = sizeof type;
  if (getsockopt(native, SOL_SOCKET, SO_TYPE, &type, &length) != 0) {
    const int reason = errno;
    ::close(native);
    return std::unexpected(reason);
  }
  const int flags = fcntl(native, F_GETFL);
  if ((flags & O_NONBLOCK) != 0) fcntl(native, F_SETFL, flags & ~O_NONBLOCK);
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  slots_[index].fd = native;
  return Descriptor{.index = index, .generation = slots_[index].generation};
}

void UringBackend::close(Descriptor descriptor) noexcept {
  Slot* slot = find(descriptor);
  if (slot == nullptr) return;
  if (slot->reader != nullptr || slot->writer != nullptr) {
    io_uring_submit(&ring_);
    io_uring_sync_cancel_reg all{};
    all.fd = slot->fd;
    all.flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
    all.timeout = {.tv_sec = -1, .tv_nsec = -1};
    io_uring_register_sync_cancel(&ring_, &all);
  }
  ::close(slot->fd);
  slot->fd = -1;
  ++slot->generation;
  release(slot->read_scratch);
  release(slot->write_scratch);
  for (Op* op : {slot->reader, slot->writer}) {
    if (op != nullptr) finish_undone(*op, EBADF);
  }
  slot->reader = slot->writer = nullptr;
  free_.push_back(descriptor.index);
}

int UringBackend::finish(Descriptor descriptor) noexcept {
  const Slot* slot = find(descriptor);
  return slot == nullptr ? EBADF : shut_down_sending(slot->fd);
}

Endpoint UringBackend::local(Descriptor descriptor) const noexcept {
  const Slot* slot = find(descriptor);
  return slot == nullptr ? Endpoint() : local_of(slot->fd);
}

Endpoint UringBackend::peer(Descriptor descriptor) const noexcept {
  const Slot* slot = find(descriptor);
  return slot == nullptr ? Endpoint() : peer_of(slot->fd);
}

}  // namespace

std::unique_ptr<Backend> make_uring_backend() { return std::make_unique<UringBackend>(); }

}  // namespace coax
