// The parts of a form are collected one after the other. What a file has above its share of memory is written by other
// threads, in pieces of the same size, while no more is read.
#include "coax/http/form.hpp"

#include <algorithm>
#include <utility>

#include "coax/base/text.hpp"
#include "coax/codec/multipart.hpp"
#include "coax/codec/parameters.hpp"
#include "coax/codec/urlencoded.hpp"
#include "coax/http/form_file_private.hpp"
#include "coax/http/site_private.hpp"
#include "coax/http/status_error.hpp"
#include "coax/task/offload.hpp"

namespace coax::http {

// --- what a form has ---

std::string_view Form::value(std::string_view name) const noexcept {
  const auto found = std::ranges::find(fields_, name, &Pairs::value_type::first);
  return found == fields_.end() ? std::string_view() : found->second;
}

bool Form::has(std::string_view name) const noexcept {
  return std::ranges::find(fields_, name, &Pairs::value_type::first) != fields_.end();
}

std::vector<std::string_view> Form::values(std::string_view name) const {
  std::vector<std::string_view> result;
  for (const auto& [key, value] : fields_) {
    if (key == name) result.emplace_back(value);
  }
  return result;
}

const FormFile* Form::file(std::string_view name) const noexcept {
  const auto found = std::ranges::find(files_, name, &FormFile::name);
  return found == files_.end() ? nullptr : &*found;
}

// --- reading it ---

class FormReader {
 public:
  FormReader(Request& request, BodyReader& body, const FormOptions& options) noexcept
      : request_(request), body_(body), options_(options) {}

  Task<Form> read();

 private:
  Task<> read_urlencoded();
  Task<> read_multipart(std::string_view boundary);
  void begin_part(const MultipartPart& part);
  void add_data(BytesView data);
  [[nodiscard]] bool has_temporary_file() const noexcept { return static_cast<bool>(file_.descriptor_); }
  [[nodiscard]] bool is_above_memory() const noexcept { return unwritten_.size() > options_.memory_bytes_max; }
  Task<> write_out();
  void end_part();
  void count_field_bytes(std::size_t bytes);
  [[noreturn]] void fail(int status, std::string_view reason) const {
    throw StatusError(status, "read a form from", request_.connection().peer_name(), reason);
  }
  [[noreturn]] void fail(const MultipartError& error) const { fail(error.is_limit ? 413 : 400, error.reason); }

  Request& request_;
  BodyReader& body_;
  const FormOptions& options_;
  Form form_;
  std::size_t fields_bytes_ = 0;
  bool is_file_ = false;   // the current part
  bool is_text_ = false;   // in UTF-8
  FormFile file_;          // the current part; name_ is that of a field, too
  std::string unwritten_;  // of its content: a field's, or what is not in the temporary file yet
};

Task<Form> FormReader::read() {
  const auto type = request_.fields().find_only("Content-Type");
  if (!type) fail(415, "a form has one Content-Type");
  const auto parsed = parse_parameters(*type);
  if (!parsed) fail(400, "a malformed Content-Type");
  const bool is_urlencoded = parsed->value == "application/x-www-form-urlencoded";
  if (!is_urlencoded && parsed->value != "multipart/form-data") {
    fail(415, "the body is not a form: send application/x-www-form-urlencoded or multipart/form-data");
  }
  require_no_content_coding(request_, "read a form from");
  if (is_urlencoded) {
    co_await read_urlencoded();
  } else {
    const auto boundary = multipart_boundary(*type);
    if (!boundary) fail(400, boundary.error());
    co_await read_multipart(*boundary);
  }
  co_return std::move(form_);
}

void FormReader::count_field_bytes(std::size_t bytes) {
  if (bytes > options_.fields_bytes_max - fields_bytes_) fail(413, "the fields of the form are too long");
  fields_bytes_ += bytes;
}

Task<> FormReader::read_urlencoded() {
  std::string text;
  while (const BytesView bytes = co_await body_.recv()) {
    count_field_bytes(bytes.size());
    text.append(bytes.text());
  }
  auto fields = parse_urlencoded(text, options_.parts_max);
  if (!fields) fail(413, "the form has too many fields");
  form_.fields_ = std::move(*fields);
}

Task<> FormReader::read_multipart(std::string_view boundary) {
  using Kind = MultipartEvent::Kind;
  MultipartDecoder decoder(boundary, {.parts_max = options_.parts_max});
  while (const BytesView bytes = co_await body_.recv()) {
    decoder.feed(bytes);
    while (true) {
      const auto event = decoder.next();
      if (!event) fail(event.error());
      if (!*event) break;
      if ((*event)->kind == Kind::part) begin_part(decoder.part());
      if ((*event)->kind == Kind::data) add_data((*event)->data);
      const bool is_end = (*event)->kind == Kind::part_end;
      if (is_file_ && (is_end ? has_temporary_file() : is_above_memory())) co_await write_out();
      if (is_end) end_part();
    }
  }
  const auto end = decoder.finish();
  if (!end) fail(end.error());
}

namespace {

// Whether it is text in UTF-8, by its Content-Type: then what is not valid UTF-8 is replaced.
bool is_utf8_text(std::string_view content_type) {
  const auto type = parse_parameters(content_type);
  if (!type || type->value != "text/plain") return false;
  const std::string_view charset = type->find("charset").value_or("utf-8");
  return equal_ignoring_case(charset, "utf-8") || equal_ignoring_case(charset, "us-ascii");
}

}  // namespace

void FormReader::begin_part(const MultipartPart& part) {
  is_file_ = part.filename.has_value();
  is_text_ = !is_file_ && is_utf8_text(part.content_type);
  count_field_bytes(part.name.size() + part.filename.value_or("").size() + part.content_type.size());
  file_ = FormFile();
  file_.name_ = part.name;
  file_.filename_ = part.filename.value_or("");
  file_.content_type_ = part.content_type;
  unwritten_.clear();
}

void FormReader::add_data(BytesView data) {
  if (!is_file_) {
    count_field_bytes(data.size());
  } else if (data.size() > options_.file_bytes_max - file_.size_) {
    fail(413, "a file of the form is too long");
  } else {
    file_.size_ += data.size();
  }
  unwritten_.append(data.text());
}

Task<> FormReader::write_out() {
  auto write = [this] {
    if (!file_.descriptor_) file_.descriptor_ = make_temporary_file(options_.folder);
    write_all(file_.descriptor_, unwritten_);
  };
  co_await offload(write);
  unwritten_.clear();
}

void FormReader::end_part() {
  if (!is_file_) {
    form_.fields_.emplace_back(std::move(file_.name_), is_text_ ? valid_utf8(unwritten_) : std::move(unwritten_));
    return;
  }
  if (file_.filename_.empty() && file_.size_ == 0) return;  // no file was chosen
  if (!has_temporary_file()) {
    file_.memory_ = std::move(unwritten_);
    file_.memory_.shrink_to_fit();
  }
  form_.files_.push_back(std::move(file_));
}

namespace {

// A body that is in memory already.
class MemoryBody final : public BodyReader {
 public:
  explicit MemoryBody(std::string& body) noexcept : body_(body), rest_(body) {}
  Task<BytesView> recv() override { co_return std::exchange(rest_, BytesView()); }
  [[nodiscard]] std::optional<std::uint64_t> length() const noexcept override { return body_.size(); }
  [[nodiscard]] bool at_end() const noexcept override { return rest_.empty(); }
  [[nodiscard]] std::optional<std::string> trailer(std::string_view) const override { return std::nullopt; }
  Task<> wait_disconnected() override { co_return; }

 private:
  std::string& body_;
  BytesView rest_;
};

}  // namespace

Task<Form> read_form(Request& request, BodyReader& body, FormOptions options) {
  FormReader reader(request, body, options);
  co_return co_await reader.read();
}

Task<Form> read_form(Request& request, FormOptions options) {
  MemoryBody body(request.body());
  FormReader reader(request, body, options);
  co_return co_await reader.read();
}

// --- files ---

Task<std::string> FormFile::read() const {
  if (!descriptor_) co_return memory_;
  auto read_it = [this] { return read_all(descriptor_, size_); };
  co_return co_await offload(read_it);
}

Task<> FormFile::save_as(std::string path) const {
  auto save_it = [&] { descriptor_ ? save_file(descriptor_, size_, path) : save_bytes(memory_, path); };
  co_await offload(save_it);
}

}  // namespace coax::http
