// Ring: the part of liburing that the io_uring back-end uses: the queues, the provided buffers, and the constants that
// liburing 2.3 does not have yet.
#pragma once

#include <liburing.h>

#include <atomic>
#include <deque>
#include <expected>
#include <optional>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/loop/buffers.hpp"

namespace coax {

// One loop's ring. Thread: the loop's, for all calls but wake().
class Ring {
 public:
  explicit Ring(Buffers& buffers);  // throws Error where the system does not allow it
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring();

  // The operation that a completion is for: the two low bits.
  enum class Lane : std::uint64_t { receive, send, accept, control };
  static Lane lane_of(std::uint64_t tag) noexcept { return static_cast<Lane>(tag & 3); }

  // The next request to fill in. It is submitted with the others at the next wait(), or earlier when the queue is full.
  io_uring_sqe* request(std::uint64_t tag) noexcept;
  // Cancels the request with that tag. When the kernel did not find it, even if only because it was moving between two
  // of the kernel's lists, the completion is handled with a tag for which missed() is true.
  void cancel(std::uint64_t tag) noexcept;
  static bool missed(std::uint64_t tag) noexcept { return (tag & cancel_bit) != 0; }
  static std::uint64_t target_of(std::uint64_t tag) noexcept { return tag & ~cancel_bit; }
  void submit() noexcept { io_uring_submit(&ring_); }
  // The same, and waits for its end: the memory that it pointed to is free. Its completion is handled later.
  void end(std::uint64_t tag) noexcept;
  void wake() noexcept;
  // An eventfd that the kernel writes for completions (io_uring_register_eventfd(3)) and that wait() reads; or an
  // errno. The ring's own descriptor cannot be used: with IORING_SETUP_DEFER_TASKRUN, new work wakes only
  // io_uring_enter(2).
  std::expected<int, int> poll_descriptor() noexcept;
  // Submits queued requests, and makes poll_descriptor() readable for completions that are left.
  void prepare_wait() noexcept;

  // Submits, and waits for a completion at most until then.
  void wait(std::optional<TimePoint> until) noexcept;
  // Calls handle(completion) for each completion. False: there was none.
  template <class Handle>
  bool take_completions(Handle handle) {
    unsigned count = 0;
    for (; count < completions_max; ++count) {
      io_uring_cqe* completion = nullptr;
      io_uring_cqe copy{};
      if (!put_aside_.empty()) {
        copy = put_aside_.front();
        put_aside_.pop_front();
      } else if (io_uring_peek_cqe(&ring_, &completion) == 0) {
        copy = *completion;
        io_uring_cqe_seen(&ring_, completion);
      } else {
        break;
      }
      if (!take_own(copy)) handle(copy);
    }
    return count != 0;
  }

  // The buffer group from which a recv with buffer selection gets its buffer.
  static constexpr unsigned buffer_group = 0;
  // The buffer that a completion names, now owned by the caller; a fresh one replaces it. Null: it names none.
  LentBuffer* take_buffer(const io_uring_cqe& completion) noexcept;

  // The table of fixed descriptors, which the limit on open files does not count: its size, 0 when there is none; errno
  // when `native` could not be added; and a plain descriptor for an entry, to be closed, or -errno.
  [[nodiscard]] std::uint32_t table_size() const noexcept { return table_size_; }
  int put(std::uint32_t index, int native) noexcept;
  void remove(std::uint32_t index) noexcept;
  int borrow(std::uint32_t index) noexcept;

 private:
  static constexpr unsigned entries = 1024;
  static constexpr unsigned completions_max = 1024;  // of one turn
  static constexpr unsigned buffer_count = 128;      // a power of two
  static constexpr std::uint64_t tag_of_wake = 0 << 2 | static_cast<std::uint64_t>(Lane::control);
  static constexpr std::uint64_t cancel_bit = std::uint64_t{1} << 31;  // above any index of a slot
  static constexpr std::uint64_t tag_of_borrow = 2 << 2 | static_cast<std::uint64_t>(Lane::control);

  void make_buffers();
  void make_table() noexcept;
  void provide(unsigned id) noexcept;
  void enable() noexcept;
  void await_wake() noexcept;
  bool take_own(const io_uring_cqe& completion) noexcept;
  void put_aside() noexcept;
  bool clear_notification() noexcept;  // false: there was none

  Buffers& buffers_;
  io_uring ring_{};
  io_uring_buf_ring* provided_ = nullptr;
  std::vector<LentBuffer*> provided_buffers_;  // by their number in the ring
  std::deque<io_uring_cqe> put_aside_;         // arrived while another completion was awaited
  std::uint32_t table_size_ = 0;
  int wake_ = -1;
  // The descriptor of poll_descriptor(); -1 until its first call. The kernel writes it late when the loop's own thread
  // writes wake_, so wake() writes it itself, and wake_ only for a wait in io_uring_enter(2).
  std::atomic<int> notify_ = -1;
  std::atomic<bool> is_waiting_ = false;
  std::uint64_t wake_count_ = 0;
  bool enabled_ = false;
};

}  // namespace coax
