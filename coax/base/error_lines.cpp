// One thread for each process, started with the first line; it blocks in write(2) when standard error is a pipe that is
// not read, and only it does. spdlog's asynchronous logger is not used: its policies for a full queue report no loss,
// and its destructor waits for the sink without a limit.
//
// The state is never destroyed: the thread is detached and may be in write(2) while the process exits.
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string_view>
#include <thread>
#include <utility>

#include "coax/base/error_lines_private.hpp"

namespace coax::detail {

namespace {

constexpr std::size_t waiting_bytes_max = 1 << 20;
constexpr Duration exit_wait_max = std::chrono::seconds(1);

// Whole lines of at most PIPE_BUF bytes together, so that processes that share a pipe do not mix theirs; at least one.
std::string_view piece_of(std::string_view lines) noexcept {
  if (lines.size() <= PIPE_BUF) return lines;
  const std::size_t end = lines.rfind('\n', PIPE_BUF - 1);
  return lines.substr(0, end == std::string_view::npos ? lines.find('\n') + 1 : end + 1);
}

// False: it cannot be written (a closed pipe, a full disk).
bool write_all(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const auto written = ::write(STDERR_FILENO, bytes.data(), bytes.size());
    if (written > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (written < 0 && errno == EAGAIN) {  // somebody made the description non-blocking
      pollfd watched{STDERR_FILENO, POLLOUT, 0};
      ::poll(&watched, 1, -1);
    } else if (written == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

class Writer {
 public:
  void add(std::string line);
  bool flush(Duration limit);

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  void forget_parent();

 private:
  void start();
  [[noreturn]] void run();
  void add_lost_line();

  // All under the mutex.
  std::mutex mutex_;
  std::condition_variable added_;
  std::condition_variable written_;
  std::string waiting_;
  std::size_t writing_bytes_ = 0;  // of which the thread has hold
  std::size_t lost_ = 0;           // lines, since the last one that was taken
  bool started_ = false;
};

Writer& writer() {
  static Writer* const instance = [] {
    auto* const made = new Writer;
    pthread_atfork([] { writer().lock(); }, [] { writer().unlock(); }, [] { writer().forget_parent(); });
    std::atexit([] { static_cast<void>(flush_error_lines(exit_wait_max)); });
    return made;
  }();
  return *instance;
}

void Writer::add(std::string line) {
  const std::scoped_lock lock(mutex_);
  const std::size_t held = waiting_.size() + writing_bytes_;
  // After a loss half of the room must be free: one gap, not one after each line.
  if (held + line.size() > (lost_ == 0 ? waiting_bytes_max : waiting_bytes_max / 2)) {
    ++lost_;
    return;
  }
  const bool may_sleep = waiting_.empty();
  add_lost_line();
  waiting_ += line;
  if (!started_) start();
  if (may_sleep) added_.notify_one();
}

void Writer::add_lost_line() {
  if (lost_ != 0) waiting_ += lost_lines_line(lost_);
  lost_ = 0;
}

// Signals are for the threads of the program.
void Writer::start() {
  sigset_t all{};
  sigset_t before{};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([this] { run(); }).detach();
    started_ = true;
  } catch (const std::system_error&) {  // no thread can be had now: with one of the next lines
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Writer::run() {
  std::string lines;
  std::unique_lock lock(mutex_);
  while (true) {
    added_.wait(lock, [this] { return !waiting_.empty(); });
    lines.clear();
    lines.swap(waiting_);
    std::string_view rest = lines;
    bool good = true;
    while (!rest.empty()) {
      const std::string_view piece = piece_of(rest);
      writing_bytes_ = rest.size();
      lock.unlock();
      good = write_all(piece);
      lock.lock();
      if (!good) lost_ += static_cast<std::size_t>(std::ranges::count(piece, '\n'));
      rest.remove_prefix(piece.size());
    }
    writing_bytes_ = 0;
    if (good && waiting_.empty()) add_lost_line();
    if (waiting_.empty()) written_.notify_all();
  }
}

bool Writer::flush(Duration limit) {
  std::unique_lock lock(mutex_);
  return written_.wait_for(lock, limit, [this] { return waiting_.empty() && writing_bytes_ == 0; });
}

// In the child of fork(2), which has the mutex and no thread; the lines that wait are the parent's to write.
void Writer::forget_parent() {
  new (&added_) std::condition_variable;
  new (&written_) std::condition_variable;
  waiting_.clear();
  writing_bytes_ = 0;
  lost_ = 0;
  started_ = false;
  mutex_.unlock();
}

}  // namespace

void add_error_line(std::string line) { writer().add(std::move(line)); }

bool flush_error_lines(Duration limit) noexcept {
  try {
    return writer().flush(limit);
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace coax::detail
