// One thread for each process, started with the first line; it blocks in write(2) when standard error is a pipe that is
// not read, and only it does. spdlog's asynchronous logger is not used: its policies for a full queue report no loss,
// and its destructor waits for the sink without a limit.
//
// The state is never destroyed: the thread is detached and may be in write(2) while the process exits.
#include <fmt/core.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
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

// Before a number of lines that were lost there, in place of a line; in lines, controls are escaped.
constexpr char lost_mark = '\x01';

// Whole lines of at most PIPE_BUF bytes together, so that processes that share a pipe do not mix theirs; at least one.
std::string_view piece_of(std::string_view lines) noexcept {
  lines = lines.substr(0, lines.find(lost_mark));
  if (lines.size() <= PIPE_BUF) return lines;
  const std::size_t end = lines.rfind('\n', PIPE_BUF - 1);
  return lines.substr(0, end == std::string_view::npos ? lines.find('\n') + 1 : end + 1);
}

// Returns the bytes that cannot be written (a closed pipe, a full disk).
std::string_view write_all(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const auto written = ::write(STDERR_FILENO, bytes.data(), bytes.size());
    if (written > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (written < 0 && errno == EAGAIN) {  // another process made the description non-blocking
      pollfd watched{STDERR_FILENO, POLLOUT, 0};
      ::poll(&watched, 1, -1);
    } else if (written == 0 || errno != EINTR) {
      break;
    }
  }
  return bytes;
}

// Belongs to the thread: standard error, and the count of lines lost there.
class Sink {
 public:
  // Reports earlier losses first. Lines that cannot be written count as lost.
  void write(std::string_view lines) noexcept {
    if (!tell_lost()) return lose(lines);
    write_lines(lines);
  }
  void lose(std::size_t count) noexcept { lost_ += count; }
  // False: it cannot be written now.
  bool tell_lost() noexcept {
    if (lost_ == 0) return true;
    try {
      const std::string line = lost_lines_line(lost_);
      const std::size_t count = std::exchange(lost_, 0);
      if (write_lines(line)) return true;
      lost_ = count;
    } catch (const std::exception&) {  // no memory for the text
    }
    return false;
  }

 private:
  void lose(std::string_view lines) noexcept { lose(static_cast<std::size_t>(std::ranges::count(lines, '\n'))); }
  bool write_lines(std::string_view lines) noexcept {
    if (is_cut_ && !write_all("\n").empty()) {
      lose(lines);
      return false;
    }
    is_cut_ = false;
    const std::string_view rest = write_all(lines);
    if (rest.empty()) return true;
    const std::string_view written = lines.substr(0, lines.size() - rest.size());
    is_cut_ = !written.empty() && !written.ends_with('\n');
    lose(rest);
    return false;
  }

  std::size_t lost_ = 0;
  bool is_cut_ = false;  // the last line that was written lacks its end
};

// Writes or counts the first lines. Returns how many bytes that was.
std::size_t take(Sink& sink, std::string_view lines) noexcept {
  if (lines.front() == lost_mark) {
    const std::size_t end = lines.find('\n');
    std::size_t count = 0;
    std::from_chars(lines.data() + 1, lines.data() + end, count);
    sink.lose(count);
    return end + 1;
  }
  const std::string_view piece = piece_of(lines);
  sink.write(piece);
  return piece.size();
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
  std::size_t writing_bytes_ = 0;  // bytes that the thread is writing
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
  if (lost_ != 0) waiting_ += fmt::format("{}{}\n", lost_mark, lost_);
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
  } catch (const std::system_error&) {  // no thread can be started now: retried with one of the next lines
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Writer::run() {
  Sink sink;
  std::string lines;
  std::unique_lock lock(mutex_);
  while (true) {
    added_.wait(lock, [this] { return !waiting_.empty(); });
    lines.clear();
    lines.swap(waiting_);
    std::string_view rest = lines;
    while (!rest.empty()) {
      writing_bytes_ = rest.size();
      lock.unlock();
      rest.remove_prefix(take(sink, rest));
      lock.lock();
    }
    writing_bytes_ = lines.size();
    lock.unlock();
    sink.tell_lost();
    lock.lock();
    writing_bytes_ = 0;
    if (waiting_.empty()) add_lost_line();
    if (waiting_.empty()) written_.notify_all();
  }
}

bool Writer::flush(Duration limit) {
  std::unique_lock lock(mutex_);
  return written_.wait_for(lock, limit, [this] { return waiting_.empty() && writing_bytes_ == 0; });
}

// In the child of fork(2), which has the mutex and no thread; the parent writes the pending lines.
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
