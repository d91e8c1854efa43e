// A FIFO without a writer, or a tape, would hold up open(2): what is no regular file is refused before. O_NONBLOCK is
// for one that is renamed to the path in between; it means nothing to regular files.
#include "coax/file/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "coax/base/error.hpp"
#include "coax/file/modified_private.hpp"
#include "coax/task/offload.hpp"

namespace coax {

namespace {

void require_regular(const struct stat& status, const std::string& path) {
  if (S_ISREG(status.st_mode)) return;
  const char* const reason = S_ISDIR(status.st_mode) ? "it is a folder" : "it is not a regular file";
  throw Error(ErrorKind::invalid, "open", path, reason);
}

}  // namespace

File File::open_now(std::string path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) throw Error(errno, "open", path);
  require_regular(status, path);
  FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!descriptor) throw Error(errno, "open", path);
  return adopt(std::move(descriptor), std::move(path));
}

File File::adopt(FileDescriptor descriptor, std::string path) {
  struct stat status{};
  if (::fstat(descriptor.native(), &status) != 0) throw Error(errno, "open", path);
  require_regular(status, path);
  return File(std::make_shared<const Opened>(std::move(descriptor), std::move(path),
                                             static_cast<std::uint64_t>(status.st_size), status.st_ino,
                                             modified_of(status)));
}

std::chrono::sys_time<std::chrono::nanoseconds> modified_of(const struct stat& status) noexcept {
  constexpr std::int64_t seconds_max = std::numeric_limits<std::int64_t>::max() / 1'000'000'000 - 1;
  const std::chrono::seconds seconds(std::clamp<std::int64_t>(status.st_mtim.tv_sec, -seconds_max, seconds_max));
  return std::chrono::sys_time<std::chrono::nanoseconds>(seconds + std::chrono::nanoseconds(status.st_mtim.tv_nsec));
}

Task<File> File::open(std::string path) {
  auto open_it = [path = std::move(path)] { return open_now(path); };
  co_return co_await offload(std::move(open_it), abandon_on_cancel);
}

std::string File::read(std::uint64_t offset, std::size_t count) const {
  std::string bytes(count, '\0');
  for (std::size_t at = 0; at < count;) {
    const auto got = ::pread(native(), bytes.data() + at, count - at, static_cast<off_t>(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(errno, "read", path());
    if (got == 0) throw Error(ErrorKind::other, "read", path(), "it has become shorter since it was opened");
    at += static_cast<std::size_t>(got);
  }
  return bytes;
}

FileRange::FileRange(File file, std::uint64_t offset, std::uint64_t size)
    : file_(std::move(file)), offset_(offset), size_(size) {
  if (offset <= file_.size() && size <= file_.size() - offset) return;
  throw Error(ErrorKind::invalid, "take a range of", file_.path(), "it ends behind the end of the file");
}

}  // namespace coax
