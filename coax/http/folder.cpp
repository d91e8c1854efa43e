// One handler: the path is checked on the loop, the file is found there, too, or on a thread when the kernel would have
// to wait for a disk, and the response is made on the loop.
#include "coax/http/folder.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/http1.hpp"
#include "coax/codec/http_date.hpp"
#include "coax/codec/url.hpp"
#include "coax/http/archive_private.hpp"
#include "coax/http/conditional_private.hpp"
#include "coax/http/folder_find_private.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/site_private.hpp"
#include "coax/task/offload.hpp"
#include "coax/task/scope.hpp"

namespace coax::http {

namespace {

using std::string_view;

// --- the path ---

// An encoded slash is part of a segment, which no file's name has. A path is decoded once, and a malformed encoding has
// been refused, so that the target has "%2F" only for a slash.
bool has_encoded_slash(string_view target) noexcept {
  const string_view path = target.substr(0, target.find('?'));
  return path.contains("%2F") || path.contains("%2f");
}

// The parser has removed "." and "..", also encoded ones; they are refused here all the same.
bool is_servable(string_view path, const FolderOptions& options) noexcept {
  bool is_first = true;
  for (string_view rest = path; !rest.empty(); is_first = false) {
    const string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(segment.size() + 1, rest.size()));
    const bool is_well_known = is_first && options.well_known && segment == ".well-known";
    if (segment.empty() || segment.contains('\0') || (segment.starts_with('.') && !is_well_known)) return false;
  }
  return true;
}

// "/a b/c" -> "/a%20b/c/". It begins with one slash, thus never with a host.
std::string with_slash(const Request& request) {
  std::string location;
  for (const char c : request.path()) location += c == '/' ? "/" : percent_encode(string_view(&c, 1));
  location += '/';
  const string_view target = request.target();
  return location.append(target.substr(std::min(target.find('?'), target.size())));
}

// --- bodies of several ranges (RFC 9110, section 14.6) ---

constexpr std::size_t piece_bytes_max = 64_KiB;

struct Part {
  std::string head;
  ByteRange range;
};

struct Multipart {
  File file;
  std::vector<Part> parts;
  std::string end;

  [[nodiscard]] std::uint64_t size() const noexcept {
    std::uint64_t total = end.size();
    for (const Part& part : parts) total += part.head.size() + part.range.size;
    return total;
  }
};

Task<> send_parts(Multipart body, BodyWriter& writer) {
  for (const Part& part : body.parts) {
    co_await writer.send(part.head);
    for (std::uint64_t at = 0; at < part.range.size;) {
      const std::size_t size = std::min<std::uint64_t>(part.range.size - at, piece_bytes_max);
      auto read = [file = body.file, offset = part.range.offset + at, size] { return file.read(offset, size); };
      const std::string bytes = co_await offload(std::move(read), abandon_on_cancel);
      co_await writer.send(bytes);
      at += size;
    }
  }
  co_await writer.send(body.end);
}

// 128 random bits: content that has it cannot be made.
std::string make_boundary() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

std::string content_range(ByteRange range, std::uint64_t size) {
  return fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.size - 1, size);
}

void set_multipart(Response& response, const File& file, const std::vector<ByteRange>& ranges, string_view type) {
  const std::string boundary = make_boundary();
  Multipart body{.file = file, .parts = {}, .end = fmt::format("\r\n--{}--\r\n", boundary)};
  for (const ByteRange& range : ranges) {
    body.parts.push_back(
        {.head = fmt::format("{}--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n",
                             body.parts.empty() ? "" : "\r\n", boundary, type, content_range(range, file.size())),
         .range = range});
  }
  response.header("Content-Type", "multipart/byteranges; boundary=" + boundary);
  const std::uint64_t length = body.size();
  auto producer = [body = std::move(body)](BodyWriter& writer) mutable { return send_parts(std::move(body), writer); };
  response.body = StreamedBody{.producer = std::move(producer), .length = length};
}

// --- responses ---

void set_body(Response& response, const FoundFile& found, const std::optional<std::vector<ByteRange>>& ranges) {
  const Literal type = media_type_of(found.name);
  if (ranges && ranges->size() > 1) {
    response.status = 206;
    set_multipart(response, found.file, *ranges, type);
    return;
  }
  response.content_type = type;
  if (!ranges) {
    response.body = FileRange(found.file);
    return;
  }
  const ByteRange range = ranges->front();
  response.status = 206;
  response.header("Content-Range", content_range(range, found.file.size()));
  response.body = FileRange(found.file, range.offset, range.size);
}

Response answer(Request& request, const FoundFile& found, const FolderOptions& options) {
  using std::chrono::floor;
  const auto now = floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto modified = floor<std::chrono::seconds>(found.file.modified());
  // Section 8.8.2.1: not later than Date.
  const Validators validators{.etag = found.etag, .last_modified = std::min(modified, now)};
  const Precondition precondition = check_preconditions(request.fields(), validators, now);
  if (precondition == Precondition::failed) return error_response(request, 412);
  const bool is_immutable = options.is_immutable && options.is_immutable(found.name);
  Response response{
      .headers = {{"ETag", found.etag},
                  {"Cache-Control", is_immutable ? "public, max-age=31536000, immutable" : options.cache_control}}};
  if (response.headers.back().second.empty()) response.headers.pop_back();
  if (found.varies) response.header("Vary", "Accept-Encoding");
  if (precondition == Precondition::not_modified) {  // section 15.4.5 has the fields
    response.status = 304;
    response.content_type = media_type_of(found.name);
    return response;
  }
  // Section 14.2: ranges are for GET alone.
  const auto ranges =
      request.method() == "GET" ? requested_ranges(request.fields(), validators, found.file.size(), now) : std::nullopt;
  if (ranges && ranges->empty()) {
    return error_response(request, 416).header("Content-Range", fmt::format("bytes */{}", found.file.size()));
  }
  response.header("Last-Modified", format_date(*validators.last_modified)).header("Accept-Ranges", "bytes");
  if (!found.encoding.empty()) response.header("Content-Encoding", std::string(found.encoding));
  set_body(response, found, ranges);
  return response;
}

constexpr std::size_t listed_entries_max = 10'000;

struct Served {
  std::string root;
  FolderOptions options;
};

// A client that has only half-closed its side has not left: it gets the response, unless that takes longer.
Task<> until_left(BodyReader& body) {
  co_await body.wait_disconnected();
  co_await sleep(std::chrono::seconds(1));
}

// The response of make(stop), which reads a whole folder: one of few at a time, and only while its client waits for it.
// Nothing: 404.
template <class F>
Task<Response> made_as_bulk_work(F make, Request& request, BodyReader& body) {
  std::optional<Response> response;
  const auto work = [&make, &response]() -> Task<> {
    const auto call = [&make](const std::stop_token& stop) { return make(stop); };
    response = co_await offload(call, as_bulk_work);
  };
  const std::size_t ended = co_await race(work(), until_left(body));
  if (response) co_return std::move(*response);
  if (ended == 0) co_return error_response(request, 404);
  co_return error_response(request, 503).header("Retry-After", "1");
}

Task<Response> list(std::shared_ptr<const Served> served, std::string path, Request& request, BodyReader& body) {
  if (path.ends_with('/')) path.pop_back();
  const auto make = [&](const std::stop_token& stop) -> std::optional<Response> {
    const auto entries = OpenFolder(served->root).list(path, listed_entries_max, stop);
    return entries ? std::optional(served->options.listing(request, *entries)) : std::nullopt;
  };
  co_return co_await made_as_bulk_work(make, request, body);
}

Task<Response> archive(std::shared_ptr<const Served> served, std::string path, std::string format, Request& request,
                       BodyReader& body) {
  const auto make = [&](const std::stop_token& stop) { return archive_of(served->root, path, format, stop); };
  co_return co_await made_as_bulk_work(make, request, body);
}

Task<Response> serve_file(std::shared_ptr<const Served> served, Request& request, BodyReader& body) {
  const FolderOptions& options = served->options;
  std::string path(request.parameter("path"));
  if (has_encoded_slash(request.target()) || !is_servable(path, options)) co_return error_response(request, 404);
  while (!body.at_end()) co_await body.recv();  // a GET may have one, which means nothing
  if (const std::string_view format = request.query("archive"); options.archives && !format.empty()) {
    co_return co_await archive(served, std::move(path), std::string(format), request, body);
  }
  std::string accepted = joined(request.fields(), "Accept-Encoding");
  std::optional<Found> found = find_cached(served->root, options, path, accepted);
  if (!found) {
    auto find = [served, path, accepted = std::move(accepted)] {
      return find_in_folder(served->root, served->options, path, accepted);
    };
    found = co_await offload(std::move(find), abandon_on_cancel);
  }
  if (const auto* const file = std::get_if<FoundFile>(&*found)) co_return answer(request, *file, options);
  if (std::holds_alternative<FoundListing>(*found)) co_return co_await list(served, std::move(path), request, body);
  if (std::holds_alternative<FoundFolder>(*found)) {
    co_return Response::text("308 Permanent Redirect\n", 308).header("Location", with_slash(request));
  }
  co_return error_response(request, 404);
}

}  // namespace

Router folder(std::string path, FolderOptions options) {
  http1::require_safe({"Cache-Control", options.cache_control});
  auto served = std::make_shared<Served>();
  served->root = std::filesystem::absolute(path).string();
  served->options = std::move(options);
  const OpenFolder root(served->root);
  const std::string& fallback = served->options.fallback;
  if (!fallback.empty() && !root.file(fallback)) {
    throw Error(ErrorKind::invalid, "serve the folder", served->root, "it has no file " + fallback);
  }
  Router router;
  router.get("/{path:path}", [served = std::shared_ptr<const Served>(std::move(served))](
                                 Request& request, BodyReader& body) { return serve_file(served, request, body); });
  return router;
}

bool has_hashed_name(string_view path) noexcept {
  string_view name = path.substr(path.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  if (dot == string_view::npos) return false;
  for (name = name.substr(0, dot); !name.empty();) {
    const std::size_t start = name.find_last_of(".-");
    if (start == string_view::npos) return false;  // the name itself is no hash
    const string_view part = name.substr(start + 1);
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto is_letter = [](char c) { return c >= 'a' && c <= 'f'; };
    const bool is_hex = std::ranges::all_of(part, [&](char c) { return is_digit(c) || is_letter(c); });
    if (part.size() >= 8 && is_hex && std::ranges::any_of(part, is_digit) && std::ranges::any_of(part, is_letter)) {
      return true;
    }
    name = name.substr(0, start);
  }
  return false;
}

}  // namespace coax::http
