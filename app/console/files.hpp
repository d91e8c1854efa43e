// Small files of commands: read whole, and written so that they appear complete or not at all.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>

namespace coax::app {

// Throws: Error, also when it has more than 1 MiB, or is not a regular file.
std::string read_file(const std::string& path);

struct FileContent {
  std::string path;
  std::string_view content;
  mode_t mode = 0644;
};

// All of them are written to the disk before the first gets its name; without `replace` none is left when one fails.
// Throws: Error, also when a file exists, unless `replace`.
void write_files(std::span<const FileContent> files, bool replace);

}  // namespace coax::app
