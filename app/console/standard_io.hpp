// Standard input and output for tasks: pipes, files and terminals for which the loop cannot wait. A thread of offload()
// waits instead; cancelling wakes it. Only one piece is buffered: a slow reader blocks the writer.
//
// Descriptors 0 and 1 stay blocking: they may be shared with the shell and other processes.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"
#include "coax/net/file_descriptor.hpp"
#include "coax/task/scope.hpp"
#include "coax/task/task.hpp"

namespace coax::app {

// Ends a poll(2). Thread: any, and signal handlers.
class Wake {
 public:
  Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;
  ~Wake();

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  static void set(int descriptor) noexcept;
  void set() const noexcept { set(descriptor_); }
  void clear() const noexcept;

 private:
  int descriptor_;
};

class StandardInput {
 public:
  // Returns: the bytes that have arrived, at least one; empty: the end, now and at every further call.
  // Throws: Error when the input cannot be read.
  // Cancelled: no byte is lost.
  // Lifetime: until the next call; one call at a time.
  Task<BytesView> next();
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  static constexpr std::size_t piece_bytes_max = 128 << 10;
  std::size_t read(const std::stop_token& stop);

  Wake wake_;
  std::vector<char> buffer_ = std::vector<char>(piece_bytes_max);
  std::optional<std::size_t> piece_;  // bytes that were read and not returned yet
  bool ended_ = false;
};

class StandardOutput {
 public:
  StandardOutput();

  // Writes all bytes; concurrent calls are served one after the other.
  // Throws: Error(disconnected) when the reader of a pipe has closed it: SIGPIPE must be ignored.
  // Cancelled: a part may have been written.
  Task<> write(BytesView bytes);
  // Writes what fits without waiting, and drops the rest. Never throws.
  void write_now(BytesView bytes) const noexcept;
  // Now while a write is in progress, otherwise the end of the last one: until then the reader has blocked the caller.
  [[nodiscard]] TimePoint last_busy() const noexcept { return busy_ ? Clock::now() : last_busy_; }

 private:
  std::size_t write_some(BytesView bytes) const;
  void wait(const std::stop_token& stop) const;
  [[nodiscard]] bool ready() const noexcept;

  Wake wake_;
  FileDescriptor own_;  // of the same pipe or terminal, but non-blocking; none: neither of them, or permission denied
  int descriptor_;
  std::size_t write_bytes_max_;
  bool is_file_;
  bool busy_ = false;
  TimePoint last_busy_;
  Event idle_;
};

// Standard output for callbacks on a loop, which must not block: a task writes their lines.
class Announcements {
 public:
  void say(std::string_view text);
  // Runs beside a server. Cancelled: pending lines are written, within a second. A failure decides the exit code.
  Task<> run();

 private:
  Task<> write_all();

  StandardOutput output_;
  std::string texts_;
  Event added_;
};

}  // namespace coax::app
