// NewFile: a file that appears under its name when it is complete, or not at all.
#pragma once

#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"

namespace coax {

// Whether an untrusted peer may choose this name for a file in one of our directories: UTF-8 of 1 to 255 bytes without
// a slash, a control character or a leading dot (hidden files, and the directory itself).
bool is_plain_file_name(std::string_view name) noexcept;

// Written without a name (O_TMPFILE), which it gets last. If the process ends before that, no file is left behind, and
// no reader sees a part of it.
// Throws: Error; unsupported: the file system has no O_TMPFILE.
class NewFile {
 public:
  explicit NewFile(std::string directory);
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile();

  void write(BytesView bytes);
  // Syncs the file to the disk, and links it into the directory under this name.
  // Throws: Error(invalid) when it is not a plain file name; Error(EEXIST) when the file exists, which is kept
  // unchanged.
  void commit(std::string_view name);

 private:
  std::string directory_;
  int native_;
};

}  // namespace coax
