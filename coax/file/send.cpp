// Two buffers: one is sent while the next piece is read. preadv2(RWF_NOWAIT) reads what the page cache has without ever
// waiting for the disk; file systems without it, and what is not cached, cost a hop to a thread for each piece.
// Where the page cache has much of the file (cachestat(2), Linux 6.5), and the stream is a socket, the kernel sends it
// without a copy (sendfile(2)) for as long as the socket accepts more. Then an ordinary piece waits for the peer.
#include <fmt/core.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "coax/base/error.hpp"
#include "coax/base/units.hpp"
#include "coax/file/file.hpp"
#include "coax/task/offload.hpp"
#include "coax/task/scope.hpp"

namespace coax {

namespace {

constexpr std::uint64_t piece_bytes_max = 64_KiB;
constexpr std::uint64_t cached_bytes_min = 128_KiB;  // fewer are copied: the system calls would cost more
constexpr std::uint64_t cached_bytes_max = 1_MiB;    // of one sendfile(2)
constexpr std::uint64_t waiting_bytes_max = 4_KiB;   // of the piece that waits for the peer between two of them

// Whether the page cache has all of it, so that sendfile(2) does not wait for a disk.
bool is_cached(int file, std::uint64_t offset, std::uint64_t size) noexcept {
  constexpr long number = 451;  // of cachestat(2), which this C library may not know
  struct {
    std::uint64_t offset;
    std::uint64_t size;
  } const range{.offset = offset, .size = size};
  struct {
    std::uint64_t cached;
    std::uint64_t dirty;
    std::uint64_t writeback;
    std::uint64_t evicted;
    std::uint64_t recently_evicted;
  } pages{};
  if (::syscall(number, file, &range, &pages, 0) != 0) return false;
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return pages.cached == (offset + size - 1) / page - offset / page + 1;
}

class ReadAhead {
 public:
  explicit ReadAhead(const FileRange& range) noexcept
      : range_(range), at_(range.offset()), end_(range.offset() + range.size()) {}

  // Chooses the next piece. Returns: false when the range has no more.
  bool begin(std::uint64_t bytes_max = piece_bytes_max) {
    wanted_ = static_cast<std::size_t>(std::min(end_ - at_, bytes_max));
    filled_ = 0;
    if (wanted_ != 0 && !ahead_) ahead_ = std::make_unique_for_overwrite<char[]>(std::min(end_ - at_, piece_bytes_max));
    return wanted_ != 0;
  }
  // Reads it without waiting. Returns: false when it is not whole.
  bool read_cached() noexcept {
    const iovec into{.iov_base = ahead_.get(), .iov_len = wanted_};
    const auto count = ::preadv2(range_.file().native(), &into, 1, static_cast<off_t>(at_), RWF_NOWAIT);
    filled_ = count > 0 ? static_cast<std::size_t>(count) : 0;
    return filled_ == wanted_;
  }
  // Reads the rest of it, and may wait. Thread: any.
  void read() noexcept {
    while (filled_ != wanted_) {
      const auto count =
          ::pread(range_.file().native(), ahead_.get() + filled_, wanted_ - filled_, static_cast<off_t>(at_ + filled_));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) {
        is_shorter_ = count == 0;
        error_ = count == 0 ? 0 : errno;
        return;
      }
      filled_ += static_cast<std::size_t>(count);
    }
  }
  // Sends what the page cache has after the last piece, without waiting. Between two pieces.
  void send_cached(Stream& stream) noexcept {
    while (sends_cached_ && end_ - at_ >= cached_bytes_min) {
      const std::uint64_t size = std::min(end_ - at_, cached_bytes_max);
      const int file = range_.file().native();
      if (!is_cached(file, at_, size)) return;
      const std::int64_t sent = stream.send_file_now({.native = file, .offset = at_, .size = size});
      if (sent > 0) at_ += static_cast<std::uint64_t>(sent);
      if (sent == -EOPNOTSUPP) sends_cached_ = false;
      if (sent <= 0) return;  // an error stays in the stream, and a shorter file is noticed by the next read
    }
  }
  [[nodiscard]] bool may_send_cached() const noexcept {
    return sends_cached_ && end_ - at_ >= cached_bytes_min &&
           is_cached(range_.file().native(), at_, std::min(end_ - at_, cached_bytes_max));
  }
  [[nodiscard]] bool has_failed() const noexcept { return is_shorter_ || error_ != 0; }
  [[noreturn]] void fail() const {
    const File& file = range_.file();
    if (error_ != 0) throw Error(error_, "read", file.path());
    throw Error(ErrorKind::other, "read", file.path(),
                fmt::format("it has become shorter than {} bytes, which it had when it was opened", file.size()));
  }
  // The piece that was read last. Lifetime: until the next call.
  BytesView pop() noexcept {
    ahead_.swap(current_);
    at_ += filled_;
    return {current_.get(), filled_};
  }

 private:
  const FileRange& range_;
  std::uint64_t at_;
  std::uint64_t end_;
  std::unique_ptr<char[]> ahead_;
  std::unique_ptr<char[]> current_;
  std::size_t wanted_ = 0;
  std::size_t filled_ = 0;
  int error_ = 0;
  bool is_shorter_ = false;
  bool sends_cached_ = true;
};

// Sends a piece while the next one is read.
Task<> send_and_read(Stream& stream, BytesView piece, ReadAhead& ahead) {
  if (ahead.read_cached()) {
    co_await stream.send(piece);
    co_return;
  }
  const auto read = [&ahead]() noexcept { ahead.read(); };
  co_await all(stream.send(piece), offload(read));
}

Task<> read_now(ReadAhead& ahead) {
  if (ahead.read_cached()) co_return;
  const auto read = [&ahead]() noexcept { ahead.read(); };
  co_await offload(read);
}

}  // namespace

Task<> send(Stream& stream, FileRange range) {
  ReadAhead ahead(range);
  if (!ahead.begin()) co_return;
  co_await read_now(ahead);
  try {
    while (!ahead.has_failed()) {
      const BytesView piece = ahead.pop();
      if (ahead.may_send_cached()) {
        co_await stream.send(piece);
        ahead.send_cached(stream);
        if (!ahead.begin(waiting_bytes_max)) co_return;
        co_await read_now(ahead);
        continue;
      }
      if (!ahead.begin()) {
        co_await stream.send(piece);
        co_return;
      }
      co_await send_and_read(stream, piece, ahead);
    }
  } catch (const Cancelled&) {
    stream.abort();
    throw;
  }
  stream.abort();
  ahead.fail();
}

}  // namespace coax
