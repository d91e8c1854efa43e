// Archives of folders whose files change or vanish while they are sent, and the names in them.
#include <unistd.h>

#include <charconv>

#include "coax/http/archive_private.hpp"
#include "coax/http/folder_find_private.hpp"
#include "tests/http/folder.hpp"

namespace coax::test::archive_test {
namespace {

struct Member {
  std::string name;
  std::string content;
};

// Of a tar without extended headers. Throws: std::runtime_error when it is not well-formed.
std::vector<Member> read_tar(std::string_view tar) {
  constexpr std::size_t block = 512;
  std::vector<Member> members;
  while (tar.size() >= block && tar[0] != '\0') {
    std::size_t size = 0;
    std::from_chars(tar.data() + 124, tar.data() + 135, size, 8);
    const std::size_t padded = (size + block - 1) / block * block;
    if (tar.substr(257, 5) != "ustar" || tar.size() < block + padded) throw std::runtime_error("not a tar");
    const std::string_view name = tar.substr(0, 100);
    members.push_back({std::string(name.substr(0, name.find('\0'))), std::string(tar.substr(block, size))});
    tar.remove_prefix(block + padded);
  }
  if (tar != std::string(2 * block, '\0')) throw std::runtime_error("a tar without its end");
  return members;
}

class HttpArchive : public HttpFolder {
 protected:
  // Calls `meanwhile` when the first bytes of the first file have arrived; the server cannot be far ahead of them.
  std::string archive(std::string_view format, const std::function<void()>& meanwhile) const {
    std::string body;
    run([&]() -> Task<> {
      auto [server, client] = memory_stream_pair(1000);
      const Handler handler = http::handler(app({.archives = true}));
      const auto ask = [&]() -> Task<> {
        co_await client->send(fmt::format("GET /s/?archive={} HTTP/1.0\r\n\r\n", format));
        std::string first;
        while (first.size() < 2000) first.append((co_await client->recv()).text());
        meanwhile();
        body = body_of(first + co_await read_all(*client));
      };
      co_await all(serve_one(*server, handler), ask());
    });
    return body;
  }
};

constexpr std::size_t long_size = 1'000'000;

TEST_F(HttpArchive, names_that_differ_in_a_backslash_stay_different) {
  for (const char* name : {"a\\b.txt", "a_b.txt", "c\\d/e", "c_d/f", "only\\one", "x\\y\\z", "x\\y_z"})
    write(name, name);
  std::map<std::string, std::string> found;
  for (const Member& member : read_tar(archive("tar", [] {}))) {
    if (!member.name.ends_with('/')) EXPECT_TRUE(found.emplace(member.name, member.content).second) << member.name;
  }
  EXPECT_EQ(found, (std::map<std::string, std::string>{{"public/digits.txt", "0123456789"},
                                                       {"public/a_b.txt", "a_b.txt"},
                                                       {"public/a_b (2).txt", "a\\b.txt"},
                                                       {"public/c_d/f", "c_d/f"},
                                                       {"public/c_d (2)/e", "c\\d/e"},
                                                       {"public/only_one", "only\\one"},
                                                       {"public/x_y_z", "x\\y\\z"},
                                                       {"public/x_y_z (2)", "x\\y_z"}}));
}

TEST_F(HttpArchive, a_file_that_vanishes_is_named_at_the_end) {
  for (const std::string_view format : {"tar", "zip"}) {
    write("a.bin", std::string(long_size, 'a'));
    write("y.txt", "y");
    write("z.txt", "z");
    const std::string body = archive(format, [&] { std::filesystem::remove(at("y.txt")); });
    EXPECT_TRUE(body.contains("public/z.txt")) << format;
    EXPECT_FALSE(body.contains("public/y.txt")) << format;
    EXPECT_TRUE(body.contains("public/MISSING FILES.txt")) << format;
  }
  const std::vector<Member> members = read_tar(archive("tar", [&] { std::filesystem::remove(at("z.txt")); }));
  EXPECT_EQ(members.back().content,
            "This archive is not whole: these files or folders are missing or damaged.\n\n"
            "z.txt: it was removed, or may not be read\n");
}

TEST_F(HttpArchive, a_file_that_shrinks_keeps_its_length_and_is_named) {
  write("a.bin", std::string(long_size, 'a'));
  const auto shrink = [&] { ASSERT_EQ(::truncate(at("a.bin").c_str(), long_size / 2), 0); };
  const std::vector<Member> members = read_tar(archive("tar", shrink));
  ASSERT_EQ(members.size(), 3U);
  EXPECT_EQ(members[0].content, std::string(long_size / 2, 'a') + std::string(long_size / 2, '\0'));
  EXPECT_EQ(members[1].content, "0123456789");
  EXPECT_TRUE(members[2].content.contains("a.bin: it became shorter while it was read; its end from byte 500000 on"));
}

TEST_F(HttpArchive, the_list_of_missing_files_replaces_no_file) {
  write("MISSING FILES.txt", "mine");
  write("A.bin", std::string(long_size, 'a'));
  const std::vector<Member> members = read_tar(archive("tar", [&] { std::filesystem::remove(at("digits.txt")); }));
  ASSERT_EQ(members.size(), 3U);
  EXPECT_EQ(members[1].content, "mine");
  EXPECT_EQ(members[2].name, "public/_MISSING FILES.txt");
}

TEST_F(HttpArchive, a_link_to_a_folder_is_not_followed_but_named) {
  write("sub/a.txt", "a");
  std::filesystem::create_symlink("..", at("sub/loop"));
  std::filesystem::create_symlink("sub", at("link"));
  std::filesystem::create_symlink("digits.txt", at("digits"));
  std::filesystem::create_symlink("/etc", at("outside"));
  const std::vector<Member> members = read_tar(archive("tar", [] {}));
  std::vector<std::string> names;
  for (const Member& member : members) names.push_back(member.name);
  if (http::available_beneath() != http::Beneath::openat2) GTEST_SKIP() << "no openat2(2)";
  EXPECT_EQ(names, (std::vector<std::string>{"public/digits", "public/digits.txt", "public/sub/", "public/sub/a.txt",
                                             "public/MISSING FILES.txt"}));
  EXPECT_EQ(members.back().content,
            "This archive is not whole: these files or folders are missing or damaged.\n\n"
            "link: a link to a folder: not followed\n"
            "sub/loop: a link to a folder: not followed\n");
}

TEST_F(HttpArchive, a_whole_archive_has_no_list_of_missing_files) {
  EXPECT_EQ(read_tar(archive("tar", [] {})).size(), 1U);
}

// APPNOTE 4.4.6, Info-ZIP's "UT" field of 32 bits, and POSIX pax.
TEST(HttpArchiveTimes, those_out_of_range_are_the_nearest_or_in_a_wider_field) {
  struct Case {
    std::chrono::sys_days day;
    std::uint16_t dos_date;
    bool has_time_field;
    bool has_pax_time;
  };
  using namespace std::chrono;
  for (const Case& one :
       {Case{1950y / 1 / 6, 0 << 9 | 1 << 5 | 1, true, true}, Case{2000y / 5 / 4, 20 << 9 | 5 << 5 | 4, true, false},
        Case{2191y / 6 / 1, 127 << 9 | 12 << 5 | 31, false, false}}) {
    const http::ArchiveEntry entry{.path = "a", .modified = one.day + 12h};
    std::string zip;
    http::make_zip_writer()->begin(entry, "a", zip);
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(zip[at]); };
    EXPECT_EQ(byte(12) | byte(13) << 8, one.dos_date);
    EXPECT_EQ(byte(28), one.has_time_field ? 9 : 0);
    EXPECT_EQ(zip.contains("UT"), one.has_time_field);
    std::string tar;
    http::make_tar_writer(false)->begin(entry, "a", tar);
    EXPECT_EQ(tar.contains("mtime="), one.has_pax_time) << one.dos_date;
  }
}

}  // namespace
}  // namespace coax::test::archive_test
