// Forms: the fields and files of a request's body, as pages send them (application/x-www-form-urlencoded and
// multipart/form-data).
//
//   app.post("/upload", [](Request& request, BodyReader& body) -> Task<Response> {
//     http::Form form = co_await http::read_form(request, body);
//     for (const http::FormFile& file : form.files()) co_await file.save_as("uploads/" + make_up_a_name());
//     co_return Response::text(form.value("title"));
//   }, {.body_bytes_max = 10_MiB});
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/http/message.hpp"
#include "coax/net/file_descriptor.hpp"

namespace coax::http {

// Above a limit: 413. The limit of the whole body is that of its route: RouteOptions::body_bytes_max, by default 1 MiB.
struct FormOptions {
  std::size_t parts_max = 100;            // fields and files
  std::size_t fields_bytes_max = 1_MiB;   // the names and values of all fields; of urlencoded ones, as they are sent
  std::size_t file_bytes_max = SIZE_MAX;  // of one file; SIZE_MAX: as long as the body may be
  std::size_t memory_bytes_max = 64_KiB;  // of one file; a longer one is in a temporary file
  // For temporary files, which have no name and are gone with the Form. Empty: $TMPDIR, or /tmp. Lifetime: until
  // read_form() has returned.
  std::string_view folder = {};
};

// A file of a form. In memory, or in a temporary file without a name.
class FormFile {
 public:
  // The name of the form's field.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // What the client calls it: a base name, never "." or ".."; may be empty. Untrusted, thus no name for a file of ours:
  // it may be hidden, too long, or that of another upload.
  [[nodiscard]] const std::string& filename() const noexcept { return filename_; }
  // As the client says, which may not be what it is.
  [[nodiscard]] const std::string& content_type() const noexcept { return content_type_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] bool is_in_memory() const noexcept { return !descriptor_; }

  // Returns: the content. A temporary file is read on a thread of offload().
  // Throws: Error of the system.
  [[nodiscard]] Task<std::string> read() const;
  // Stores it under this name, on a thread of offload(). A file that exists is never replaced; no other process finds a
  // part of the file. It is not synced to the disk.
  // Throws: Error(EEXIST) and others of the system.
  // Cancelled: it is stored all the same, unless that has not begun.
  [[nodiscard]] Task<> save_as(std::string path) const;

 private:
  friend class FormReader;
  FormFile() = default;

  std::string name_;
  std::string filename_;
  std::string content_type_;
  std::string memory_;
  FileDescriptor descriptor_;
  std::uint64_t size_ = 0;
};

// Lookups are linear in the number of fields, so that no choice of names makes one slow.
class Form {
 public:
  // The first field of that name; empty when there is none. UTF-8, unless the client said otherwise in the part's
  // Content-Type.
  // Lifetime: that of the form.
  [[nodiscard]] std::string_view value(std::string_view name) const noexcept;
  [[nodiscard]] bool has(std::string_view name) const noexcept;
  // All of that name, in their order.
  [[nodiscard]] std::vector<std::string_view> values(std::string_view name) const;
  [[nodiscard]] const Pairs& fields() const noexcept { return fields_; }
  // Without those that a page sends for an input without a chosen file.
  [[nodiscard]] const std::vector<FormFile>& files() const noexcept { return files_; }
  // The first one of that name; null when there is none.
  [[nodiscard]] const FormFile* file(std::string_view name) const noexcept;

 private:
  friend class FormReader;
  Pairs fields_;
  std::vector<FormFile> files_;
};

// Reads the body to its end.
// Throws: StatusError: 400 for a malformed body, 413 above a limit, 415 for other types of body and for a
// Content-Encoding; Error of the system when a temporary file cannot be written; else as BodyReader::recv().
// Cancelled: what was read is dropped.
Task<Form> read_form(Request& request, BodyReader& body, FormOptions options = {});
// The same for a handler without a BodyReader, whose body is in memory already: for short forms.
Task<Form> read_form(Request& request, FormOptions options = {});

}  // namespace coax::http
