// The tar, and the walk through the folder.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/url.hpp"
#include "coax/http/archive_private.hpp"
#include "coax/http/encoder_private.hpp"
#include "coax/http/folder_find_private.hpp"
#include "coax/http/status_error.hpp"
#include "coax/task/offload.hpp"

namespace coax::http {

namespace {

using std::string_view;

constexpr std::size_t entries_max = 100'000;
constexpr std::size_t read_bytes_max = 64_KiB;

// --- tar ---

// POSIX.1-2017, pax: ustar blocks, with an extended header for a long name or a long file.
class TarWriter final : public ArchiveWriter {
 public:
  explicit TarWriter(bool is_compressed) : gzip_(is_compressed ? make_encoder("gzip", SIZE_MAX) : nullptr) {}

  void begin(const ArchiveEntry& entry, std::string name, std::string& out) override {
    constexpr std::uint64_t size_max = 077777777777;  // of a number in a block
    std::string extended;
    if (name.size() > 100) extended += extended_record("path", name);
    if (entry.size > size_max) extended += extended_record("size", std::to_string(entry.size));
    const std::int64_t time = std::chrono::floor<std::chrono::seconds>(entry.modified).time_since_epoch().count();
    const auto modified = static_cast<std::uint64_t>(std::clamp<std::int64_t>(time, 0, size_max));
    if (time < 0 || static_cast<std::uint64_t>(time) > size_max)
      extended += extended_record("mtime", std::to_string(time));
    if (!extended.empty()) {
      put(block("PaxHeader", extended.size(), modified, 'x'), out);
      put(extended, out);
      put(padding(extended.size()), out);
    }
    put(block(name.substr(0, 100), std::min(entry.size, size_max), modified, entry.is_folder() ? '5' : '0'), out);
    size_ = entry.size;
  }
  void data(BytesView bytes, std::string& out) override { put(bytes, out); }
  void end(std::string& out) override { put(padding(size_), out); }
  void finish(std::string& out) override {
    put(std::string(2 * block_bytes, '\0'), out);
    if (gzip_) gzip_->encode({}, Flush::end, out);
  }

 private:
  static constexpr std::size_t block_bytes = 512;

  static std::string padding(std::uint64_t size) {
    return std::string((block_bytes - size % block_bytes) % block_bytes, '\0');
  }
  // "LENGTH KEY=VALUE\n", where the length counts its own digits.
  static std::string extended_record(string_view key, string_view value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + std::to_string(rest).size();
    length = rest + std::to_string(length).size();
    return fmt::format("{} {}={}\n", length, key, value);
  }
  static std::string block(string_view name, std::uint64_t size, std::uint64_t modified, char type) {
    std::string header(block_bytes, '\0');
    const auto put_at = [&](std::size_t offset, string_view text) { std::ranges::copy(text, header.begin() + offset); };
    put_at(0, name);
    put_at(100, type == '5' ? "0000755" : "0000644");
    put_at(108, "0000000");  // user
    put_at(116, "0000000");  // group
    put_at(124, fmt::format("{:011o}", size));
    put_at(136, fmt::format("{:011o}", modified));
    put_at(148, "        ");  // the checksum is of blanks here
    header[156] = type;
    put_at(257, "ustar");
    put_at(263, "00");
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put_at(148, fmt::format("{:06o}", sum));
    header[154] = '\0';
    return header;
  }
  void put(BytesView bytes, std::string& out) {
    if (gzip_) {
      gzip_->encode(bytes, Flush::none, out);
    } else {
      out.append(bytes);
    }
  }

  std::unique_ptr<Encoder> gzip_;
  std::uint64_t size_ = 0;
};

// --- names ---

// Programs on Windows take a backslash for a separator, so that "..\x" would leave the folder. It becomes '_', and the
// names of a folder stay different: "a_b (2).txt".
class SafeNames {
 public:
  explicit SafeNames(const std::vector<FolderEntry>& entries) {
    const auto has_backslash = [](const FolderEntry& entry) { return entry.name.contains('\\'); };
    if (std::ranges::none_of(entries, has_backslash)) return;
    for (const FolderEntry& entry : entries) counts_.emplace(entry.name, 1);
  }
  std::string operator()(const std::string& name) {
    if (!name.contains('\\')) return name;
    std::string safe = without_backslashes(name);
    const std::size_t dot = std::min(safe.rfind('.'), safe.size());
    unsigned& count = counts_[safe];
    std::string unique = safe;
    while (count != 0 && counts_.contains(unique)) {
      unique = fmt::format("{} ({}){}", safe.substr(0, dot), ++count, safe.substr(dot));
    }
    count = std::max(count, 1U);
    counts_.emplace(unique, 1);
    return unique;
  }
  static std::string without_backslashes(std::string name) {
    std::ranges::replace(name, '\\', '_');
    return name;
  }

 private:
  std::map<std::string, unsigned> counts_;  // of the names in use: the last number behind one
};

// --- the walk ---

struct Collected {
  std::vector<ArchiveEntry> entries;
  std::vector<std::string> missing;  // a line for each file or folder that is not whole in the archive
};

std::string line_of(string_view path, string_view reason) {
  return fmt::format("{}: {}", path.empty() ? "." : printable(BytesView(path), 1000), reason);
}

constexpr string_view unreadable = "it was removed, or may not be read";

// Symbolic links to folders are not followed, since they could form a circle, but named among what is missing.
class Walk {
 public:
  Walk(const OpenFolder& folder, std::string top, const std::stop_token& stop)
      : folder_(folder), top_(std::move(top)), stop_(stop) {}

  Collected collect() {
    visit("", "");
    return std::move(all_);
  }

 private:
  // Both: below the top, empty or with a slash at the end.
  void visit(const std::string& path, const std::string& name) {
    std::string where = top_ + path;
    if (where.ends_with('/')) where.pop_back();
    const auto listed = folder_.list(where, entries_max + 1, stop_);
    if (!listed) return all_.missing.push_back(line_of(path, unreadable));
    SafeNames safe_names(*listed);
    for (const FolderEntry& entry : *listed) {
      if (all_.entries.size() + all_.missing.size() >= entries_max) {
        throw StatusError(413, "archive", where, fmt::format("the folder has more than {} entries", entries_max));
      }
      if (entry.is_folder && entry.is_link) {
        all_.missing.push_back(line_of(path + entry.name, "a link to a folder: not followed"));
        continue;
      }
      const string_view end = entry.is_folder ? "/" : "";
      const std::string own_path = fmt::format("{}{}{}", path, entry.name, end);
      const std::string own_name = fmt::format("{}{}{}", name, safe_names(entry.name), end);
      all_.entries.push_back({.path = own_path,
                              .name = own_name == own_path ? std::string() : own_name,
                              .size = entry.size,
                              .modified = entry.modified});
      if (entry.is_folder) visit(own_path, own_name);
    }
  }

  const OpenFolder& folder_;
  std::string top_;
  const std::stop_token& stop_;
  Collected all_;
};

// --- the files ---

struct Piece {
  std::string bytes;
  std::string error;  // empty: none
};

// Blocks. Always of `count` bytes, since an archive says before a file how long it is: those that the file has not are
// zeros.
Piece read_piece(const File& file, std::uint64_t offset, std::size_t count) {
  Piece piece{.bytes = std::string(count, '\0'), .error = {}};
  for (std::size_t at = 0; at < count;) {
    const auto got = ::pread(file.native(), piece.bytes.data() + at, count - at, static_cast<off_t>(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      piece.error = got == 0 ? "it became shorter while it was read" : std::generic_category().message(errno);
      piece.error += fmt::format("; its end from byte {} on is zeros here", offset + at);
      break;
    }
    at += static_cast<std::size_t>(got);
  }
  return piece;
}

// Blocks, and belongs on a thread of offload().
class Packer {
 public:
  Packer(const std::string& root, std::string path, std::string name, Collected collected,
         std::unique_ptr<ArchiveWriter> writer)
      : root_(root),
        path_(std::move(path)),
        name_(std::move(name)),
        entries_(std::move(collected.entries)),
        missing_(std::move(collected.missing)),
        writer_(std::move(writer)) {}

  // Appends the next bytes of the archive. Returns: false when it is complete.
  bool next(std::string& out) {
    for (std::size_t read = 0; read < read_bytes_max && out.size() < read_bytes_max;) {
      if (!file_ && at_ == entries_.size()) {
        add_missing(out);
        writer_->finish(out);
        return false;
      }
      if (!file_) {
        begin(entries_[at_++], out);
        continue;
      }
      const std::size_t count = std::min<std::uint64_t>(file_->size() - offset_, read_bytes_max - read);
      if (count != 0) add_piece(count, out);
      offset_ += count;
      read += count;
      if (offset_ != file_->size()) continue;
      writer_->end(out);
      file_.reset();
    }
    return true;
  }

 private:
  void begin(ArchiveEntry& entry, std::string& out) {
    std::string name = name_ + "/" + (entry.name.empty() ? entry.path : entry.name);
    if (entry.is_folder()) {
      writer_->begin(entry, std::move(name), out);
      writer_->end(out);
      return;
    }
    std::optional<File> found;
    std::string reason(unreadable);
    try {
      found = root_.file(path_ + entry.path);
    } catch (const Error& error) {  // such as without a free descriptor
      reason = error.code().message();
    }
    if (!found) return missing_.push_back(line_of(entry.path, reason));
    entry.size = found->size();
    entry.modified = found->modified();
    writer_->begin(entry, std::move(name), out);
    file_ = *found;
    offset_ = 0;
    is_damaged_ = false;
  }
  void add_piece(std::size_t count, std::string& out) {
    const Piece piece =
        is_damaged_ ? Piece{.bytes = std::string(count, '\0'), .error = {}} : read_piece(*file_, offset_, count);
    if (!piece.error.empty()) {
      missing_.push_back(line_of(entries_[at_ - 1].path, piece.error));
      is_damaged_ = true;
    }
    writer_->data(piece.bytes, out);
  }
  // A text that names what is not there, so that the archive does not look whole.
  void add_missing(std::string& out) {
    if (missing_.empty()) return;
    log::warning("an archive of {}/{} is not whole, {} of its files or folders are missing or damaged: {}{}",
                 printable(BytesView(root_.path()), 200), printable(BytesView(path_), 200), missing_.size(),
                 missing_.front(), missing_.size() > 1 ? ", and others" : "");
    std::string text = "This archive is not whole: these files or folders are missing or damaged.\n\n";
    for (const std::string& line : missing_) text += line + "\n";
    std::string name = "MISSING FILES.txt";
    const auto is_name = [&name](const ArchiveEntry& entry) { return entry.path == name || entry.name == name; };
    while (std::ranges::any_of(entries_, is_name)) name.insert(0, "_");
    writer_->begin({.path = name, .size = text.size(), .modified = std::chrono::system_clock::now()},
                   name_ + "/" + name, out);
    writer_->data(text, out);
    writer_->end(out);
  }

  OpenFolder root_;
  std::string path_;  // of the folder: empty, or with a slash at its end
  std::string name_;  // of the folder in the archive
  std::vector<ArchiveEntry> entries_;
  std::vector<std::string> missing_;
  std::unique_ptr<ArchiveWriter> writer_;
  std::size_t at_ = 0;
  std::optional<File> file_;
  std::uint64_t offset_ = 0;
  bool is_damaged_ = false;  // the rest of the file cannot be read
};

// `packer` belongs to the producer.
Task<> send_archive(Packer& packer, BodyWriter& body) {
  std::string out;
  for (bool has_more = true; has_more;) {
    out.clear();  // its memory stays
    has_more = co_await offload([&packer, &out] { return packer.next(out); });
    co_await body.send(out);
  }
}

// RFC 6266, with the name in UTF-8 (RFC 8187) and an ASCII one for old programs.
std::string disposition(string_view name) {
  std::string ascii(name);
  for (char& c : ascii) c = c < ' ' || c > '~' || c == '"' || c == '\\' || c == '%' ? '_' : c;
  return fmt::format("attachment; filename=\"{}\"; filename*=UTF-8''{}", ascii, percent_encode(valid_utf8(name)));
}

}  // namespace

std::unique_ptr<ArchiveWriter> make_tar_writer(bool is_compressed) {
  return std::make_unique<TarWriter>(is_compressed);
}

std::optional<Response> archive_of(const std::string& root, std::string path, string_view format,
                                   const std::stop_token& stop) {
  static constexpr std::array<std::pair<string_view, Literal>, 3> types{
      {{"zip", "application/zip"}, {"tar", "application/x-tar"}, {"tar.gz", "application/gzip"}}};
  const auto* const type = std::ranges::find(types, format, &std::pair<string_view, Literal>::first);
  if (path.ends_with('/')) path.pop_back();
  const OpenFolder folder(root);
  if (type == types.end() || !folder.is_folder(path)) return std::nullopt;
  const std::string below = path.empty() ? "" : path + "/";
  Collected collected = Walk(folder, below, stop).collect();
  if (stop.stop_requested()) return std::nullopt;
  string_view name = path.empty() ? string_view(root) : string_view(path);
  while (name.ends_with('/') || name.ends_with("/.")) name.remove_suffix(1);
  name = name.substr(name.rfind('/') + 1);
  const std::string top(name.empty() || name.starts_with('.') ? "files" : name);
  auto writer = format == "zip" ? make_zip_writer() : make_tar_writer(format == "tar.gz");
  auto packer = std::make_shared<Packer>(root, below, SafeNames::without_backslashes(top), std::move(collected),
                                         std::move(writer));
  auto producer = [packer = std::move(packer)](BodyWriter& body) { return send_archive(*packer, body); };
  return Response::stream(type->second, std::move(producer))
      .header("Content-Disposition", disposition(fmt::format("{}.{}", top, format)))
      .header("Cache-Control", "no-store");
}

}  // namespace coax::http
