// A temporary folder, for sockets with a path.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "coax/base/error.hpp"
#include "coax/net/address.hpp"

namespace coax::test {

// Removed at the end, with its content.
class Folder {
 public:
  explicit Folder(const std::filesystem::path& in = std::filesystem::temp_directory_path()) {
    std::string name = in / "coax-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw Error(errno, "make a folder");
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string path(std::string_view file = "socket") const { return (path_ / file).string(); }
  [[nodiscard]] UnixName name(std::string_view file = "socket") const { return UnixName(path(file)); }

 private:
  std::filesystem::path path_;
};

}  // namespace coax::test
