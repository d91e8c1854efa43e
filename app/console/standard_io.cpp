// A pipe or a terminal is opened once more, through /proc, so that our own open file description can be non-blocking. A
// stopped terminal (Ctrl-S, or its reader) accepts fewer bytes than poll(2) promises. Files are always ready and accept
// everything. For others (a socket) it suffices that a descriptor that poll(2) reports writable accepts PIPE_BUF bytes
// without blocking, as a pipe does (pipe(7)).
#include "app/console/standard_io.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <system_error>

#include "app/console/report.hpp"
#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/task/offload.hpp"

namespace coax::app {

Wake::Wake() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (descriptor_ < 0) throw Error(errno, "open", "an eventfd", "raise the limit on open files (ulimit -n)");
}
Wake::~Wake() { ::close(descriptor_); }

void Wake::set(int descriptor) noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(descriptor, &one, sizeof one);
}

void Wake::clear() const noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(descriptor_, &count, sizeof count);
}

namespace {

// On a thread: waits until the descriptor is ready; false: a stop was requested.
bool wait_for(int descriptor, short events, const Wake& wake, const std::stop_token& stop) {
  wake.clear();
  const std::stop_callback on_stop(stop, [&wake] { wake.set(); });
  while (!stop.stop_requested()) {
    std::array<pollfd, 2> watched{{{descriptor, events, 0}, {wake.descriptor(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) > 0 && watched[0].revents != 0) return true;
  }
  return false;
}

}  // namespace

// --- input ---

Task<BytesView> StandardInput::next() {
  if (ended_) co_return BytesView();
  if (!piece_) {
    const auto read_piece = [this](const std::stop_token& stop) { return read(stop); };
    co_await offload(read_piece);
  }
  const Context& context = co_await this_context();
  if (context.cancelled()) throw Cancelled();  // bytes that were read are returned by the next call
  const std::size_t size = *std::exchange(piece_, std::nullopt);
  ended_ = size == 0;
  co_return BytesView(buffer_.data(), size);
}

std::size_t StandardInput::read(const std::stop_token& stop) {
  while (wait_for(STDIN_FILENO, POLLIN, wake_, stop)) {
    const auto got = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
    if (got >= 0) {
      piece_ = static_cast<std::size_t>(got);
      return *piece_;
    }
    if (errno != EINTR && errno != EAGAIN) throw Error(errno, "read", "standard input");
  }
  return 0;
}

// --- output ---

StandardOutput::StandardOutput() : descriptor_(STDOUT_FILENO), write_bytes_max_(PIPE_BUF) {
  struct stat what{};
  if (::fstat(STDOUT_FILENO, &what) != 0) what.st_mode = 0;
  is_file_ = S_ISREG(what.st_mode);
  if (S_ISFIFO(what.st_mode) || ::isatty(STDOUT_FILENO) == 1) {
    own_.reset(::open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  }
  if (own_) descriptor_ = own_.native();
  if (own_ || is_file_) write_bytes_max_ = SIZE_MAX;
}

Task<> StandardOutput::write(BytesView bytes) {
  while (busy_) co_await idle_.wait();
  const struct Turn {
    explicit Turn(StandardOutput& of) : output(of) {
      output.busy_ = true;
      output.idle_.clear();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      output.busy_ = false;
      output.last_busy_ = Clock::now();
      output.idle_.set();
    }
    StandardOutput& output;
  } turn(*this);
  while (!bytes.empty()) {
    if (!ready()) {
      const auto wait_until_ready = [this](const std::stop_token& stop) { wait(stop); };
      co_await offload(wait_until_ready);
      const Context& context = co_await this_context();
      if (context.cancelled()) throw Cancelled();
    }
    bytes = bytes.from(write_some(bytes));
  }
}

void StandardOutput::write_now(BytesView bytes) const noexcept {
  while (!bytes.empty() && ready()) {
    const auto written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), write_bytes_max_));
    if (written <= 0) return;
    bytes = bytes.from(static_cast<std::size_t>(written));
  }
}

bool StandardOutput::ready() const noexcept {
  pollfd watched{descriptor_, POLLOUT, 0};
  return is_file_ || ::poll(&watched, 1, 0) > 0;
}

void StandardOutput::wait(const std::stop_token& stop) const {
  static_cast<void>(wait_for(descriptor_, POLLOUT, wake_, stop));
}

std::size_t StandardOutput::write_some(BytesView bytes) const {
  const auto written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), write_bytes_max_));
  if (written >= 0) return static_cast<std::size_t>(written);
  if (errno == EINTR || errno == EAGAIN) return 0;
  const int reason = errno;
  record_output_failure(reason);
  throw Error(reason, "write to", "standard output");
}

// --- announcements ---

void Announcements::say(std::string_view text) {
  texts_ += text;
  added_.set();
}

Task<> Announcements::run() {
  bool cancelled = false;
  try {
    while (true) {
      co_await added_.wait();
      added_.clear();
      co_await write_all();
    }
  } catch (const Cancelled&) {
    cancelled = true;
  }
  if (cancelled) co_await shield(std::chrono::seconds(1), write_all());
}

Task<> Announcements::write_all() {
  try {
    while (!texts_.empty()) {
      const std::string text = std::exchange(texts_, {});
      co_await output_.write(text);
    }
  } catch (const Error& error) {
    record_output_failure(error.code().value());
    log::warning("{}: the exit code will be {}", error.what(), int{failed});
  }
}

}  // namespace coax::app
