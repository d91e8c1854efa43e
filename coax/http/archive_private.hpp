// A folder as one download: a zip (APPNOTE 6.3) or a tar (POSIX pax), made while it is sent, in constant memory besides
// the names.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "coax/http/message.hpp"

namespace coax::http {

struct ArchiveEntry {
  std::string path;       // in the folder; a folder's ends with a slash
  std::string name = {};  // in the archive, when it is another one
  std::uint64_t size = 0;
  std::chrono::sys_time<std::chrono::nanoseconds> modified;

  [[nodiscard]] bool is_folder() const noexcept { return path.ends_with('/'); }
};

// Appends an archive to a string: begin(), data() of exactly the entry's size, end(), for each entry; then finish().
class ArchiveWriter {
 public:
  ArchiveWriter() = default;
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;
  virtual ~ArchiveWriter() = default;
  // `name`: the entry's in the archive.
  virtual void begin(const ArchiveEntry& entry, std::string name, std::string& out) = 0;
  virtual void data(BytesView bytes, std::string& out) = 0;
  virtual void end(std::string& out) = 0;
  virtual void finish(std::string& out) = 0;
};

std::unique_ptr<ArchiveWriter> make_zip_writer();
std::unique_ptr<ArchiveWriter> make_tar_writer(bool is_compressed);

// Blocks. `path`: of a folder below `root`, without a leading slash. format: "zip", "tar" or "tar.gz".
// Files that cannot be read, and links to folders, are named in a text at the end of the archive, and in the log.
// Returns: nothing when there is no such folder or format, or a stop was requested.
// Throws: StatusError(413) when it has too many entries.
std::optional<Response> archive_of(const std::string& root, std::string path, std::string_view format,
                                   const std::stop_token& stop);

}  // namespace coax::http
