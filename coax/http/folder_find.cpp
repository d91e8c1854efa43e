// A path is opened twice: with O_PATH, which has no effect on a FIFO or a device, and for reading once it is known to
// be a regular file. O_NONBLOCK is for one that takes its place in between.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/http/folder_find_private.hpp"
#include "coax/http/negotiate.hpp"

namespace coax::http {

namespace {

FileDescriptor call_openat2(int folder, const char* path, int flags) noexcept {
  open_how how{};
  how.flags = static_cast<unsigned>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long result = -1;
  // EAGAIN: something was renamed meanwhile, and the kernel cannot tell whether the path has left the folder.
  for (int attempt = 0; attempt < 16; ++attempt) {
    result = ::syscall(SYS_openat2, folder, path, &how, sizeof(how));
    if (result >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return FileDescriptor(static_cast<int>(result));
}

FileDescriptor walk(int folder, std::string_view path, int flags) noexcept {
  FileDescriptor held;
  int at = folder;
  while (true) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string name(path.substr(0, slash));
    if (name == "..") {
      errno = EXDEV;
      return {};
    }
    const bool is_last = slash == path.size();
    const int how = is_last ? flags : O_PATH | O_DIRECTORY;
    FileDescriptor next(::openat(at, name.c_str(), how | O_NOFOLLOW | O_CLOEXEC));
    if (is_last || !next) return next;
    held = std::move(next);
    at = held.native();
    path.remove_prefix(slash + 1);
  }
}

// What a client may cause by the choice of a path.
bool is_of_path(int reason) noexcept {
  switch (reason) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EXDEV:
    case EACCES:
    case EPERM:
    case ENAMETOOLONG:
    case ENXIO:
    case EAGAIN:
    case EINVAL:
    case EILSEQ: return true;
    default: return false;
  }
}

std::chrono::sys_time<std::chrono::nanoseconds> modified_of(const struct stat& status) noexcept {
  const std::chrono::nanoseconds since_epoch =
      std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec);
  return std::chrono::sys_time<std::chrono::nanoseconds>(since_epoch);
}

std::string etag_of(const struct stat& status, std::string_view encoding) {
  const auto nanoseconds = static_cast<std::uint64_t>(modified_of(status).time_since_epoch().count());
  return fmt::format("\"{:x}-{:x}-{:x}{}{}\"", static_cast<std::uint64_t>(status.st_size), nanoseconds,
                     static_cast<std::uint64_t>(status.st_ino), encoding.empty() ? "" : "-", encoding);
}

// Of a file or a folder; nothing for anything else. Without a descriptor, unless it is a link.
std::optional<FolderEntry> entry_of(int folder, const char* name, Beneath beneath) {
  struct stat status{};
  if (::fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  const bool is_link = S_ISLNK(status.st_mode);
  if (is_link) {
    const FileDescriptor opened = open_beneath(folder, name, O_PATH, beneath);
    if (!opened && (errno == EMFILE || errno == ENFILE)) throw Error(errno, "open", name);
    if (!opened || ::fstat(opened.native(), &status) != 0) return std::nullopt;
  }
  const bool is_folder = S_ISDIR(status.st_mode);
  if (!is_folder && !S_ISREG(status.st_mode)) return std::nullopt;
  return FolderEntry{.name = name,
                     .is_folder = is_folder,
                     .size = is_folder ? 0 : static_cast<std::uint64_t>(status.st_size),
                     .modified = modified_of(status),
                     .is_link = is_link};
}

}  // namespace

Beneath available_beneath() noexcept {
  static const Beneath available = [] {
    const FileDescriptor folder(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return call_openat2(folder.native(), ".", O_PATH | O_DIRECTORY) ? Beneath::openat2 : Beneath::walk;
  }();
  return available;
}

FileDescriptor open_beneath(int folder, const std::string& path, int flags, Beneath beneath) noexcept {
  const std::string& relative = path.empty() ? std::string(".") : path;
  if (beneath == Beneath::openat2) return call_openat2(folder, relative.c_str(), flags);
  FileDescriptor opened = walk(folder, relative, flags);
  // O_PATH with O_NOFOLLOW opens the link itself.
  struct stat status{};
  if (opened && ::fstat(opened.native(), &status) == 0 && S_ISLNK(status.st_mode)) {
    opened.reset();
    errno = ELOOP;
  }
  return opened;
}

OpenFolder::OpenFolder(const std::string& path, Beneath beneath)
    : path_(path), beneath_(beneath), root_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  if (!root_) throw Error(errno, "serve the folder", path);
}

FileDescriptor OpenFolder::open(const std::string& path, int flags) const {
  FileDescriptor opened = open_beneath(root_.native(), path, flags, beneath_);
  if (opened) return opened;
  if (!is_of_path(errno)) throw Error(errno, "open", path_ + "/" + path);
  if (errno == EACCES || errno == EPERM) log::info("{}/{} is not served: permission denied", path_, path);
  if (errno == EXDEV) log::info("{}/{} is not served: a symbolic link leads outside the folder", path_, path);
  return opened;
}

std::optional<OpenFolder::Entry> OpenFolder::file(const std::string& path) const {
  struct stat status{};
  const FileDescriptor found = open(path, O_PATH);
  if (!found || ::fstat(found.native(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  FileDescriptor readable = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!readable || ::fstat(readable.native(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return Entry{.file = File::adopt(std::move(readable), path_ + "/" + path), .status = status};
}

bool OpenFolder::is_folder(const std::string& path) const {
  return static_cast<bool>(open(path, O_PATH | O_DIRECTORY));
}

std::optional<std::vector<FolderEntry>> OpenFolder::list(const std::string& path, std::size_t entries_max,
                                                         const std::stop_token& stop) const {
  FileDescriptor folder = open(path, O_RDONLY | O_DIRECTORY);
  if (!folder) return std::nullopt;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(folder.native()), ::closedir);
  if (!stream) throw Error(errno, "list", path_ + "/" + path);
  const int native = folder.release();
  std::vector<FolderEntry> entries;
  while (const dirent* const entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
    if (stop.stop_requested()) return std::nullopt;
    if (entry->d_name[0] == '.') continue;
    if (entries.size() == entries_max) break;
    if (auto found = entry_of(native, entry->d_name, beneath_)) entries.push_back(*std::move(found));
  }
  std::ranges::sort(entries, {}, &FolderEntry::name);
  return entries;
}

namespace {

struct Encoding {
  std::string_view name;
  std::string_view extension;
};
constexpr std::array<Encoding, 3> encodings{{{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}}};

// The form that the client prefers, of the file and its precompressed forms.
FoundFile choose_form(const OpenFolder& folder, OpenFolder::Entry plain, const std::string& path,
                      std::string_view accept_encoding) {
  std::array<std::optional<OpenFolder::Entry>, encodings.size()> forms;
  std::array<std::string_view, encodings.size()> offers;
  std::string_view some;
  for (std::size_t index = 0; index < encodings.size(); ++index) {
    const auto& [name, extension] = encodings[index];
    if (path.ends_with(extension)) continue;
    forms[index] = folder.file(path + std::string(extension));
    if (forms[index] && modified_of(forms[index]->status) < modified_of(plain.status)) forms[index].reset();
    if (forms[index]) some = offers[index] = name;
  }
  if (some.empty()) return {.file = std::move(plain.file), .name = path, .etag = etag_of(plain.status, "")};
  for (std::string_view& offer : offers) offer = offer.empty() ? some : offer;
  const std::string_view preferred = preferred_encoding(accept_encoding, {offers[0], offers[1], offers[2]});
  for (std::size_t index = 0; index < encodings.size(); ++index) {
    if (!forms[index] || encodings[index].name != preferred) continue;
    return {.file = std::move(forms[index]->file),
            .name = path,
            .etag = etag_of(forms[index]->status, encodings[index].name),
            .encoding = encodings[index].name,
            .varies = true};
  }
  return {.file = std::move(plain.file), .name = path, .etag = etag_of(plain.status, ""), .varies = true};
}

bool may_fall_back(std::string_view path) noexcept {
  const std::size_t slash = path.rfind('/');
  return !path.substr(slash == std::string_view::npos ? 0 : slash + 1).contains('.');
}

// The name of a file, or the listing, or the redirect.
class Search {
 public:
  Search(const OpenFolder& folder, const FolderOptions& options, std::string_view accept_encoding) noexcept
      : folder_(folder), options_(options), accept_encoding_(accept_encoding) {}

  [[nodiscard]] Found find(const std::string& path) const {
    Found found = path.empty() || path.ends_with('/') ? find_folder(path) : find_file(path);
    if (!std::holds_alternative<std::monostate>(found) || options_.fallback.empty() || !may_fall_back(path)) {
      return found;
    }
    return serve(options_.fallback);
  }

 private:
  [[nodiscard]] Found serve(const std::string& path) const {
    auto plain = folder_.file(path);
    if (!plain) return {};
    if (options_.precompressed) return choose_form(folder_, *std::move(plain), path, accept_encoding_);
    return FoundFile{.file = std::move(plain->file), .name = path, .etag = etag_of(plain->status, "")};
  }
  // `path`: empty, or with a slash at its end.
  [[nodiscard]] Found find_folder(const std::string& path) const {
    if (!options_.index.empty()) {
      if (Found index = serve(path + options_.index); !std::holds_alternative<std::monostate>(index)) return index;
    }
    if (!options_.listing || !folder_.is_folder(path.substr(0, path.size() - (path.empty() ? 0 : 1)))) return {};
    return FoundListing{};
  }
  // A folder is only said to be one when there is something at its path with a slash.
  [[nodiscard]] Found find_file(const std::string& path) const {
    Found found = serve(path);
    if (!std::holds_alternative<std::monostate>(found) || !folder_.is_folder(path)) return found;
    const bool has_index = !options_.index.empty() && folder_.file(path + "/" + options_.index);
    if (has_index || options_.listing) return FoundFolder{};
    return {};
  }

  const OpenFolder& folder_;
  const FolderOptions& options_;
  std::string_view accept_encoding_;
};

}  // namespace

Found find_in_folder(const std::string& root, const FolderOptions& options, const std::string& path,
                     std::string_view accept_encoding) {
  const OpenFolder folder(root);
  return Search(folder, options, accept_encoding).find(path);
}

}  // namespace coax::http
