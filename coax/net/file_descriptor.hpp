// FileDescriptor: owns a file descriptor and closes it.
#pragma once

#include <utility>

#include "coax/base/compiler.hpp"

namespace coax {

class FileDescriptor {
 public:
  FileDescriptor() noexcept = default;
  explicit FileDescriptor(int native) noexcept : native_(native) {}
  FileDescriptor(FileDescriptor&& other) noexcept : native_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~FileDescriptor() { reset(); }

  explicit operator bool() const noexcept { return native_ >= 0; }
  [[nodiscard]] int native() const noexcept { return native_; }  // -1: none
  // Releases ownership without closing it.
  [[nodiscard]] int release() noexcept { return std::exchange(native_, -1); }
  void reset(int native = -1) noexcept;

  // Whether a program that this process starts inherits it (FD_CLOEXEC); the default is no. Throws: Error.
  [[nodiscard]] bool inheritable() const;
  void set_inheritable(bool inheritable) const;
  // Duplicates the descriptor (dup(2)).
  [[nodiscard]] FileDescriptor dup() const;

 private:
  int native_ = -1;
};

}  // namespace coax
