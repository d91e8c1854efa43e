// A folder of files over HTTP: raw requests in, literal responses out. It has the file digits.txt.
#pragma once

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "coax/http/folder.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/http.hpp"

namespace coax::test {

using http::FolderOptions;

inline constexpr std::time_t sunday = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT

class HttpFolder : public QuietLog {
 protected:
  void SetUp() override {
    QuietLog::SetUp();
    std::filesystem::create_directory(root_);
    write("digits.txt", "0123456789");
  }

  [[nodiscard]] std::string at(std::string_view name) const { return root_ + "/" + std::string(name); }
  void write(std::string_view name, std::string_view bytes, std::time_t modified = sunday) const {
    std::filesystem::create_directories(std::filesystem::path(at(name)).parent_path());
    std::ofstream(at(name), std::ios::binary) << bytes;
    const std::array<timespec, 2> times{timespec{.tv_sec = modified, .tv_nsec = 0},
                                        timespec{.tv_sec = modified, .tv_nsec = 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, at(name).c_str(), times.data(), 0), 0);
  }
  [[nodiscard]] http::App app(FolderOptions options = {}) const {
    http::App app = bare();
    app.mount("/s", http::folder(root_, std::move(options)));
    return app;
  }
  [[nodiscard]] std::string ask(std::string_view target, std::string_view fields = "", std::string_view method = "GET",
                                FolderOptions options = {}) const {
    return answer(app(std::move(options)), std::string(method) + " " + std::string(target) +
                                               " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n");
  }
  [[nodiscard]] std::string ask_with(FolderOptions options, std::string_view target,
                                     std::string_view fields = "") const {
    return ask(target, fields, "GET", std::move(options));
  }
  [[nodiscard]] std::string etag(std::string_view name = "digits.txt") const {
    struct stat status{};
    EXPECT_EQ(::stat(at(name).c_str(), &status), 0);
    return fmt::format("\"{:x}-{:x}-{:x}\"", status.st_size,
                       static_cast<std::uint64_t>(status.st_mtim.tv_sec) * 1'000'000'000, status.st_ino);
  }
  // The head of a response with the digits.
  [[nodiscard]] std::string head(std::string_view status, std::string_view range, std::size_t length) const {
    return fmt::format(
        "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nETag: {}\r\nCache-Control: no-cache\r\n"
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nAccept-Ranges: bytes\r\n{}Content-Length: {}\r\n\r\n",
        status, etag(), range, length);
  }
  [[nodiscard]] std::string whole() const { return head("200 OK", "", 10) + "0123456789"; }
  [[nodiscard]] std::string part(std::string_view range, std::string_view bytes) const {
    return head("206 Partial Content", fmt::format("Content-Range: bytes {}/10\r\n", range), bytes.size()) +
           std::string(bytes);
  }

  Folder folder_;
  std::string root_ = folder_.path("public");
};

inline int status_of(std::string_view response) {
  return response.starts_with("HTTP/1.1 ") ? std::stoi(std::string(response.substr(9, 3))) : 0;
}
inline std::string field_of(std::string_view response, std::string_view name) {
  const std::string start = "\r\n" + std::string(name) + ": ";
  response = response.substr(0, response.find("\r\n\r\n") + 2);
  const std::size_t at = response.find(start);
  if (at == std::string_view::npos) return "";
  const std::string_view rest = response.substr(at + start.size());
  return std::string(rest.substr(0, rest.find("\r\n")));
}

}  // namespace coax::test
