// folder: serves the files of a folder, as they are on the disk.
//
//   app.mount("/static", coax::http::folder("public"));
//
// GET and HEAD, with conditional requests (RFC 9110, section 13) and ranges (section 14). 404: missing files, folders
// without an index, dot files, special files, unreadable files, and symbolic links that lead outside the folder. A dot
// file is one by the name in the URL: a link such as "current -> .releases/42" is served with what is behind it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/http/router.hpp"

namespace coax::http {

// An entry of a folder that has no index. Dot files and special files are none.
struct FolderEntry {
  std::string name;  // any bytes but '/' and NUL: encode it
  bool is_folder = false;
  std::uint64_t size = 0;  // of a file
  std::chrono::sys_time<std::chrono::nanoseconds> modified;
  bool is_link = false;  // a symbolic link to it
};

// The path of the request has a slash at its end. entries: ordered by name, at most 10,000.
// Thread: one of offload(), several at the same time: it must not use the loop. The request does not change meanwhile.
using FolderListing = std::function<Response(const Request& request, const std::vector<FolderEntry>& entries)>;

struct FolderOptions {
  std::string index = "index.html";  // answers for its folder; empty: none
  FolderListing listing = {};        // answers for a folder without an index; empty: 404
  // "?archive=zip", "tar" or "tar.gz" behind the path of a folder: its files and folders as one download, made while it
  // is sent. The same files as are served, but not what is behind links to folders. 413 above 100,000 of them. These
  // links, and what cannot be read meanwhile, are named in its last file, "MISSING FILES.txt".
  bool archives = false;
  std::string cache_control = "no-cache";
  // Whether the content of the file at this path never changes: "Cache-Control: public, max-age=31536000, immutable".
  std::function<bool(std::string_view path)> is_immutable = {};
  // A file, relative to the folder, that answers for unknown paths whose last segment has no dot: "index.html" for an
  // application with routes of its own in the browser. Empty: 404.
  std::string fallback = {};
  // Sends "x.js.br", "x.js.zst" or "x.js.gz" for "x.js" to clients that accept them, unless it is empty or older.
  bool precompressed = true;
  bool well_known = false;  // serves the folder ".well-known" (RFC 8615), although its name begins with a dot
};

// The routes of a folder, for Router::mount(). A symbolic link as `path` may be changed at any time.
// Files that are open are sent to their end: replace a file by renaming another one to its name. One that becomes
// shorter while it is sent aborts the connection.
// Throws: Error when `path` is not a folder, or the fallback is missing; Error(invalid) when a header cannot be one.
Router folder(std::string path, FolderOptions options = {});

// Whether the name has a hash of its content, as bundlers write it: "app.3f9a1c2b.js", "app-3f9a1c2b.js". That is a
// part of at least 8 lower-case hexadecimal digits, of which some are letters and some are not.
// For FolderOptions::is_immutable.
bool has_hashed_name(std::string_view path) noexcept;

// By the extension of a name, in any case: "text/css; charset=utf-8" for "style.css". Texts are UTF-8.
// Returns: "application/octet-stream" for an unknown one.
Literal media_type_of(std::string_view name) noexcept;

}  // namespace coax::http
