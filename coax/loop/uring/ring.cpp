// The ring: set up with the features that this kernel has, and refused when an indispensable one is missing.
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "coax/base/error.hpp"
#include "coax/loop/backend.hpp"
#include "coax/loop/uring/uring_private.hpp"

namespace coax {

namespace {

// Newer than liburing 2.3. Linux 6.8: installs a fixed descriptor as a plain one.
constexpr int op_fixed_fd_install = 54;

constexpr std::size_t provided_bytes(unsigned count) { return count * sizeof(io_uring_buf); }

std::string_view advice_on(int reason) {
  switch (reason) {
    case EPERM:
    case ENOSYS:
      return "the system forbids it (the sysctl kernel.io_uring_disabled, or a container's seccomp filter): "
             "use COAX_BACKEND=epoll";
    case EINVAL: return "it needs Linux 6.1: use COAX_BACKEND=epoll";
    default: return "use COAX_BACKEND=epoll";
  }
}

void add_one(int event) noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(event, &one, sizeof one);
}

[[noreturn]] void refuse(int reason) { throw Error(reason, "make an event loop", "io_uring", advice_on(reason)); }

}  // namespace

Ring::Ring(Buffers& buffers) : buffers_(buffers), wake_(eventfd(0, EFD_CLOEXEC)) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                 IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
  params.cq_entries = entries * 8;
  const int failure = wake_ < 0 ? -errno : io_uring_queue_init_params(entries, &ring_, &params);
  if (failure != 0) {
    ::close(wake_);
    refuse(-failure);
  }
  try {
    make_buffers();
  } catch (...) {
    io_uring_queue_exit(&ring_);
    ::close(wake_);
    throw;
  }
  make_table();
}

Ring::~Ring() {
  io_uring_queue_exit(&ring_);
  munmap(provided_, provided_bytes(buffer_count));
  for (LentBuffer* buffer : provided_buffers_) delete buffer;
  ::close(wake_);
  if (notify_ >= 0) ::close(notify_);
}

void Ring::make_buffers() {
  void* const memory =
      mmap(nullptr, provided_bytes(buffer_count), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  if (memory == MAP_FAILED) refuse(errno);
  provided_ = static_cast<io_uring_buf_ring*>(memory);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
  registration.ring_entries = buffer_count;
  registration.bgid = buffer_group;
  const int failure = io_uring_register_buf_ring(&ring_, &registration, 0);
  if (failure != 0) {
    munmap(memory, provided_bytes(buffer_count));
    refuse(-failure);
  }
  io_uring_buf_ring_init(provided_);
  provided_buffers_.resize(buffer_count);
  for (unsigned id = 0; id < buffer_count; ++id) provide(id);
}

// The address of a fixed descriptor can be read only through a plain one. Without that operation there is no table.
void Ring::make_table() noexcept {
  io_uring_probe* const probe = io_uring_get_probe_ring(&ring_);
  const bool can_borrow = probe != nullptr && io_uring_opcode_supported(probe, op_fixed_fd_install) != 0;
  io_uring_free_probe(probe);
  rlimit limit{};
  if (!can_borrow || getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const auto size = static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, 65'536));  // the kernel's maximum
  if (io_uring_register_files_sparse(&ring_, size) == 0) table_size_ = size;
}

// --- requests ---

// The thread that enables the ring is the only one that may use it: the loop's thread, which need not have created it.
void Ring::enable() noexcept {
  if (std::exchange(enabled_, true)) return;
  // liburing 2.3 declares io_uring_enable_rings() and does not export it.
  syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  await_wake();
}

io_uring_sqe* Ring::request(std::uint64_t tag) noexcept {
  enable();
  io_uring_sqe* request = io_uring_get_sqe(&ring_);
  while (request == nullptr) {  // the queue is full of this turn's requests
    submit();
    request = io_uring_get_sqe(&ring_);
  }
  io_uring_prep_nop(request);
  io_uring_sqe_set_data64(request, tag);  // io_uring_prep_* leaves it alone
  return request;
}

void Ring::cancel(std::uint64_t tag) noexcept { io_uring_prep_cancel64(request(tag | cancel_bit), tag, 0); }

void Ring::end(std::uint64_t tag) noexcept {
  const auto is_last = [tag](const io_uring_cqe& completion) {
    return completion.user_data == tag && (completion.flags & IORING_CQE_F_MORE) == 0;
  };
  put_aside();
  while (std::ranges::none_of(put_aside_, is_last)) {
    cancel(tag);
    io_uring_submit_and_wait(&ring_, 1);
    put_aside();
  }
}

void Ring::put_aside() noexcept {
  io_uring_cqe* completion = nullptr;
  while (io_uring_peek_cqe(&ring_, &completion) == 0) {
    put_aside_.push_back(*completion);
    io_uring_cqe_seen(&ring_, completion);
  }
}

void Ring::await_wake() noexcept {
  io_uring_prep_read(request(tag_of_wake), wake_, &wake_count_, sizeof wake_count_, 0);
}

// Either the loop that is about to wait sees the notification, or this sees that it waits.
void Ring::wake() noexcept {
  const int notify = notify_;
  if (notify >= 0) add_one(notify);
  if (notify < 0 || is_waiting_) add_one(wake_);
}

bool Ring::clear_notification() noexcept {
  std::uint64_t count = 0;
  return ::read(notify_, &count, sizeof count) > 0;
}

void Ring::wait(std::optional<TimePoint> until) noexcept {
  enable();
  const auto left = until ? *until - Clock::now() : Duration::max();
  const bool is_embedded = notify_ >= 0;
  if (is_embedded) is_waiting_ = left > Duration::zero();
  // Before the completions are fetched: later ones make it readable again.
  const bool is_notified = is_embedded && clear_notification();
  if (is_notified || left <= Duration::zero() || !put_aside_.empty()) {
    if (is_embedded) is_waiting_ = false;
    const unsigned flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
    const bool has_events = (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
    if (has_events || io_uring_sq_ready(&ring_) != 0) io_uring_submit_and_get_events(&ring_);
    return;
  }
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
  __kernel_timespec limit{.tv_sec = nanoseconds / 1'000'000'000, .tv_nsec = nanoseconds % 1'000'000'000};
  io_uring_cqe* first = nullptr;
  io_uring_submit_and_wait_timeout(&ring_, &first, 1, until ? &limit : nullptr, nullptr);
  if (is_embedded) is_waiting_ = false;
}

std::expected<int, int> Ring::poll_descriptor() noexcept {
  if (notify_ >= 0) return notify_;
  enable();
  const int made = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (made < 0) return std::unexpected(errno);
  if (const int failure = io_uring_register_eventfd(&ring_, made); failure != 0) {
    ::close(made);
    return std::unexpected(-failure);
  }
  notify_ = made;
  add_one(notify_);  // for completions from before
  return notify_;
}

void Ring::prepare_wait() noexcept {
  enable();
  if (io_uring_sq_ready(&ring_) != 0) submit();
  if (notify_ >= 0 && (!put_aside_.empty() || io_uring_cq_ready(&ring_) != 0)) add_one(notify_);
}

bool Ring::take_own(const io_uring_cqe& completion) noexcept {
  if (missed(completion.user_data)) return completion.res != -ENOENT && completion.res != -EALREADY;
  if (lane_of(completion.user_data) != Lane::control) return false;
  if (completion.user_data == tag_of_wake) await_wake();
  return true;
}

// --- provided buffers ---

LentBuffer* Ring::take_buffer(const io_uring_cqe& completion) noexcept {
  if ((completion.flags & IORING_CQE_F_BUFFER) == 0) return nullptr;
  const unsigned id = completion.flags >> IORING_CQE_BUFFER_SHIFT;
  LentBuffer* const taken = provided_buffers_[id];
  provide(id);
  return buffers_.lend(taken);
}

void Ring::provide(unsigned id) noexcept {
  LentBuffer* const buffer = buffers_.reserve();
  provided_buffers_[id] = buffer;
  io_uring_buf_ring_add(provided_, buffer->data(), static_cast<unsigned>(buffer->size()),
                        static_cast<std::uint16_t>(id), io_uring_buf_ring_mask(buffer_count), 0);
  io_uring_buf_ring_advance(provided_, 1);
}

// --- the table of fixed descriptors ---

int Ring::put(std::uint32_t index, int native) noexcept {
  const int count = io_uring_register_files_update(&ring_, index, &native, 1);
  return count == 1 ? 0 : count < 0 ? -count : EINVAL;
}

void Ring::remove(std::uint32_t index) noexcept {
  const int no_file = -1;
  io_uring_register_files_update(&ring_, index, &no_file, 1);
}

int Ring::borrow(std::uint32_t index) noexcept {
  io_uring_sqe* const install = request(tag_of_borrow);
  install->opcode = op_fixed_fd_install;
  install->fd = static_cast<int>(index);
  install->flags |= IOSQE_FIXED_FILE;
  const auto is_answer = [](const io_uring_cqe& completion) { return completion.user_data == tag_of_borrow; };
  auto answer = put_aside_.end();
  while (answer == put_aside_.end()) {
    if (const int count = io_uring_submit_and_wait(&ring_, 1); count < 0 && count != -EINTR) return count;
    put_aside();
    answer = std::ranges::find_if(put_aside_, is_answer);
  }
  const int result = answer->res;
  put_aside_.erase(answer);
  return result;
}

}  // namespace coax
