// A file is written without a name (open(2), O_TMPFILE) and linked to its name when it is complete, so that no other
// process finds a part of it, and a process that is killed leaves nothing behind. File systems without O_TMPFILE get
// a file that is unlinked at once, or removed when the copy fails.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "coax/base/error.hpp"
#include "coax/http/form_file_private.hpp"

namespace coax::http {

namespace {

constexpr mode_t mode = 0666;  // without those of umask(2)

bool has_no_unnamed_files(int reason) noexcept { return reason == EOPNOTSUPP || reason == EISDIR; }

FileDescriptor open_unnamed(const std::string& folder) {
  return FileDescriptor(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
}

// False: the file systems do not support it, such as different ones.
bool link_to(const FileDescriptor& file, const std::string& path) {
  const std::string self = "/proc/self/fd/" + std::to_string(file.native());
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST || errno == EACCES || errno == ENOTDIR || errno == ENAMETOOLONG) {
    throw Error(errno, "store a file as", path);
  }
  return false;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

void copy(const FileDescriptor& from, std::uint64_t size, const FileDescriptor& to) {
  std::array<char, std::size_t{64} * 1024> buffer;
  for (std::uint64_t at = 0; at < size;) {
    const auto count = ::pread(from.native(), buffer.data(), std::min<std::uint64_t>(buffer.size(), size - at),
                               static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(errno, "read", "a temporary file");
    if (count == 0) throw Error(ErrorKind::truncated, "read", "a temporary file", "it has become shorter");
    write_all(to, BytesView(buffer.data(), static_cast<std::size_t>(count)));
    at += static_cast<std::uint64_t>(count);
  }
}

// Calls fill(descriptor) for a file that gets its name when it is complete.
template <class Fill>
void store(const std::string& path, Fill fill) {
  if (const FileDescriptor unnamed = open_unnamed(folder_of(path))) {
    fill(unnamed);
    if (link_to(unnamed, path)) return;
  } else if (!has_no_unnamed_files(errno)) {
    throw Error(errno, "store a file as", path);
  }
  const FileDescriptor named(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!named) throw Error(errno, "store a file as", path);
  try {
    fill(named);
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
}

}  // namespace

FileDescriptor make_temporary_file(std::string_view folder) {
  const char* const configured = ::secure_getenv("TMPDIR");
  std::string path(!folder.empty() ? folder : configured != nullptr && *configured != '\0' ? configured : "/tmp");
  if (FileDescriptor unnamed = open_unnamed(path)) return unnamed;
  if (!has_no_unnamed_files(errno)) throw Error(errno, "make a temporary file in", path);
  const std::string folder_path = path;
  path += "/coax-XXXXXX";
  FileDescriptor named(::mkostemp(path.data(), O_CLOEXEC));
  if (!named) throw Error(errno, "make a temporary file in", folder_path);
  ::unlink(path.c_str());
  return named;
}

void write_all(const FileDescriptor& file, BytesView bytes) {
  while (bytes) {
    const auto count = ::write(file.native(), bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) throw Error(errno, "write", "a file of a form");
    if (count > 0) bytes = bytes.from(static_cast<std::size_t>(count));
  }
}

std::string read_all(const FileDescriptor& file, std::uint64_t size) {
  std::string all(size, '\0');
  for (std::size_t at = 0; at < all.size();) {
    const auto count = ::pread(file.native(), all.data() + at, all.size() - at, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(errno, "read", "a temporary file");
    if (count == 0) throw Error(ErrorKind::truncated, "read", "a temporary file", "it has become shorter");
    at += static_cast<std::size_t>(count);
  }
  return all;
}

void save_bytes(BytesView bytes, const std::string& path) {
  store(path, [bytes](const FileDescriptor& to) { write_all(to, bytes); });
}

// It has the same content under several names when it is saved several times: then the first one is a link to the
// temporary file, and the others must not be, as a change of one would be a change of all.
void save_file(const FileDescriptor& file, std::uint64_t size, const std::string& path) {
  struct stat status{};
  const bool is_first = ::fstat(file.native(), &status) == 0 && status.st_nlink == 0;
  if (is_first && link_to(file, path)) return;
  store(path, [&](const FileDescriptor& to) { copy(file, size, to); });
}

}  // namespace coax::http
