// File and FileRange: a part of a regular file as something that a stream can send, without blocking the loop on a disk
// and in constant memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "coax/net/file_descriptor.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/task.hpp"

namespace coax {

// A regular file, opened for reading. Copies share one descriptor, without a position.
// Thread: any.
class File {
 public:
  // Opens on a thread of offload().
  // Throws: Error of the system; Error(invalid) for a folder, a device, a FIFO or a socket, without waiting for it.
  // Cancelled: at once; a late result is closed.
  static Task<File> open(std::string path);
  // A file that is open already, with O_RDONLY. `path`: its name in errors.
  // Throws: Error of the system; Error(invalid) for all but a regular file.
  static File adopt(FileDescriptor descriptor, std::string path);

  // As they were when it was opened.
  [[nodiscard]] std::uint64_t size() const noexcept { return opened_->size; }
  [[nodiscard]] std::chrono::sys_time<std::chrono::nanoseconds> modified() const noexcept { return opened_->modified; }
  [[nodiscard]] std::uint64_t inode() const noexcept { return opened_->inode; }
  [[nodiscard]] const std::string& path() const noexcept { return opened_->path; }
  [[nodiscard]] int native() const noexcept { return opened_->descriptor.native(); }
  // Blocks, thus for a thread of offload().
  // Returns: exactly `count` bytes at that offset.
  // Throws: Error of the system; Error(other) when the file has become shorter.
  [[nodiscard]] std::string read(std::uint64_t offset, std::size_t count) const;

 private:
  struct Opened {
    FileDescriptor descriptor;
    std::string path;
    std::uint64_t size;
    std::uint64_t inode;
    std::chrono::sys_time<std::chrono::nanoseconds> modified;
  };
  explicit File(std::shared_ptr<const Opened> opened) noexcept : opened_(std::move(opened)) {}
  static File open_now(std::string path);

  std::shared_ptr<const Opened> opened_;
};

class FileRange {
 public:
  // The whole file, as long as it was when it was opened.
  explicit FileRange(File file) noexcept : file_(std::move(file)), size_(file_.size()) {}
  // Throws: Error(invalid) when it ends behind the end of the file.
  FileRange(File file, std::uint64_t offset, std::uint64_t size);

  [[nodiscard]] const File& file() const noexcept { return file_; }
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  File file_;
  std::uint64_t offset_ = 0;
  std::uint64_t size_;
};

// Sends the range. Holds two pieces of 64 KiB: one is sent while the next is read. What the page cache has is read at
// once, or goes to a socket without a copy (sendfile(2)); the rest is read on a thread of offload().
// Throws: what Stream::send() throws; Error when the file cannot be read or has become shorter, and then the stream is
// aborted, since the peer cannot get what it was promised.
// Cancelled: the stream is aborted, unless nothing was read yet.
// Thread: that of the stream. No other task may send meanwhile.
Task<> send(Stream& stream, FileRange range);

}  // namespace coax
