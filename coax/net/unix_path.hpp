// The file of a Unix socket with a path: its kind, and whether this process still owns it.
#pragma once

#include <cstdint>
#include <string>

#include "coax/net/address.hpp"
#include "coax/net/file_descriptor.hpp"

namespace coax {

enum class AtPath : std::uint8_t {
  nothing,
  dead_socket,  // it has no listener: its program has ended, and connect(2) is refused
  live_socket,  // or one that this user may not connect to
  other_file,
};
// Probes a socket with connect(2); its listener, if any, accepts a client that leaves at once. An abstract name has no
// file.
AtPath what_stands_at(const UnixName& name) noexcept;

// The same without a probe: whether it is a file, but not a socket.
bool is_other_file(const UnixName& name) noexcept;

// Removes a dead socket, so that bind(2) can succeed. 0 or errno; EADDRINUSE: the file is kept.
int make_way(const UnixName& name) noexcept;

// Held from the check of a path until something listens on it: of two programs that find the same dead socket, one
// would otherwise remove the new socket of the other. It is a lock on the path's directory. Given up after a second,
// since any process that may read the directory could hold it.
class PathLock {
 public:
  explicit PathLock(const UnixName& name) noexcept;

 private:
  FileDescriptor directory_;
};

// The file that a socket was bound to, identified by its device and inode, which no other file gets while the socket is
// open. It outlives this object.
class BoundPath {
 public:
  BoundPath() noexcept = default;
  // The file at this moment; none for an abstract name.
  explicit BoundPath(const UnixName& name);
  [[nodiscard]] bool is_some() const noexcept { return !path_.empty(); }
  [[nodiscard]] bool is_ours() const noexcept;  // the path still leads to it
  // Removes the file if it is ours; once.
  void remove() noexcept;

 private:
  std::string path_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

}  // namespace coax
