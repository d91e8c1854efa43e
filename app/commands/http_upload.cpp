// The folder is opened by the kernel beneath the root, and its files are reached through its descriptor, so that no
// renamed folder and no symbolic link leads elsewhere.
#include "app/commands/http_upload.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <vector>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/http/form.hpp"
#include "coax/http/negotiate.hpp"
#include "coax/http/status_error.hpp"
#include "coax/http/value.hpp"
#include "coax/net/file_descriptor.hpp"
#include "coax/program/new_file.hpp"
#include "coax/task/offload.hpp"

namespace coax::app {

namespace {

using http::Request;
using http::Response;
using std::string_view;

constexpr std::size_t files_max = 100;  // of one request

bool wants_json(const Request& request) {
  return http::preferred(request.header("Accept"), {"text/html", "application/json"}) == "application/json";
}

Response refusal(const Request& request, int status, const std::string& reason) {
  if (!wants_json(request)) return Response::text(reason + "\n", status);
  return Response::json(http::Value{{"error", reason}}.to_json() + "\n", status);
}

// Returns: none when there is no such folder, or it is hidden.
FileDescriptor open_folder(const std::string& root, const std::string& path) {
  const bool is_hidden = path.starts_with('.') || path.contains("/.") || path.contains('\0');
  const FileDescriptor top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) throw Error(errno, "open the folder", root);
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  if (is_hidden) return {};
  const long opened = ::syscall(SYS_openat2, top.native(), path.empty() ? "." : path.c_str(), &how, sizeof(how));
  if (opened < 0 && (errno == EMFILE || errno == ENFILE)) throw Error(errno, "open the folder", root + "/" + path);
  return FileDescriptor(static_cast<int>(opened));
}

// What a person can do about it.
std::pair<int, std::string> explain(const Error& error, const std::string& name) {
  if (error.code() == std::errc::file_exists) return {409, fmt::format("{} exists already", name)};
  if (http::is_out_of_space(error)) return {507, "the disk is full"};
  const bool is_forbidden =
      error.code() == std::errc::permission_denied || error.code() == std::errc::read_only_file_system;
  if (is_forbidden) return {403, "the server may not write into this folder"};
  if (http::is_out_of_descriptors(error)) return {503, "the server has too many files open; try again"};
  if (error.code() == std::errc::filename_too_long) return {400, fmt::format("the name {} is too long", name)};
  return {500, "the file cannot be stored; the server's log has the reason"};
}

// All names are checked before the first file is stored.
std::optional<std::string> wrong_name(const http::Form& form) {
  std::vector<string_view> names;
  for (const http::FormFile& file : form.files()) {
    if (file.filename().empty()) return "a file has no name";
    if (!is_plain_file_name(file.filename())) {
      return fmt::format("{} cannot be a file's name here", printable(BytesView(file.filename()), 100));
    }
    if (std::ranges::count(names, file.filename()) != 0) {
      return fmt::format("two files have the name {}; the folders in front of a name are left out", file.filename());
    }
    names.push_back(file.filename());
  }
  return names.empty() ? std::optional<std::string>("there is no file in the form") : std::nullopt;
}

// Of files, for both forms of a response.
struct Names {
  http::Value::List list;
  std::string text;  // "a, b"; "none"

  explicit Names(std::span<const http::FormFile> files) : text(files.empty() ? "none" : "") {
    for (const http::FormFile& file : files) {
      const std::string name = printable(BytesView(file.filename()), 255);
      text.append(list.empty() ? "" : ", ").append(name.empty() ? "(no name)" : name);
      list.push_back(http::Value(name));
    }
  }
};

// Of an upload that ended at a file: it says what the client has to send again.
Response partial_refusal(const Request& request, int status, const std::string& reason, const http::Form& form,
                         std::size_t stored_count) {
  const std::span files(form.files());
  Names stored(files.first(stored_count)), others(files.subspan(stored_count));
  Response response =
      wants_json(request)
          ? Response::json(http::Value{{"error", reason},
                                       {"stored", http::Value::list(std::move(stored.list))},
                                       {"not_stored", http::Value::list(std::move(others.list))}}
                                   .to_json() +
                               "\n",
                           status)
          : Response::text(fmt::format("{}\nstored: {}\nnot stored: {}\n", reason, stored.text, others.text), status);
  if (status == 503) response.header("Retry-After", "1");
  return response;
}

Task<Response> store(const Request& request, const http::Form& form, const std::string& folder) {
  std::size_t count = 0;
  for (const http::FormFile& file : form.files()) {
    const std::string name = printable(BytesView(file.filename()), 255);
    try {
      co_await file.save_as(folder + "/" + file.filename());
    } catch (const Error& error) {
      const auto [status, reason] = explain(error, name);
      if (count == 0 && status == 503) throw;  // the server logs it
      if (status >= 500) log::error("an upload was not stored: {}", error.what());
      co_return partial_refusal(request, status, reason, form, count);
    }
    log::info("stored {}{}, {}", request.path(), name, format_size(file.size()));
    ++count;
  }
  if (!wants_json(request)) co_return Response{.status = 303}.header("Location", "./");
  Names stored(form.files());
  co_return Response::json(http::Value{{"stored", http::Value::list(std::move(stored.list))}}.to_json() + "\n", 201);
}

Task<Response> upload(std::shared_ptr<const UploadOptions> options, Request& request, http::BodyReader& body) {
  std::string path(request.parameter("path"));
  if (!request.path().ends_with('/')) co_return refusal(request, 404, "files are uploaded to a folder");
  while (path.ends_with('/')) path.pop_back();
  auto open_it = [options, path] { return open_folder(options->root, path); };
  const FileDescriptor folder = co_await offload(std::move(open_it), abandon_on_cancel);
  if (!folder) co_return refusal(request, 404, "there is no such folder");
  const std::string where = fmt::format("/proc/self/fd/{}", folder.native());
  std::optional<Response> refused;
  try {
    const http::FormOptions limits{.parts_max = files_max, .folder = where};
    const http::Form form = co_await http::read_form(request, body, limits);
    if (const auto wrong = wrong_name(form)) co_return partial_refusal(request, 400, *wrong, form, 0);
    co_return co_await store(request, form, where);
  } catch (const Error& error) {
    const auto [status, reason] = explain(error, "it");
    if (status == 500 || status == 503) throw;  // such as a body that is malformed or too long
    log::error("an upload was not stored: {}", error.what());
    refused = refusal(request, status, reason);
  }
  co_return std::move(*refused);
}

}  // namespace

void add_uploads(http::Router& router, UploadOptions options) {
  const std::size_t bytes_max = options.bytes_max;
  auto shared = std::make_shared<const UploadOptions>(std::move(options));
  router.post("/{path:path}",
              [shared](Request& request, http::BodyReader& body) { return upload(shared, request, body); },
              {.body_bytes_max = bytes_max});
}

}  // namespace coax::app
