// A path is opened twice: with O_PATH, which has no effect on a FIFO or a device, and for reading once it is known to
// be a regular file. O_NONBLOCK is for one that takes its place in between.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/file/modified_private.hpp"
#include "coax/http/folder_find_private.hpp"
#include "coax/http/negotiate.hpp"
#include "coax/loop/loop.hpp"

namespace coax::http {

namespace {

FileDescriptor call_openat2(int folder, const char* path, int flags,
                            std::uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS) noexcept {
  open_how how{};
  how.flags = static_cast<unsigned>(flags) | O_CLOEXEC;
  how.resolve = resolve;
  long result = -1;
  // EAGAIN: something was renamed meanwhile, and the kernel cannot tell whether the path has left the folder.
  for (int attempt = (resolve & RESOLVE_CACHED) != 0 ? 15 : 0; attempt < 16; ++attempt) {
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

std::string etag_of(const File& file, std::string_view encoding) {
  const auto nanoseconds = static_cast<std::uint64_t>(file.modified().time_since_epoch().count());
  return fmt::format("\"{:x}-{:x}-{:x}{}{}\"", file.size(), nanoseconds, file.inode(), encoding.empty() ? "" : "-",
                     encoding);
}

// Of a file or a folder; nothing for anything else. Without a descriptor, unless it is a link: open(name) follows it.
template <class Open>
std::optional<FolderEntry> entry_of(int folder, const char* name, Open open) {
  struct stat status{};
  if (::fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  const bool is_link = S_ISLNK(status.st_mode);
  if (is_link) {
    const FileDescriptor opened = open(name);
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
  if (beneath == Beneath::cached) {
    return call_openat2(folder, relative.c_str(), flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED);
  }
  FileDescriptor opened = walk(folder, relative, flags);
  // O_PATH with O_NOFOLLOW opens the link itself.
  struct stat status{};
  if (opened && ::fstat(opened.native(), &status) == 0 && S_ISLNK(status.st_mode)) {
    opened.reset();
    errno = ELOOP;
  }
  return opened;
}

OpenFolder::OpenFolder(const std::string& path, Beneath beneath) : path_(path), beneath_(beneath) {
  constexpr int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  root_ = beneath == Beneath::cached ? call_openat2(AT_FDCWD, path.c_str(), flags, RESOLVE_CACHED)
                                     : FileDescriptor(::open(path.c_str(), flags));
  if (root_) return;
  if (beneath == Beneath::cached && errno == EAGAIN) throw NotCached();
  throw Error(errno, "serve the folder", path);
}

FileDescriptor OpenFolder::open(const std::string& path, int flags) const {
  FileDescriptor opened = open_beneath(root_.native(), path, flags, beneath_);
  if (opened) return opened;
  if (beneath_ == Beneath::cached && errno == EAGAIN) throw NotCached();
  if (!is_of_path(errno)) throw Error(errno, "open", path_ + "/" + path);
  if (errno == EACCES || errno == EPERM) log::info("{}/{} is not served: permission denied", path_, path);
  if (errno == EXDEV) log::info("{}/{} is not served: a symbolic link leads outside the folder", path_, path);
  return opened;
}

std::optional<File> OpenFolder::file(const std::string& path) const {
  struct stat status{};
  const FileDescriptor found = open(path, O_PATH);
  if (!found || ::fstat(found.native(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  FileDescriptor readable = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!readable) return std::nullopt;
  return File::adopt(std::move(readable), path_ + "/" + path);
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
  const auto open_link = [&](const char* name) {  // from the root, below which it may lead anywhere
    return open_beneath(root_.native(), path.empty() ? name : path + "/" + name, O_PATH, beneath_);
  };
  while (const dirent* const entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
    if (stop.stop_requested()) return std::nullopt;
    if (entry->d_name[0] == '.') continue;
    if (entries.size() == entries_max) break;
    if (auto found = entry_of(native, entry->d_name, open_link)) entries.push_back(*std::move(found));
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
FoundFile choose_form(const OpenFolder& folder, File plain, const std::string& path, std::string_view accept_encoding) {
  std::array<std::optional<File>, encodings.size()> forms;
  std::array<std::string_view, encodings.size()> offers;
  std::string_view some;
  for (std::size_t index = 0; index < encodings.size(); ++index) {
    const auto& [name, extension] = encodings[index];
    if (path.ends_with(extension)) continue;
    forms[index] = folder.file(path + std::string(extension));
    // An empty file is of no such format: its writer has failed, or has not begun.
    const bool is_unfit = forms[index] && (forms[index]->size() == 0 || forms[index]->modified() < plain.modified());
    if (is_unfit) forms[index].reset();
    if (forms[index]) some = offers[index] = name;
  }
  const std::string etag = etag_of(plain, "");
  if (some.empty()) return {.file = std::move(plain), .name = path, .etag = etag};
  for (std::string_view& offer : offers) offer = offer.empty() ? some : offer;
  const std::string_view preferred = preferred_encoding(accept_encoding, {offers[0], offers[1], offers[2]});
  for (std::size_t index = 0; index < encodings.size(); ++index) {
    if (!forms[index] || encodings[index].name != preferred) continue;
    const std::string etag_of_form = etag_of(*forms[index], encodings[index].name);
    return {.file = *std::move(forms[index]),
            .name = path,
            .etag = etag_of_form,
            .encoding = encodings[index].name,
            .varies = true};
  }
  return {.file = std::move(plain), .name = path, .etag = etag, .varies = true};
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
    const std::string etag = etag_of(*plain, "");
    return FoundFile{.file = *std::move(plain), .name = path, .etag = etag};
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

namespace {

// The files that were found in this turn of the loop: requests for the same one that arrive together share it.
class FoundInTurn : private Flush {
 public:
  FoundInTurn() noexcept : Flush([](Flush& self) noexcept { static_cast<FoundInTurn&>(self).entries_.clear(); }) {}

  struct Key {
    const FolderOptions* options;  // of the folder
    std::string_view root;
    std::string_view path;
    std::string_view accept_encoding;
  };
  [[nodiscard]] const FoundFile* find(const Key& key) const noexcept {
    const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) {
      return entry.options == key.options && entry.path == key.path && entry.root == key.root &&
             entry.accept_encoding == key.accept_encoding;
    });
    return found == entries_.end() ? nullptr : &found->file;
  }
  void add(const Key& key, const FoundFile& file) {
    if (entries_.size() == entries_max) return;
    entries_.push_back({.options = key.options,
                        .root = std::string(key.root),
                        .path = std::string(key.path),
                        .accept_encoding = std::string(key.accept_encoding),
                        .file = file});
    if (!linked()) Loop::current().flush_later(*this);
  }

 private:
  static constexpr std::size_t entries_max = 8;
  struct Entry {
    const FolderOptions* options;
    std::string root;
    std::string path;
    std::string accept_encoding;
    FoundFile file;
  };
  std::vector<Entry> entries_;
};
thread_local FoundInTurn found_in_turn;

}  // namespace

std::optional<Found> find_cached(const std::string& root, const FolderOptions& options, const std::string& path,
                                 std::string_view accept_encoding) {
  static const bool is_available = [] {  // an older kernel refuses the flag with EINVAL
    const FileDescriptor folder = call_openat2(AT_FDCWD, "/", O_PATH | O_DIRECTORY, RESOLVE_CACHED);
    return folder || errno == EAGAIN;
  }();
  if (!is_available || available_beneath() != Beneath::openat2) return std::nullopt;
  const FoundInTurn::Key key{&options, root, path, accept_encoding};
  if (const FoundFile* const file = found_in_turn.find(key)) return *file;
  try {
    const OpenFolder folder(root, Beneath::cached);
    Found found = Search(folder, options, accept_encoding).find(path);
    if (const auto* const file = std::get_if<FoundFile>(&found)) found_in_turn.add(key, *file);
    return found;
  } catch (const OpenFolder::NotCached&) {
    return std::nullopt;
  }
}

}  // namespace coax::http
