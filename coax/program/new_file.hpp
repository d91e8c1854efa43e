// NewFile: a file that appears whole under its name, or not at all.
#pragma once

#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"

namespace coax {

// May a stranger choose this name for a file in a directory of ours: UTF-8 of 1 to 255 bytes without a slash or a
// control character, and with no dot in front (hidden files, and the directory itself).
bool is_plain_file_name(std::string_view name) noexcept;

// Written without a name (O_TMPFILE), which it gets last: whatever ends the process before leaves nothing behind, and
// no reader sees half of it. Throws Error; unsupported: the file system has no files without a name.
class NewFile {
 public:
  explicit NewFile(std::string directory);
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile();

  void write(BytesView bytes);
  // To the disk, and then into the directory under this name. Throws Error(invalid) when it is no plain file name,
  // Error(EEXIST) when there is such a file: it stays as it is.
  void commit(std::string_view name);

 private:
  std::string directory_;
  int native_;
};

}  // namespace coax
