// A zip beyond the limits of 32 bits, read by a parser that follows APPNOTE 6.3, sections 4.3 and 4.5.3.
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "coax/http/archive_private.hpp"
#include "coax/http/body.hpp"
#include "coax/task/run.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/sim.hpp"

namespace archive_zip64_test {

#ifndef __has_feature
#define __has_feature(name) 0
#endif

using namespace coax;

namespace {

constexpr bool is_sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);

constexpr std::uint64_t all32 = 0xFFFFFFFF;

std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t byte = size; byte-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(at + byte));
  return value;
}

// The content of the extra field of that kind; empty: there is none.
std::string_view extra_field(std::string_view extra, std::uint64_t kind) {
  while (extra.size() >= 4) {
    const std::size_t size = number(extra, 2, 2);
    if (number(extra, 0, 2) == kind) return extra.substr(4, size);
    extra.remove_prefix(4 + size);
  }
  return {};
}

struct Entry {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t stored_size = 0;
  std::uint64_t checksum = 0;
  bool is_long = false;
  bool is_zeros = true;

  friend bool operator==(const Entry&, const Entry&) = default;
};

// Reads a zip from its beginning, in pieces.
class ZipReader {
 public:
  ~ZipReader() { inflateEnd(&inflate_); }

  void feed(std::string_view bytes) {
    pending_.append(bytes);
    while (read()) {
    }
    pending_.erase(0, at_);
    begins_at_ += at_;
    at_ = 0;
  }
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
  // The central directory, and what follows it.
  [[nodiscard]] const std::string& rest() const noexcept { return pending_; }
  [[nodiscard]] std::uint64_t rest_offset() const noexcept { return begins_at_; }

 private:
  enum class State : std::uint8_t { header, data, descriptor, directory };

  [[nodiscard]] std::string_view here() const noexcept { return std::string_view(pending_).substr(at_); }
  bool read() {
    switch (state_) {
      case State::header: return read_header();
      case State::data: return read_data();
      case State::descriptor: return read_descriptor();
      case State::directory: break;
    }
    return false;
  }
  bool read_header() {
    const std::string_view bytes = here();
    if (bytes.size() < 30) return false;
    if (number(bytes, 0, 4) != 0x04034b50) {
      state_ = State::directory;
      return false;
    }
    const std::size_t name_size = number(bytes, 26, 2);
    const std::size_t extra_size = number(bytes, 28, 2);
    if (bytes.size() < 30 + name_size + extra_size) return false;
    const std::string_view zip64 = extra_field(bytes.substr(30 + name_size, extra_size), 1);
    entries_.push_back(
        {.name = std::string(bytes.substr(30, name_size)), .offset = begins_at_ + at_, .is_long = !zip64.empty()});
    EXPECT_EQ(zip64.size(), entries_.back().is_long ? 16U : 0U);
    EXPECT_EQ(number(bytes, 4, 2), entries_.back().is_long ? 45U : 20U);
    EXPECT_EQ(number(bytes, 22, 4), entries_.back().is_long ? all32 : 0U);
    at_ += 30 + name_size + extra_size;
    if (entries_.back().name.ends_with('/')) return true;
    inflateEnd(&inflate_);
    inflate_ = {};
    EXPECT_EQ(inflateInit2(&inflate_, -15), Z_OK);
    state_ = State::data;
    return true;
  }
  bool read_data() {
    Entry& entry = entries_.back();
    while (at_ != pending_.size()) {
      static std::array<char, 256 * 1024> out;
      inflate_.next_in = reinterpret_cast<Bytef*>(pending_.data() + at_);
      inflate_.avail_in = static_cast<uInt>(pending_.size() - at_);
      inflate_.next_out = reinterpret_cast<Bytef*>(out.data());
      inflate_.avail_out = out.size();
      const int status = inflate(&inflate_, Z_NO_FLUSH);
      const std::size_t consumed = pending_.size() - at_ - inflate_.avail_in;
      const std::string_view content(out.data(), out.size() - inflate_.avail_out);
      at_ += consumed;
      entry.stored_size += consumed;
      entry.size += content.size();
      // All bytes are equal to the first when each is equal to the one before it.
      entry.is_zeros &=
          content.empty() || (content[0] == '\0' && content.substr(1) == content.substr(0, content.size() - 1));
      if (status == Z_STREAM_END) {
        state_ = State::descriptor;
        return true;
      }
      if (status != Z_OK) throw std::runtime_error("not deflate");
    }
    return false;
  }
  bool read_descriptor() {
    Entry& entry = entries_.back();
    const std::size_t width = entry.is_long ? 8 : 4;
    const std::string_view bytes = here();
    if (bytes.size() < 8 + 2 * width) return false;
    EXPECT_EQ(number(bytes, 0, 4), 0x08074b50U);
    entry.checksum = number(bytes, 4, 4);
    EXPECT_EQ(number(bytes, 8, width), entry.stored_size);
    EXPECT_EQ(number(bytes, 8 + width, width), entry.size);
    at_ += 8 + 2 * width;
    state_ = State::header;
    return true;
  }

  State state_ = State::header;
  std::string pending_;
  std::size_t at_ = 0;
  std::uint64_t begins_at_ = 0;  // offset of pending_ in the archive
  std::vector<Entry> entries_;
  z_stream inflate_{};
};

// Reads a record of the central directory, and removes it.
Entry take_record(std::string_view& rest) {
  const std::size_t name_size = number(rest, 28, 2);
  const std::size_t extra_size = number(rest, 30, 2);
  std::string_view wide = extra_field(rest.substr(46 + name_size, extra_size), 1);
  EXPECT_EQ(number(rest, 6, 2), wide.empty() ? 20U : 45U) << "the version that is needed";
  const auto value_at = [&](std::size_t at) {
    const std::uint64_t value = number(rest, at, 4);
    if (value != all32) return value;
    const std::uint64_t wide_value = number(wide, 0, 8);
    wide.remove_prefix(8);
    return wide_value;
  };
  Entry entry{.name = std::string(rest.substr(46, name_size)), .checksum = number(rest, 16, 4)};
  entry.size = value_at(24);  // in this order, section 4.5.3
  entry.stored_size = value_at(20);
  entry.offset = value_at(42);
  EXPECT_TRUE(wide.empty()) << entry.name;
  rest.remove_prefix(46 + name_size + extra_size);
  return entry;
}

// What follows the records: the end in 64 bits, its locator, and the end in 32 bits.
void expect_long_end(std::string_view rest, std::uint64_t count, std::uint64_t offset, std::uint64_t size) {
  ASSERT_EQ(rest.size(), 56U + 20U + 22U);
  EXPECT_EQ(number(rest, 0, 4), 0x06064b50U);
  EXPECT_EQ(number(rest, 4, 8), 44U);
  EXPECT_EQ(number(rest, 24, 8), count);
  EXPECT_EQ(number(rest, 32, 8), count);
  EXPECT_EQ(number(rest, 40, 8), size);
  EXPECT_EQ(number(rest, 48, 8), offset);
  EXPECT_EQ(number(rest, 56, 4), 0x07064b50U);
  EXPECT_EQ(number(rest, 64, 8), offset + size);
  EXPECT_EQ(number(rest, 76, 4), 0x06054b50U);
  EXPECT_EQ(number(rest, 86, 2), 0xFFFFU);
  EXPECT_EQ(number(rest, 92, 4), all32);
}

std::uint64_t checksum_of_zeros(std::uint64_t count) {
  uLong result = crc32(0, nullptr, 0);
  uLong run = crc32(result, reinterpret_cast<const Bytef*>("\0"), 1);
  for (std::uint64_t length = 1; length <= count; length *= 2) {
    if ((count & length) != 0) result = crc32_combine(result, run, static_cast<z_off_t>(length));
    run = crc32_combine(run, run, static_cast<z_off_t>(length));
  }
  return result;
}

class IntoReader final : public http::BodyWriter {
 public:
  explicit IntoReader(ZipReader& reader) noexcept : reader_(reader) {}
  Task<> send(BytesView bytes) override {
    reader_.feed(bytes.text());
    co_return;
  }
  Task<> wait_disconnected() override { co_return; }
  bool trailer(std::string_view, std::string_view) override { return false; }

 private:
  ZipReader& reader_;
};

}  // namespace

TEST(HttpArchiveZip64, a_zip_above_4_gib_has_its_numbers_in_64_bits) {
  COAX_NEEDS_KERNEL();
  if (is_sanitized) GTEST_SKIP() << "takes minutes with a sanitizer";
  constexpr std::uint64_t big = 4'400'000'000;  // 4.1 GiB, without a block on the disk
  // In memory where possible: other file systems take a page for each page of zeros that is read.
  const bool has_shm = std::filesystem::is_directory("/dev/shm");
  const test::Folder folder(has_shm ? "/dev/shm" : std::filesystem::temp_directory_path());
  const std::filesystem::path root = folder.path("files");
  std::filesystem::create_directory(root);
  std::ofstream(root / "a.bin").close();
  ASSERT_EQ(::truncate((root / "a.bin").c_str(), big), 0);  // a type that is not compressed
  std::ofstream(root / "b.txt") << "end";

  auto response = http::archive_of(root, "", "zip", {});
  ASSERT_TRUE(response);
  ZipReader reader;
  IntoReader writer(reader);
  run_to_end(std::get<http::StreamedBody>(response->body).producer(writer));

  const std::vector<Entry>& entries = reader.entries();
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_GT(entries[0].stored_size, big);
  EXPECT_GT(entries[1].offset, big);
  for (const Entry& entry : entries) {
    const bool is_big = entry.name == "files/a.bin";
    EXPECT_EQ(entry.size, is_big ? big : 3U) << entry.name;
    EXPECT_EQ(entry.is_zeros, is_big) << entry.name;
    EXPECT_EQ(entry.is_long, is_big) << entry.name;
    EXPECT_EQ(entry.checksum, is_big ? checksum_of_zeros(big) : crc32(0, reinterpret_cast<const Bytef*>("end"), 3));
  }
  std::string_view rest = reader.rest();
  for (const Entry& entry : entries) {
    ASSERT_TRUE(rest.starts_with("PK\1\2"));
    Entry record = take_record(rest);
    record.is_long = entry.is_long;
    record.is_zeros = entry.is_zeros;
    EXPECT_EQ(record, entry) << entry.name;
  }
  expect_long_end(rest, 2, reader.rest_offset(), reader.rest().size() - rest.size());
}

}  // namespace archive_zip64_test
