// The system calls for a file that has no name yet: open(2), O_TMPFILE.
#include "coax/program/new_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"

namespace coax {

bool is_plain_file_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 255 && !name.starts_with('.') && name.find('/') == std::string_view::npos &&
         is_utf8(name) && !has_control(name);
}

NewFile::NewFile(std::string directory)
    : directory_(std::move(directory)), native_(::open(directory_.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666)) {
  if (native_ < 0) throw Error(errno, "make a file in", directory_);
}

NewFile::~NewFile() { ::close(native_); }

void NewFile::write(BytesView bytes) {
  while (bytes) {
    const auto count = ::write(native_, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) throw Error(errno, "write to a file in", directory_);
    if (count > 0) bytes = bytes.from(static_cast<std::size_t>(count));
  }
}

void NewFile::commit(std::string_view name) {
  const std::string path = directory_ + "/" + std::string(name);
  if (!is_plain_file_name(name)) {
    throw Error(ErrorKind::invalid, "store a file as", name, "that is not a plain file name");
  }
  if (::fsync(native_) != 0) throw Error(errno, "store a file as", path);
  const std::string self = "/proc/self/fd/" + std::to_string(native_);
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    throw Error(errno, "store a file as", path);
  }
  const int folder = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool stored = folder >= 0 && ::fsync(folder) == 0;
  const int reason = errno;
  if (folder >= 0) ::close(folder);
  if (!stored) throw Error(reason, "store a file as", path);
}

}  // namespace coax
