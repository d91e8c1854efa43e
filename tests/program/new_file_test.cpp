// A file appears completely or not at all, and only under a plain name.
#include "coax/program/new_file.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "coax/base/error.hpp"

namespace new_file_test {

using namespace coax;

namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "coax-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_empty() const { return std::filesystem::is_empty(path_); }
  [[nodiscard]] std::string content(const std::string& name) const {
    std::ifstream file(path_ + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

int reason_of(NewFile& file, std::string_view name) {
  try {
    file.commit(name);
  } catch (const Error& error) {
    return error.code().value();
  }
  return 0;
}

}  // namespace

TEST(NewFile, appears_when_it_is_whole) {
  const Folder folder;
  NewFile file(folder.path());
  file.write("one, ");
  file.write("two");
  EXPECT_TRUE(folder.is_empty());
  file.commit("name");
  EXPECT_EQ(folder.content("name"), "one, two");
}

TEST(NewFile, that_is_given_up_leaves_nothing) {
  const Folder folder;
  {
    NewFile(folder.path()).write("half");
  }
  EXPECT_TRUE(folder.is_empty());
}

TEST(NewFile, does_not_replace_what_is_there) {
  const Folder folder;
  NewFile first(folder.path());
  first.write("first");
  first.commit("name");
  std::filesystem::create_symlink(folder.path() + "/elsewhere", folder.path() + "/link");
  NewFile second(folder.path());
  second.write("second");
  EXPECT_EQ(reason_of(second, "name"), EEXIST);
  EXPECT_EQ(reason_of(second, "link"), EEXIST);
  EXPECT_EQ(folder.content("name"), "first");
  EXPECT_EQ(reason_of(second, "other"), 0) << "another name will do";
}

TEST(NewFile, has_a_plain_name) {
  const Folder folder;
  NewFile file(folder.path());
  const std::array<std::string, 11> bad{"",     ".",    "..",       "/etc/passwd",        "a/b", "../a", ".b",
                                        "a\nb", "\xff", "a\x1b[2J", std::string(256, 'x')};
  for (const std::string& name : bad) {
    EXPECT_FALSE(is_plain_file_name(name)) << name;
    EXPECT_EQ(reason_of(file, name), EINVAL) << name;
  }
  EXPECT_FALSE(is_plain_file_name(std::string_view("a\0b", 3)));
  for (const char* name : {"a", "a.txt", "a b", "grüße.txt", "-x", "a..b", "a\\b"}) {
    EXPECT_TRUE(is_plain_file_name(name)) << name;
  }
  EXPECT_TRUE(folder.is_empty());
}

TEST(NewFile, in_a_folder_that_is_not_there_says_so) { EXPECT_THROW(NewFile("/nowhere/at/all"), Error); }

}  // namespace new_file_test
