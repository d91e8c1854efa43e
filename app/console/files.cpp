// Files without a name (O_TMPFILE), which they get last; on a file system that has none (NFS) under a temporary name.
#include "app/console/files.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "coax/base/error.hpp"
#include "coax/base/units.hpp"
#include "coax/net/file_descriptor.hpp"

namespace coax::app {

std::string read_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // it may be a pipe
  struct stat status{};
  if (!file || ::fstat(file.native(), &status) != 0) throw Error(errno, "read", path);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::invalid, "read", path, "it is not a regular file");
  std::string content;
  std::array<char, 16_KiB> buffer;
  while (content.size() <= 1_MiB) {
    const ssize_t count = ::read(file.native(), buffer.data(), buffer.size());
    if (count < 0 && errno != EINTR) throw Error(errno, "read", path);
    if (count == 0) return content;
    if (count > 0) content.append(buffer.data(), static_cast<std::size_t>(count));
  }
  throw Error(ErrorKind::invalid, "read", path, "it has more than 1 MiB");
}

namespace {

// Complete, but not under its path yet.
class Prepared {
 public:
  explicit Prepared(const FileContent& file);
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  ~Prepared() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  void publish(bool replace);

 private:
  [[noreturn]] void fail() const {
    throw Error(errno, "write", path_, errno == EEXIST ? "--replace replaces it; or choose another name" : "");
  }

  const std::string& path_;
  std::string temporary_;  // its name, if it has one
  FileDescriptor file_;
};

std::string temporary_name(const std::string& path) { return path + ".XXXXXX"; }

Prepared::Prepared(const FileContent& file) : path_(file.path) {
  const std::string folder = std::filesystem::path(file.path).parent_path().string();
  file_ = FileDescriptor(::open(folder.empty() ? "." : folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (!file_ && (errno == EOPNOTSUPP || errno == EISDIR)) {
    std::string name = temporary_name(file.path);
    file_ = FileDescriptor(::mkostemp(name.data(), O_CLOEXEC));
    if (file_) temporary_ = name;
  }
  if (!file_) fail();
  for (std::string_view rest = file.content; !rest.empty();) {
    const ssize_t written = ::write(file_.native(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail();
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fchmod(file_.native(), file.mode) != 0 || ::fsync(file_.native()) != 0) fail();
}

void Prepared::publish(bool replace) {
  const std::string self = fmt::format("/proc/self/fd/{}", file_.native());
  const auto link_to = [&](const std::string& path) {
    const std::string& from = temporary_.empty() ? self : temporary_;
    return ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
  };
  if (!replace) {
    if (link_to(path_) != 0) fail();
    return;
  }
  if (temporary_.empty()) {  // a name that rename() can take
    std::string name = temporary_name(path_);
    const FileDescriptor reserved(::mkostemp(name.data(), O_CLOEXEC));
    if (!reserved || ::unlink(name.c_str()) != 0 || link_to(name) != 0) fail();
    temporary_ = name;
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail();
  temporary_.clear();
}

}  // namespace

void write_files(std::span<const FileContent> files, bool replace) {
  for (const FileContent& file : files) {
    struct stat status{};
    if (replace || ::lstat(file.path.c_str(), &status) != 0) continue;
    throw Error(EEXIST, "write", file.path, "--replace replaces it; or choose another name");
  }
  std::vector<std::unique_ptr<Prepared>> prepared;
  for (const FileContent& file : files) prepared.push_back(std::make_unique<Prepared>(file));
  std::size_t published = 0;
  try {
    for (; published != files.size(); ++published) prepared[published]->publish(replace);
  } catch (const Error&) {
    for (std::size_t at = 0; at != published && !replace; ++at) ::unlink(files[at].path.c_str());
    throw;
  }
}

}  // namespace coax::app
