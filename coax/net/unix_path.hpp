// The file of a Unix socket with a path: its kind, and whether this process still owns it.
#pragma once

#include <cstdint>
#include <string>

#include "coax/net/address.hpp"
#include "coax/net/file_descriptor.hpp"

namespace coax {

enum class PathState : std::uint8_t {
  nothing,
  stale_socket,  // stale: it has no listener, since its program has ended; connect(2) is refused
  live_socket,   // it has a listener, or this user may not connect to it
  other_file,
};
// What kind of file is at the path. A socket is probed with connect(2): its listener, if any, accepts a client that
// disconnects at once. An abstract name has no file: nothing.
PathState probe_path(const UnixName& name) noexcept;

// Whether there is a file that is not a socket (PathState::other_file), without a probe.
bool is_other_file(const UnixName& name) noexcept;

// Removes a dead socket, so that bind(2) can succeed. Returns: 0, also when there is no file; EADDRINUSE when there is
// another file or a live socket, which is kept; or the errno of unlink(2).
int remove_stale_socket(const UnixName& name) noexcept;

// Held from the check of a path until something listens on it: of two programs that find the same dead socket, one
// would otherwise remove the new socket of the other. It is a flock(2) on the path's directory. The
// constructor blocks for at most a second and then continues without the lock, since any process that may read the
// directory could hold it.
class PathLock {
 public:
  explicit PathLock(const UnixName& name) noexcept;

 private:
  FileDescriptor directory_;
};

// The file that a socket was bound to, identified by its device and inode, which no other file gets while the socket is
// open. The destructor does not remove it.
class BoundPath {
 public:
  BoundPath() noexcept = default;
  // Of the file that is at the path now; empty when there is none, as for an abstract name.
  explicit BoundPath(const UnixName& name);
  [[nodiscard]] bool is_some() const noexcept { return !path_.empty(); }
  [[nodiscard]] bool is_ours() const noexcept;  // the path still names that file
  // Removes the file if is_ours(). Later calls have no effect.
  void remove() noexcept;

 private:
  std::string path_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

}  // namespace coax
