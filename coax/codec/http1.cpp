// The grammar of a head is Boost.Beast's basic_parser's; what it lets pass is refused here, and bodies are framed here.
//
// Beast sees a head only when it is complete: then what it answers cannot depend on how the bytes were cut, and it
// reads them once. Until then each line is only searched for its end, which is enough to keep the limits and to refuse
// a bare LF or a folded field at once. Beast's chunked body is not used: it buffers nothing but asks for its framing
// bytes again and again, sets no limit on them, and asserts when a body that is empty comes byte by byte.
#include "coax/codec/http1.hpp"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <limits>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"

namespace coax::http1 {

namespace {

namespace beast = boost::beast::http;
using Text = boost::beast::string_view;
using Code = boost::system::error_code;

constexpr WordChars is_host_char("-._~!$&'()*+,;=%:[]");  // RFC 3986, sections 3.2.2 and 3.2.3

std::string_view view(Text text) noexcept { return {text.data(), text.size()}; }

// Reads one complete head.
template <bool is_request>
class HeadReader final : public beast::basic_parser<is_request> {
 public:
  explicit HeadReader(Head& head) noexcept : head_(head) {
    this->skip(true);
    this->header_limit(std::numeric_limits<std::uint32_t>::max());
  }

  std::optional<Failure> read(std::string_view raw) {
    Code code;
    const std::size_t taken = this->put(boost::asio::buffer(raw), code);
    if (failure_) return failure_;
    if (code == beast::error::bad_version && has_other_version(raw)) return Failure{505, "a version not spoken here"};
    for (const auto error : {beast::error::bad_method, beast::error::bad_target, beast::error::bad_version,
                             beast::error::bad_status, beast::error::bad_reason}) {
      if (code == error) return Failure{400, "a malformed start line"};
    }
    if (code || taken != raw.size()) return Failure{400, "a malformed field"};
    return check_head();
  }

 private:
  void on_request_impl(beast::verb, Text method, Text target, int version, Code& code) override {
    head_.method = view(method);
    head_.target = view(target);
    head_.version_minor = version - 10;
    const bool ascii = std::ranges::none_of(head_.target, [](char c) { return static_cast<unsigned char>(c) > 0x7F; });
    if (!ascii) fail({400, "a target that is not ASCII"}, code);
  }

  void on_response_impl(int status, Text reason, int version, Code& code) override {
    head_.status = status;
    head_.reason = view(reason);
    head_.version_minor = version - 10;
    if (status < 100 || status > 599) fail({400, "a status that is none"}, code);
  }

  void on_field_impl(beast::field field, Text name, Text value, Code& code) override {
    head_.fields.push_back({view(name), view(value)});
    switch (field) {
      case beast::field::content_length: return read_content_length(view(value), code);
      case beast::field::transfer_encoding: return read_transfer_encoding(view(value), code);
      case beast::field::connection: return read_connection(view(value));
      case beast::field::host: return read_host(view(value), code);
      case beast::field::expect: return read_expect(view(value), code);
      default: return;
    }
  }

  void on_header_impl(Code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
  std::size_t on_body_impl(Text, Code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, Text, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text, Code&) override { return 0; }
  void on_finish_impl(Code&) override {}

  // Beast takes the same length twice, and a list of equal ones.
  void read_content_length(std::string_view value, Code& code) {
    if (head_.content_length) return fail({400, "more than one Content-Length"}, code);
    std::uint64_t length = 0;
    const char* const value_end = value.data() + value.size();
    const auto [end, error] = std::from_chars(value.data(), value_end, length);
    if (error != std::errc{} || end != value_end) return fail({400, "a malformed Content-Length"}, code);
    head_.content_length = length;
  }

  // Beast takes any coding, and then reads a body that is not chunked. It refuses a second one, and a length beside it.
  void read_transfer_encoding(std::string_view value, Code& code) {
    if (!equal_ignoring_case(value, "chunked")) return fail({501, "a Transfer-Encoding other than chunked"}, code);
    head_.chunked = true;
  }

  void read_connection(std::string_view value) {
    for_each_word(value, [this](std::string_view word) {
      says_close_ = says_close_ || equal_ignoring_case(word, "close");
      says_keep_alive_ = says_keep_alive_ || equal_ignoring_case(word, "keep-alive");
    });
  }

  // Beast does not look at it.
  void read_host(std::string_view value, Code& code) {
    if (std::exchange(saw_host_, true)) return fail({400, "more than one Host"}, code);
    if (!std::ranges::all_of(value, is_host_char)) fail({400, "a malformed Host"}, code);
  }

  void read_expect(std::string_view value, Code& code) {
    const bool known = !is_request || equal_ignoring_case(value, "100-continue");
    if (!known) fail({417, "an unknown expectation"}, code);
  }

  // What only the whole head tells.
  std::optional<Failure> check_head() {
    if (head_.chunked && head_.version_minor == 0) return Failure{400, "Transfer-Encoding in HTTP/1.0"};
    if (is_request && head_.version_minor == 1 && !saw_host_) return Failure{400, "no Host"};
    head_.keep_alive = !says_close_ && (says_keep_alive_ || head_.version_minor == 1);
    return std::nullopt;
  }

  // The start line has a well-formed HTTP-version where it belongs, and it is none that is spoken here.
  static bool has_other_version(std::string_view raw) noexcept {
    const std::string_view line = raw.substr(0, raw.find('\r'));
    const std::string_view version = is_request ? line.substr(line.rfind(' ') + 1) : line.substr(0, line.find(' '));
    return version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) && version[6] == '.' &&
           is_digit(version[7]) && version != "HTTP/1.0" && version != "HTTP/1.1";
  }
  static bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

  void fail(Failure failure, Code& code) {
    failure_ = failure;
    code = beast::error::bad_value;  // any, to make Beast stop
  }

  Head& head_;
  std::optional<Failure> failure_;
  bool saw_host_ = false;
  bool says_close_ = false;
  bool says_keep_alive_ = false;
};

[[noreturn]] void refuse_to_write(std::string_view what, std::string_view text, std::string_view reason) {
  throw Error(ErrorKind::invalid, what, printable(text), reason);
}

void require_safe(std::span<const Field> fields) {
  for (const auto& [name, value] : fields) {
    if (!is_token(name)) refuse_to_write("write the field", name, "its name is not a token");
    if (!is_field_value(value)) refuse_to_write("write the field", name, "its value has control characters");
  }
}

void append_fields(std::string& out, std::span<const Field> fields) {
  for (const auto& [name, value] : fields) out.append(name).append(": ").append(value).append("\r\n");
  out.append("\r\n");
}

}  // namespace

std::optional<std::string_view> Head::find(std::string_view name) const noexcept {
  for (const Field& field : fields) {
    if (equal_ignoring_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

bool Head::has_token(std::string_view name, std::string_view token) const noexcept {
  bool found = false;
  for (const Field& field : fields) {
    if (!equal_ignoring_case(field.name, name)) continue;
    for_each_word(field.value, [&](std::string_view word) { found = found || equal_ignoring_case(word, token); });
  }
  return found;
}

std::expected<std::size_t, Failure> Parser::feed(Bytes bytes) {
  Bytes rest = bytes;
  while (rest && state_ != State::failed && state_ != State::done) {
    rest = rest.from(state_ == State::head ? take_head(rest) : take_body(rest));
  }
  if (failure_) return std::unexpected(*failure_);
  return bytes.size() - rest.size();
}

// Takes bytes up to the end of the head.
std::size_t Parser::take_head(Bytes bytes) {
  const std::size_t held = raw_.size();
  const auto at = [&](std::size_t index) { return index < held ? raw_[index] : bytes[index - held]; };
  std::size_t taken = 0;
  bool complete = false;
  while (!complete && taken < bytes.size()) {
    const std::size_t line_end = bytes.text().find('\n', taken);
    taken = std::min(line_end, bytes.size() - 1) + 1;
    const std::size_t end = held + taken;
    check_limits(end);
    if (line_end != std::string_view::npos && state_ == State::head) {
      if (end < 2 || at(end - 2) != '\r') fail(400, "a line that does not end with CRLF");
      if (lines_ != 0 && (at(line_start_) == ' ' || at(line_start_) == '\t')) fail(400, "a folded field");
      complete = end - 2 == line_start_;
      line_start_ = end;
      ++lines_;
    }
    if (state_ == State::failed) return taken;
  }
  raw_.append(bytes.first(taken));
  if (complete) end_head();
  return taken;
}

// head_bytes: that came so far.
void Parser::check_limits(std::size_t head_bytes) noexcept {
  if (lines_ > limits_.fields_max + 1) fail(431, "too many fields");
  if (lines_ == 0 && head_bytes > limits_.start_line_bytes_max) fail(414, "a start line that is too long");
  if (head_bytes > limits_.head_bytes_max) fail(431, "a head that is too long");
}

void Parser::end_head() {
  if (lines_ == 1 && kind_ == Kind::request && !std::exchange(skipped_line_, true)) {
    raw_.clear();  // an empty line before a request is ignored (RFC 9112, section 2.2)
    line_start_ = lines_ = 0;
    return;
  }
  const auto wrong = kind_ == Kind::request ? HeadReader<true>(head_).read(raw_) : HeadReader<false>(head_).read(raw_);
  if (wrong) return fail(wrong->status, wrong->reason);
  frame_body();
}

// Where the body ends (RFC 9112, section 6.3).
void Parser::frame_body() {
  state_ = State::done;
  if (!may_have_body()) return;
  if (head_.chunked) {
    state_ = State::chunked_body;
  } else if (head_.content_length) {
    if (*head_.content_length > limits_.body_bytes_max) return fail(413, "a body that is too long");
    if (*head_.content_length != 0) state_ = State::sized_body;
  } else if (kind_ != Kind::request) {
    state_ = State::body_until_end;
    head_.keep_alive = false;
  }
}

bool Parser::may_have_body() const noexcept {
  if (kind_ == Kind::request) return true;
  if (kind_ == Kind::response_to_head || (kind_ == Kind::response_to_connect && head_.status / 100 == 2)) return false;
  return head_.status / 100 != 1 && head_.status != 204 && head_.status != 304;
}

std::size_t Parser::take_body(Bytes bytes) {
  if (state_ == State::chunked_body) return take_chunks(bytes);
  if (state_ == State::sized_body) {
    bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), *head_.content_length - body_bytes_));
  }
  body_bytes_ += bytes.size();
  if (body_bytes_ > limits_.body_bytes_max) {
    fail(413, "a body that is too long");
    return bytes.size();
  }
  body_.append(bytes);
  if (state_ == State::sized_body && body_bytes_ == *head_.content_length) state_ = State::done;
  return bytes.size();
}

std::size_t Parser::take_chunks(Bytes bytes) {
  Bytes rest = bytes;
  const auto data = chunks_.next(rest);
  if (!data) {
    fail(400, data.error());
  } else if (chunks_.announced_bytes() > limits_.body_bytes_max) {
    fail(413, "a body that is too long");
  } else {
    body_.append(*data);
    body_bytes_ += data->size();
    if (chunks_.done()) state_ = State::done;
  }
  return bytes.size() - rest.size();
}

void Parser::fail(int status, std::string_view reason) noexcept {
  if (failure_) return;
  failure_ = Failure{kind_ == Kind::request ? status : 502, reason};
  state_ = State::failed;
}

void Parser::reset(Kind kind) noexcept {
  raw_.clear();
  head_.fields.clear();
  head_ = Head{.fields = std::move(head_.fields)};
  body_ = {};
  body_bytes_ = 0;
  chunks_ = {};
  failure_.reset();
  line_start_ = lines_ = 0;
  skipped_line_ = false;
  kind_ = kind;
  state_ = State::head;
}

bool RequestParser::expects_continue() const noexcept {
  return head_done() && !done() && body_bytes_ == 0 && head().version_minor == 1 && head().find("Expect").has_value();
}

ResponseParser::ResponseParser(std::string_view request_method, const Limits& limits) noexcept
    : Parser(kind_of_response(request_method), limits) {}

std::expected<void, Failure> ResponseParser::finish() {
  if (state_ == State::body_until_end) state_ = State::done;
  if (state_ != State::done) fail(502, "a response that is cut short");
  if (failure_) return std::unexpected(*failure_);
  return {};
}

void ResponseParser::reset(std::string_view request_method) noexcept {
  Parser::reset(kind_of_response(request_method));
}

ResponseParser::Kind ResponseParser::kind_of_response(std::string_view request_method) noexcept {
  if (request_method == "HEAD") return Kind::response_to_head;
  return request_method == "CONNECT" ? Kind::response_to_connect : Kind::response;
}

std::string_view reason_phrase(int status) noexcept {
  const auto known = beast::int_to_status(static_cast<unsigned>(status));
  return known == beast::status::unknown ? std::string_view() : view(beast::obsolete_reason(known));
}

void append_response_head(std::string& out, int status, std::span<const Field> fields) {
  const bool known = status >= 100 && status <= 599;
  if (!known) refuse_to_write("write the status", std::to_string(status), "it is not of 100 to 599");
  require_safe(fields);
  out.append("HTTP/1.1 ").append(std::to_string(status)).append(" ").append(reason_phrase(status)).append("\r\n");
  append_fields(out, fields);
}

void append_request_head(std::string& out, std::string_view method, std::string_view target,
                         std::span<const Field> fields) {
  const bool visible = std::ranges::all_of(target, [](char c) { return c > ' ' && c < '\x7F'; });
  if (!is_token(method)) refuse_to_write("write the method", method, "it is not a token");
  if (target.empty() || !visible) refuse_to_write("write the target", target, "it is empty or not all visible ASCII");
  require_safe(fields);
  out.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
  append_fields(out, fields);
}

}  // namespace coax::http1
