// The file of a Unix socket that has a path: what stands there, and whether it is still ours.
#pragma once

#include <cstdint>
#include <string>

#include "coax/net/address.hpp"
#include "coax/net/file_descriptor.hpp"

namespace coax {

enum class AtPath : std::uint8_t {
  nothing,
  dead_socket,  // nobody listens on it: who made it has ended, and connecting is refused
  live_socket,  // or one of which this user may not know
  other_file,
};
// Asks a socket by connecting to it, which whoever listens on it accepts as a client that leaves at once. An abstract
// name has no file.
AtPath what_stands_at(const UnixName& name) noexcept;

// The same without asking: a file, and no socket.
bool is_other_file(const UnixName& name) noexcept;

// So that one can listen there: removes a dead socket. 0 or errno; EADDRINUSE: what stands there stays.
int make_way(const UnixName& name) noexcept;

// The file that a socket was bound to, known again by its device and inode, which no other file gets for as long as
// the socket is open. It stays when this object goes.
// Held from looking at a path until something listens there: of two programs that find the same dead socket, one would
// else remove the living one of the other. It is a lock on the path's directory. Given up after a second, since whoever
// may read the directory could hold it.
class PathLock {
 public:
  explicit PathLock(const UnixName& name) noexcept;

 private:
  FileDescriptor directory_;
};

class BoundPath {
 public:
  BoundPath() noexcept = default;
  // As it is now; nothing for an abstract name.
  explicit BoundPath(const UnixName& name);
  [[nodiscard]] bool is_some() const noexcept { return !path_.empty(); }
  [[nodiscard]] bool is_ours() const noexcept;  // the path still leads to it
  // If it is ours; once.
  void remove() noexcept;

 private:
  std::string path_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

}  // namespace coax
