// The file that answers for a path of a folder. All but find_cached() blocks, and belongs on a thread of offload().
#pragma once

#include <array>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "coax/file/file.hpp"
#include "coax/http/folder.hpp"
#include "coax/net/file_descriptor.hpp"

namespace coax::http {

// How paths are kept below the folder: by the kernel (openat2(2), Linux 5.6), or by a walk that follows no symbolic
// link at all. cached: by the kernel, which fails with EAGAIN where it would wait for a disk (Linux 5.12).
enum class Beneath : std::uint8_t { openat2, walk, cached };
Beneath available_beneath() noexcept;

// Opens a path without leading or trailing slash below a folder; "" is the folder itself.
// Returns: none, with errno, when that fails.
FileDescriptor open_beneath(int folder, const std::string& path, int flags, Beneath beneath) noexcept;

// A folder for the time of one request.
class OpenFolder {
 public:
  struct NotCached {};
  // Throws: Error when `path` is not a folder. With Beneath::cached it and the functions below throw NotCached when
  // they would have to wait.
  explicit OpenFolder(const std::string& path, Beneath beneath = available_beneath());

  // Returns: nothing when there is no such regular file that may be read.
  // Throws: Error of the system when that cannot be found out, such as without a free descriptor.
  [[nodiscard]] std::optional<File> file(const std::string& path) const;
  [[nodiscard]] bool is_folder(const std::string& path) const;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // At most that many entries, ordered by name. Nothing: there is no such folder, or a stop was requested.
  [[nodiscard]] std::optional<std::vector<FolderEntry>> list(const std::string& path, std::size_t entries_max,
                                                             const std::stop_token& stop) const;

 private:
  [[nodiscard]] FileDescriptor open(const std::string& path, int flags) const;

  std::string path_;
  Beneath beneath_;
  FileDescriptor root_;
};

struct FoundFile {
  File file;
  std::string name;  // of the form without an encoding
  std::string etag;
  std::string_view encoding = {};  // empty: none
  bool varies = false;             // there are encoded forms
};
struct FoundFolder {};   // its path needs a slash at its end
struct FoundListing {};  // a folder to be listed
using Found = std::variant<std::monostate, FoundFile, FoundFolder, FoundListing>;

// `path`: below the folder, without a leading slash.
Found find_in_folder(const std::string& root, const FolderOptions& options, const std::string& path,
                     std::string_view accept_encoding);
// The same at once, on the loop. Returns: nothing when the kernel would have to wait for a disk, and for a listing.
std::optional<Found> find_cached(const std::string& root, const FolderOptions& options, const std::string& path,
                                 std::string_view accept_encoding);

}  // namespace coax::http
