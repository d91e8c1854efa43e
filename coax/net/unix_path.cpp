// The file of a Unix socket outlives the socket, and bind(2) refuses a path that exists. So a program that was killed
// could not listen again before its old file is removed.
#include "coax/net/unix_path.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "coax/net/file_descriptor.hpp"

namespace coax {

namespace {

bool has_file(const UnixName& name) noexcept { return !name.text().empty() && !name.is_abstract(); }

}  // namespace

PathState probe_path(const UnixName& name) noexcept {
  struct stat status{};
  if (!has_file(name) || ::lstat(name.text().c_str(), &status) != 0) return PathState::nothing;
  if (!S_ISSOCK(status.st_mode)) return PathState::other_file;
  const FileDescriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const Address at = name;
  const bool refused = probe && ::connect(probe.native(), at.get(), static_cast<socklen_t>(at.native().size())) != 0 &&
                       errno == ECONNREFUSED;
  return refused ? PathState::stale_socket : PathState::live_socket;
}

bool is_other_file(const UnixName& name) noexcept {
  struct stat status{};
  return has_file(name) && ::lstat(name.text().c_str(), &status) == 0 && !S_ISSOCK(status.st_mode);
}

int remove_stale_socket(const UnixName& name) noexcept {
  const PathState there = probe_path(name);
  if (there == PathState::nothing) return 0;
  if (there != PathState::stale_socket) return EADDRINUSE;
  return ::unlink(name.text().c_str()) == 0 || errno == ENOENT ? 0 : errno;
}

PathLock::PathLock(const UnixName& name) noexcept {
  if (!has_file(name)) return;
  const std::size_t slash = name.text().rfind('/');
  const std::string directory = slash == std::string::npos ? "." : std::string(name.text().substr(0, slash + 1));
  directory_ = FileDescriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  constexpr int tries_max = 100;
  for (int tries = 0; directory_ && tries != tries_max; ++tries) {
    if (::flock(directory_.native(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

BoundPath::BoundPath(const UnixName& name) {
  struct stat status{};
  if (!has_file(name) || ::lstat(name.text().c_str(), &status) != 0) return;
  path_ = name.text();
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

bool BoundPath::is_ours() const noexcept {
  struct stat status{};
  return !path_.empty() && ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

void BoundPath::remove() noexcept {
  if (is_ours()) ::unlink(path_.c_str());
  path_.clear();
}

}  // namespace coax
