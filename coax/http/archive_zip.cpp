// The sizes and the checksum of a file follow its data (data descriptors). All files are in deflate, those that do not
// become shorter at level 0: only deflate marks its own end, which programs need that read a zip from a pipe.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "coax/base/text.hpp"
#include "coax/http/archive_private.hpp"
#include "coax/http/compression.hpp"
#include "coax/http/folder.hpp"

namespace coax::http {

namespace {

constexpr std::uint32_t max32 = std::numeric_limits<std::uint32_t>::max();

// In little endian; higher bits are dropped.
template <class T>
void put(std::string& out, std::uint64_t value) {
  for (std::size_t byte = 0; byte < sizeof(T); ++byte) out += static_cast<char>(value >> (8 * byte));
}

struct Record {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t stored_size = 0;
  std::uint32_t checksum = 0;
  std::time_t modified = 0;
  bool is_long = false;  // with sizes of 64 bits

  [[nodiscard]] bool is_folder() const noexcept { return name.ends_with('/'); }
  // Info-ZIP's extended timestamp, in UTC: it has 32 bits.
  [[nodiscard]] bool has_time_field() const noexcept { return std::in_range<std::int32_t>(modified); }
  [[nodiscard]] std::size_t time_field_bytes() const noexcept { return has_time_field() ? 9 : 0; }
};

// The local time in the format of MS-DOS; before and after its range, the first and the last time that it has.
void put_dos_time(std::string& out, std::time_t time) {
  constexpr std::tm first{.tm_mday = 1, .tm_mon = 0, .tm_year = 80};
  constexpr std::tm last{.tm_sec = 58, .tm_min = 59, .tm_hour = 23, .tm_mday = 31, .tm_mon = 11, .tm_year = 207};
  std::tm local{};
  localtime_r(&time, &local);
  if (local.tm_year < first.tm_year) local = first;
  if (local.tm_year > last.tm_year) local = last;
  put<std::uint16_t>(out, static_cast<unsigned>(local.tm_hour << 11 | local.tm_min << 5 | local.tm_sec / 2));
  put<std::uint16_t>(
      out, static_cast<unsigned>((local.tm_year - first.tm_year) << 9 | (local.tm_mon + 1) << 5 | local.tm_mday));
}

class ZipWriter final : public ArchiveWriter {
 public:
  ZipWriter() = default;
  ZipWriter(const ZipWriter&) = delete;
  ZipWriter& operator=(const ZipWriter&) = delete;
  ~ZipWriter() override { deflateEnd(&deflate_); }

  void begin(const ArchiveEntry& entry, std::string name, std::string& out) override {
    constexpr std::uint64_t surely_short = 0xF0000000;  // also with what deflate adds
    const auto seconds = std::chrono::floor<std::chrono::seconds>(entry.modified).time_since_epoch().count();
    records_.push_back({.name = std::move(name),
                        .offset = written_,
                        .modified = static_cast<std::time_t>(seconds),
                        .is_long = entry.size > surely_short});
    const Record& record = records_.back();
    const std::size_t before = out.size();
    put<std::uint32_t>(out, 0x04034b50);
    put_common(out, record, record.is_long);
    out.append(record.is_long ? 4 : 12, '\0');  // checksum and sizes: they follow the data
    if (record.is_long) out.append(8, '\xFF');
    put<std::uint16_t>(out, record.name.size());
    put<std::uint16_t>(out, record.time_field_bytes() + (record.is_long ? 20 : 0));
    out += record.name;
    put_time_field(out, record);
    if (record.is_long) {
      put<std::uint16_t>(out, 1);
      put<std::uint16_t>(out, 16);
      out.append(16, '\0');
    }
    written_ += out.size() - before;
    if (!record.is_folder()) reset_deflate(is_compressible_type(essence_of(media_type_of(record.name))) ? 5 : 0);
  }

  void data(BytesView bytes, std::string& out) override {
    Record& record = records_.back();
    record.checksum =
        static_cast<std::uint32_t>(crc32(record.checksum, bytes.octets(), static_cast<uInt>(bytes.size())));
    record.size += bytes.size();
    compress(bytes, Z_NO_FLUSH, out);
  }

  void end(std::string& out) override {
    Record& record = records_.back();
    if (record.is_folder()) return;
    compress({}, Z_FINISH, out);
    const std::size_t before = out.size();
    put<std::uint32_t>(out, 0x08074b50);
    put<std::uint32_t>(out, record.checksum);
    for (const std::uint64_t size : {record.stored_size, record.size}) {
      record.is_long ? put<std::uint64_t>(out, size) : put<std::uint32_t>(out, static_cast<std::uint32_t>(size));
    }
    written_ += out.size() - before;
  }

  void finish(std::string& out) override {
    const std::size_t before = out.size();
    for (const Record& record : records_) put_record(out, record);
    const std::uint64_t size = out.size() - before;
    put_end(out, size);
  }

 private:
  static std::string_view essence_of(std::string_view type) { return type.substr(0, type.find(';')); }

  // The fields that both headers of a file begin with.
  static void put_common(std::string& out, const Record& record, bool is_long) {
    const unsigned has_descriptor = record.is_folder() ? 0 : 1U << 3;
    const unsigned is_unicode = is_utf8(record.name) ? 1U << 11 : 0;
    put<std::uint16_t>(out, is_long ? 45 : 20);
    put<std::uint16_t>(out, has_descriptor | is_unicode);
    put<std::uint16_t>(out, record.is_folder() ? 0 : Z_DEFLATED);
    put_dos_time(out, record.modified);
  }
  static void put_time_field(std::string& out, const Record& record) {
    if (!record.has_time_field()) return;
    put<std::uint16_t>(out, 0x5455);
    put<std::uint16_t>(out, 5);
    out += '\1';
    put<std::uint32_t>(out, static_cast<std::uint32_t>(record.modified));
  }
  static void put_record(std::string& out, const Record& record) {
    std::string wide;
    const auto narrow = [&](std::uint64_t value) {
      if (value < max32) return static_cast<std::uint32_t>(value);
      put<std::uint64_t>(wide, value);
      return max32;
    };
    const std::uint32_t size = narrow(record.size);  // in 64 bits, this is the order (APPNOTE 4.5.3)
    const std::uint32_t stored_size = narrow(record.stored_size);
    const std::uint32_t offset = narrow(record.offset);
    put<std::uint32_t>(out, 0x02014b50);
    put<std::uint16_t>(out, 3 << 8 | 45);  // made on Unix
    put_common(out, record, record.is_long || !wide.empty());
    put<std::uint32_t>(out, record.checksum);
    put<std::uint32_t>(out, stored_size);
    put<std::uint32_t>(out, size);
    put<std::uint16_t>(out, record.name.size());
    put<std::uint16_t>(out, record.time_field_bytes() + (wide.empty() ? 0 : 4 + wide.size()));
    out.append(6, '\0');  // comment, disk, internal attributes
    constexpr std::uint32_t folder_attributes = 040755U << 16 | 0x10;
    constexpr std::uint32_t file_attributes = 0100644U << 16;
    put<std::uint32_t>(out, record.is_folder() ? folder_attributes : file_attributes);
    put<std::uint32_t>(out, offset);
    out += record.name;
    put_time_field(out, record);
    if (wide.empty()) return;
    put<std::uint16_t>(out, 1);
    put<std::uint16_t>(out, wide.size());
    out += wide;
  }
  void put_end(std::string& out, std::uint64_t size) const {
    const std::uint64_t count = records_.size();
    const bool is_long = count >= 0xFFFF || size >= max32 || written_ >= max32;
    if (is_long) {
      put<std::uint32_t>(out, 0x06064b50);
      put<std::uint64_t>(out, 44);
      put<std::uint16_t>(out, 3 << 8 | 45);
      put<std::uint16_t>(out, 45);
      put<std::uint64_t>(out, 0);  // disks
      put<std::uint64_t>(out, count);
      put<std::uint64_t>(out, count);
      put<std::uint64_t>(out, size);
      put<std::uint64_t>(out, written_);
      put<std::uint32_t>(out, 0x07064b50);
      put<std::uint32_t>(out, 0);
      put<std::uint64_t>(out, written_ + size);
      put<std::uint32_t>(out, 1);
    }
    put<std::uint32_t>(out, 0x06054b50);
    put<std::uint32_t>(out, 0);
    put<std::uint16_t>(out, is_long ? 0xFFFF : count);
    put<std::uint16_t>(out, is_long ? 0xFFFF : count);
    put<std::uint32_t>(out, is_long ? max32 : size);
    put<std::uint32_t>(out, is_long ? max32 : written_);
    put<std::uint16_t>(out, 0);
  }

  void reset_deflate(int level) {
    deflateEnd(&deflate_);
    deflate_ = {};
    constexpr int without_header = -15;
    if (deflateInit2(&deflate_, level, Z_DEFLATED, without_header, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw std::bad_alloc();
  }
  void compress(BytesView bytes, int flush, std::string& out) {
    const std::size_t before = out.size();
    deflate_.next_in = const_cast<Bytef*>(bytes.octets());
    deflate_.avail_in = static_cast<uInt>(bytes.size());
    do {
      std::array<Bytef, 16384> piece;
      deflate_.next_out = piece.data();
      deflate_.avail_out = piece.size();
      deflate(&deflate_, flush);
      out.append(reinterpret_cast<const char*>(piece.data()), piece.size() - deflate_.avail_out);
    } while (deflate_.avail_out == 0);
    records_.back().stored_size += out.size() - before;
    written_ += out.size() - before;
  }

  z_stream deflate_{};
  std::vector<Record> records_;
  std::uint64_t written_ = 0;
};

}  // namespace

std::unique_ptr<ArchiveWriter> make_zip_writer() { return std::make_unique<ZipWriter>(); }

}  // namespace coax::http
