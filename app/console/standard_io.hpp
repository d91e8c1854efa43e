// Standard input and output for tasks: pipes, files and terminals that the loop cannot wait for. A thread of offload()
// waits instead; cancelling wakes it. Nothing is held but one piece: who does not read holds up who writes.
//
// Descriptors 0 and 1 stay blocking: they may be shared with the shell and others, who would be surprised.
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

// Ends a poll(2), from any thread or a signal handler.
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
  // What there is, at least one byte; empty: the end, now and at every further call. Lent until the next call. One call
  // at a time. Throws Error when it cannot be read. Cancelled: nothing is lost.
  Task<BytesView> next();
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  static constexpr std::size_t piece_bytes_max = 128 << 10;
  std::size_t read(const std::stop_token& stop);

  Wake wake_;
  std::vector<char> buffer_ = std::vector<char>(piece_bytes_max);
  std::optional<std::size_t> piece_;  // what was read and not given yet
  bool ended_ = false;
};

class StandardOutput {
 public:
  StandardOutput();

  // All of it; several calls at a time have their turn one after the other. Throws Error(disconnected) when the reader
  // of a pipe is gone: SIGPIPE must be ignored. Cancelled: a part may have been written.
  Task<> write(BytesView bytes);
  // What can be written without waiting; the rest is dropped. Never throws.
  void write_now(BytesView bytes) const noexcept;
  // Now while a write is under way, else when the last one ended: until then the reader has held the caller up.
  [[nodiscard]] TimePoint last_busy() const noexcept { return busy_ ? Clock::now() : last_busy_; }

 private:
  std::size_t write_some(BytesView bytes) const;
  void wait(const std::stop_token& stop) const;
  [[nodiscard]] bool ready() const noexcept;

  Wake wake_;
  FileDescriptor own_;  // of the same pipe or terminal, but non-blocking; none: it is neither, or not ours to open
  int descriptor_;
  std::size_t write_bytes_max_;
  bool is_file_;
  bool busy_ = false;
  TimePoint last_busy_;
  Event idle_;
};

// Standard output for callbacks on a loop, which must not wait for a reader: a task writes what they say.
class Announcements {
 public:
  void say(std::string_view text);
  // Runs beside a server. Cancelled: what is left is written, within a second. A failure decides the exit code.
  Task<> run();

 private:
  Task<> write_all();

  StandardOutput output_;
  std::string texts_;
  Event added_;
};

}  // namespace coax::app
