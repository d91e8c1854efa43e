// Parsing of heads and framing of bodies.
//
// A head that arrives complete is parsed in place, once. Any other head takes the slow path: each line is scanned for
// its end as it arrives, which suffices to enforce the limits and to refuse a bare LF or a folded field at once; the
// head is parsed when it is complete. All other errors are detected only there, so that they do not depend on how the
// bytes were split.
#include "coax/codec/http1.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"
#include "coax/codec/url.hpp"

namespace coax::http1 {

namespace {

constexpr WordChars is_plain_host_char("-._~");

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }
// Whether a name, which is a token, equals `lower`, which has only small letters and '-'.
template <std::size_t n>
bool is(std::string_view token, const char (&lower)[n]) noexcept {
  if (token.size() != n - 1) return false;
  unsigned differs = 0;
  for (std::size_t index = 0; index < n - 1; ++index) {
    differs |= static_cast<unsigned>((token[index] | 0x20) ^ lower[index]);
  }
  return differs == 0;
}

// Why a head is refused.
enum class Wrong : std::uint8_t {
  start_line,
  status,
  version,
  field,
  two_hosts,
  host,
  no_host,
  expectation,
  two_lengths,
  length,
  length_and_coding,
  two_codings,
  coding,
  last_coding,
  coding_in_1_0,
};

Failure failure_of(Wrong what) noexcept {
  switch (what) {
    case Wrong::start_line: return {400, "a malformed start line"};
    case Wrong::status: return {400, "an invalid status"};
    case Wrong::version: return {505, "an unsupported version"};
    case Wrong::field: return {400, "a malformed field"};
    case Wrong::two_hosts: return {400, "more than one Host"};
    case Wrong::host: return {400, "a malformed Host"};
    case Wrong::no_host: return {400, "no Host"};
    case Wrong::expectation: return {417, "an unknown expectation"};
    case Wrong::two_lengths: return {400, "more than one Content-Length"};
    case Wrong::length: return {400, "a malformed Content-Length"};
    case Wrong::length_and_coding: return {400, "both Transfer-Encoding and Content-Length"};
    case Wrong::two_codings: return {400, "chunked more than once in Transfer-Encoding"};
    case Wrong::coding: return {501, "a Transfer-Encoding other than chunked"};
    case Wrong::last_coding: return {400, "a Transfer-Encoding whose last coding is not chunked"};
    case Wrong::coding_in_1_0: return {400, "Transfer-Encoding in HTTP/1.0"};
  }
  return {400, "?"};
}

// Parses the head at the start of a text. Its functions get the position where they begin and return where they ended;
// null when they failed.
//
// The text ends with LF, which no element may contain: scanning for the end of an element needs no other bound.
class HeadReader {
 public:
  HeadReader(Head& head, const Limits& limits, bool is_request) noexcept
      : head_(head), limits_(limits), is_request_(is_request) {}

  // Returns: the number of bytes of the head; 0: it is incomplete, above a limit, or wrong().
  std::size_t read(std::string_view text) {
    if (text.empty()) return 0;  // perhaps a null pointer
    const char* const begin = text.data();
    const void* const last_lf = memrchr(begin, '\n', text.size());
    if (last_lf == nullptr) return 0;
    end_ = static_cast<const char*>(last_lf) + 1;
    const char* at = is_request_ ? read_request_line(begin) : read_status_line(begin);
    if (at == nullptr || at - begin > static_cast<std::ptrdiff_t>(limits_.start_line_bytes_max)) return 0;
    wrong_ = Wrong::field;
    while (at != end_ && *at != '\r') {
      at = read_field(at);
      if (at == nullptr) return 0;
    }
    if (end_ - at < 2 || at[1] != '\n' || head_.fields.size() > limits_.fields_max || !check()) return 0;
    return static_cast<std::size_t>(at + 2 - begin);
  }
  [[nodiscard]] Wrong wrong() const noexcept { return wrong_; }

 private:
  // RFC 9112, section 3. The target may be any visible ASCII: its user knows the valid forms.
  const char* read_request_line(const char* at) {
    const char* const method = at;
    while (is_token_char(*at)) ++at;
    if (at == method || *at != ' ') return nullptr;
    head_.method = {method, at};
    const char* const target = ++at;
    at = find_outside<'!', true>(at, end_);
    if (at == target || at == end_ || *at != ' ') return nullptr;
    head_.target = {target, at};
    return skip_crlf(read_version(at + 1, '\r'));
  }

  // RFC 9112, section 4. Servers without a reason phrase often omit the space before it, too.
  const char* read_status_line(const char* at) {
    at = read_version(at, ' ');
    if (at == nullptr || end_ - at < 5 || (at[4] != ' ' && at[4] != '\r')) return nullptr;
    const auto [digits_end, error] = std::from_chars(at + 1, at + 4, head_.status);
    if (error != std::errc{} || digits_end != at + 4) return nullptr;
    if (head_.status < 100 || head_.status > 599) return refuse(Wrong::status), nullptr;
    const char* const reason = at[4] == ' ' ? at + 5 : at + 4;
    at = find_control(reason, end_);
    head_.reason = {reason, at};
    return skip_crlf(at);
  }

  const char* read_version(const char* at, char next) {
    if (end_ - at < 9 || std::memcmp(at, "HTTP/", 5) != 0 || at[8] != next) return nullptr;
    if (!is_digit(at[5]) || at[6] != '.' || !is_digit(at[7])) return nullptr;
    if (at[5] != '1') return refuse(Wrong::version), nullptr;
    head_.version_minor = std::min(at[7] - '0', 1);  // RFC 9110, section 2.5: a higher one counts as 1.1
    return at + 8;
  }

  [[nodiscard]] const char* skip_crlf(const char* at) const noexcept {
    return at != nullptr && end_ - at >= 2 && at[0] == '\r' && at[1] == '\n' ? at + 2 : nullptr;
  }

  // RFC 9112, section 5.
  const char* read_field(const char* at) {
    const char* const name_begin = at;
    while (is_token_char(*at)) ++at;
    if (at == name_begin || *at != ':') return nullptr;
    const std::string_view name(name_begin, at);
    do ++at;
    while (is_blank(*at));
    const char* const value_begin = at;
    at = find_control(at, end_);
    const char* value_end = at;
    while (value_end != value_begin && is_blank(value_end[-1])) --value_end;
    const std::string_view value(value_begin, value_end);
    at = skip_crlf(at);
    if (at == nullptr || !read_known(name, value)) return nullptr;
    head_.fields.emplace_back(name, value);
    return at;
  }

  // The fields that determine the framing. False: an invalid value.
  bool read_known(std::string_view name, std::string_view value) {
    switch (name.size()) {
      case 4: return !is(name, "host") || read_host(value);
      case 6: return !is(name, "expect") || read_expect(value);
      case 10: return !is(name, "connection") || read_connection(value);
      case 14: return !is(name, "content-length") || read_content_length(value);
      case 16: return !is(name, "proxy-connection") || is_list_of_tokens(value);
      case 17: return !is(name, "transfer-encoding") || read_transfer_encoding(value);
      default: return true;
    }
  }

  bool read_host(std::string_view value) {
    if (std::exchange(saw_host_, true)) return refuse(Wrong::two_hosts);
    const char* at = value.data();
    while (is_plain_host_char(*at)) ++at;  // a byte follows it, at least the CR
    return at == value.data() + value.size() || is_host_and_port(value) || refuse(Wrong::host);
  }

  bool read_expect(std::string_view value) {
    const bool known = !is_request_ || equal_ignoring_case(value, "100-continue");
    return known || refuse(Wrong::expectation);
  }

  bool read_connection(std::string_view value) {
    for_each_word(value, [this](std::string_view word) {
      says_close_ = says_close_ || equal_ignoring_case(word, "close");
      says_keep_alive_ = says_keep_alive_ || equal_ignoring_case(word, "keep-alive");
    });
    return is_list_of_tokens(value);
  }

  static bool is_list_of_tokens(std::string_view value) {
    bool good = true;
    for_each_word(value, [&good](std::string_view word) { good = good && is_token(word); });
    return good;
  }

  bool read_content_length(std::string_view value) {
    if (has_codings_) return refuse(Wrong::length_and_coding);
    if (head_.content_length) return refuse(Wrong::two_lengths);
    std::uint64_t length = 0;
    const char* const value_end = value.data() + value.size();
    const auto [end, error] = std::from_chars(value.data(), value_end, length);
    if (error != std::errc{} || end != value_end) return refuse(Wrong::length);
    head_.content_length = length;
    return true;
  }

  bool read_transfer_encoding(std::string_view value) {
    if (head_.content_length) return refuse(Wrong::length_and_coding);
    has_codings_ = true;
    is_plain_chunked_ = equal_ignoring_case(value, "chunked");
    for_each_word(value, [this](std::string_view word) {
      ends_chunked_ = equal_ignoring_case(word, "chunked");
      ++(ends_chunked_ ? chunked_codings_ : other_codings_);
    });
    return true;
  }

  // The checks that need the whole head.
  bool check() {
    if (has_codings_ && !check_codings()) return false;
    if (is_request_ && head_.version_minor == 1 && !saw_host_) return refuse(Wrong::no_host);
    head_.keep_alive = !says_close_ && (says_keep_alive_ || head_.version_minor == 1);
    return true;
  }

  // RFC 9112, sections 6.1 and 6.3: the end of a body whose last coding is not chunked cannot be determined.
  bool check_codings() {
    if (head_.version_minor == 0) return refuse(Wrong::coding_in_1_0);
    if (chunked_codings_ > 1) return refuse(Wrong::two_codings);
    if (!ends_chunked_) return refuse(Wrong::last_coding);
    if (other_codings_ != 0) return refuse(Wrong::coding);
    if (!is_plain_chunked_) return refuse(Wrong::last_coding);  // with empty elements, which some parsers ignore
    head_.chunked = true;
    return true;
  }

  bool refuse(Wrong what) noexcept {
    wrong_ = what;
    return false;
  }

  Head& head_;
  const Limits& limits_;
  const char* end_ = nullptr;
  Wrong wrong_ = Wrong::start_line;
  bool is_request_;
  bool saw_host_ = false;
  bool has_codings_ = false;
  bool ends_chunked_ = false;
  bool is_plain_chunked_ = false;
  unsigned chunked_codings_ = 0;
  unsigned other_codings_ = 0;
  bool says_close_ = false;
  bool says_keep_alive_ = false;
};

}  // namespace

std::expected<void, Failure> Parser::limit_body(std::size_t bytes_max) noexcept {
  limits_.body_bytes_max = bytes_max;
  const std::uint64_t announced = std::max(head_.content_length.value_or(0), chunks_.announced_bytes());
  if (std::max(announced, body_bytes_) > bytes_max) fail_body_too_long();
  if (failure_) return std::unexpected(*failure_);
  return {};
}

std::expected<std::size_t, Failure> Parser::feed(BytesView bytes) {
  const auto taken = feed_lent(bytes);
  keep();
  return taken;
}

std::expected<std::size_t, Failure> Parser::feed_lent(BytesView bytes) {
  BytesView rest = bytes;
  if (state_ == State::head && raw_.empty()) {
    const std::string_view text = bytes.text().substr(0, limits_.head_bytes_max);
    lent_ = text.substr(0, read_head(text, false));
    if (state_ == State::done) return lent_.size();
    rest = bytes.from(lent_.size());
  }
  while (rest && state_ != State::failed && state_ != State::done) {
    rest = rest.from(state_ == State::head ? take_head(rest) : take_body(rest));
  }
  if (failure_) return std::unexpected(*failure_);
  return bytes.size() - rest.size();
}

void Parser::keep() {
  if (lent_.empty()) return;
  raw_.assign(lent_);
  const auto move = [this](std::string_view& text) {
    if (!text.empty()) text = {raw_.data() + (text.data() - lent_.data()), text.size()};
  };
  for (std::string_view* text : {&head_.method, &head_.target, &head_.reason}) move(*text);
  for (Field& field : head_.fields) {
    move(field.name);
    move(field.value);
  }
  lent_ = {};
}

// Parses the head at the start of the text if it is complete and well-formed. Otherwise returns 0 and, when `is_whole`,
// fails.
std::size_t Parser::read_head(std::string_view text, bool is_whole) {
  head_.fields.clear();
  head_.content_length.reset();
  head_.chunked = false;
  HeadReader reader(head_, limits_, kind_ == Kind::request);
  const std::size_t taken = reader.read(text);
  if (taken != 0) {
    frame_body();
  } else if (is_whole) {
    fail(failure_of(reader.wrong()));
  }
  return taken;
}

// Consumes bytes up to the end of the head.
std::size_t Parser::take_head(BytesView bytes) {
  const std::size_t held = raw_.size();
  const auto at = [&](std::size_t index) { return index < held ? raw_[index] : bytes[index - held]; };
  std::size_t taken = 0;
  bool complete = false;
  if (held == 0 && lines_ == 0 && !is_token_char(bytes[0]) && bytes[0] != '\r' && bytes[0] != '\n') {
    fail({400, "not HTTP"});  // at once: its first line may never end
    keep_start(bytes);
    return 1;
  }
  while (!complete && taken < bytes.size()) {
    const std::size_t line_end = bytes.text().find('\n', taken);
    taken = std::min(line_end, bytes.size() - 1) + 1;
    const std::size_t end = held + taken;
    check_limits(end);
    if (line_end != std::string_view::npos && state_ == State::head) {
      if (end < 2 || at(end - 2) != '\r') fail({400, "a line that does not end with CRLF"});
      if (lines_ != 0 && (at(line_start_) == ' ' || at(line_start_) == '\t')) fail({400, "a folded field"});
      complete = end - 2 == line_start_;
      if (lines_ == 0 && !complete) check_start_line(bytes.first(taken));
      line_start_ = end;
      ++lines_;
    }
    if (state_ == State::failed) {
      keep_start(bytes.first(taken));
      return taken;
    }
  }
  raw_.append(bytes.first(taken));
  if (complete) end_head();
  return taken;
}

// For start_line().
void Parser::keep_start(BytesView bytes) {
  constexpr std::size_t kept_bytes_max = 256;
  if (raw_.size() < kept_bytes_max) raw_.append(bytes.first(std::min(bytes.size(), kept_bytes_max - raw_.size())));
}

// At once: a client of another protocol may wait for an answer to its first line. `last`: its bytes that are not in
// raw_.
void Parser::check_start_line(BytesView last) {
  const std::string line = raw_ + last.string();
  if (line.find("HTTP/") == std::string::npos) fail({400, "a malformed start line"});
}

// head_bytes: received so far.
void Parser::check_limits(std::size_t head_bytes) noexcept {
  if (lines_ > limits_.fields_max + 1) fail({431, "too many fields", "fields_max", limits_.fields_max});
  if (lines_ == 0 && head_bytes > limits_.start_line_bytes_max) {
    fail({414, "a start line that is too long", "start_line_bytes_max", limits_.start_line_bytes_max});
  }
  if (head_bytes > limits_.head_bytes_max) {
    fail({431, "a head that is too long", "head_bytes_max", limits_.head_bytes_max});
  }
}

void Parser::fail_body_too_long() noexcept {
  fail({413, "a body that is too long", "body_bytes_max", limits_.body_bytes_max});
}

std::string_view Parser::start_line() const noexcept {
  const std::string_view text = lent_.empty() ? std::string_view(raw_) : lent_;
  return text.substr(0, text.find_first_of("\r\n"));
}

void Parser::end_head() {
  if (lines_ == 1 && kind_ == Kind::request && !std::exchange(skipped_line_, true)) {
    raw_.clear();  // an empty line before a request is ignored (RFC 9112, section 2.2)
    line_start_ = lines_ = 0;
    return;
  }
  read_head(raw_, true);
}

// The end of the body (RFC 9112, section 6.3).
void Parser::frame_body() {
  state_ = State::done;
  has_head_ = true;
  if (!may_have_body()) return;
  if (head_.chunked) {
    state_ = State::chunked_body;
  } else if (head_.content_length) {
    if (*head_.content_length > limits_.body_bytes_max) return fail_body_too_long();
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

std::size_t Parser::take_body(BytesView bytes) {
  if (state_ == State::chunked_body) return take_chunks(bytes);
  if (state_ == State::sized_body) {
    bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), *head_.content_length - body_bytes_));
  }
  body_bytes_ += bytes.size();
  if (body_bytes_ > limits_.body_bytes_max) {
    fail_body_too_long();
    return bytes.size();
  }
  body_.append(bytes);
  if (state_ == State::sized_body && body_bytes_ == *head_.content_length) state_ = State::done;
  return bytes.size();
}

std::size_t Parser::take_chunks(BytesView bytes) {
  BytesView rest = bytes;
  const auto data = chunks_.next(rest);
  if (!data) {
    fail({400, data.error()});
  } else if (chunks_.announced_bytes() > limits_.body_bytes_max) {
    fail_body_too_long();
  } else {
    body_.append(*data);
    body_bytes_ += data->size();
    if (chunks_.done()) state_ = State::done;
  }
  return bytes.size() - rest.size();
}

std::optional<std::string_view> Parser::trailer(std::string_view name) const noexcept {
  std::string_view rest = done() ? chunks_.trailers() : std::string_view();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\r'));
    const std::size_t colon = line.find(':');
    if (equal_ignoring_case(line.substr(0, colon), name)) return trim(line.substr(colon + 1));
    rest.remove_prefix(line.size() + 1);
  }
  return std::nullopt;
}

void Parser::fail(const Failure& failure) noexcept {
  if (failure_) return;
  failure_ = failure;
  if (kind_ != Kind::request) failure_->status = 502;
  state_ = State::failed;
}

void Parser::reset(Kind kind) noexcept {
  raw_.clear();
  lent_ = {};
  if (!body_.empty() || body_bytes_ != 0) body_ = {};
  body_bytes_ = 0;
  chunks_ = {};
  failure_.reset();
  line_start_ = lines_ = 0;
  skipped_line_ = has_head_ = false;
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
  if (state_ != State::done) fail({502, "a response that is cut short"});
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

}  // namespace coax::http1
