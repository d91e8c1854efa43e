// A line of the content that starts with "--BOUNDARY" is a boundary only when white space, CR or a second "--" follows
// it: content may have longer lines. CR is the first of the sought bytes and occurs nowhere else in them, thus a search
// that fails is resumed at the byte where it failed.
#include "coax/codec/multipart.hpp"

#include <algorithm>
#include <utility>

#include "coax/base/text.hpp"
#include "coax/codec/parameters.hpp"
#include "coax/codec/token.hpp"

namespace coax::http {

namespace {

constexpr std::size_t boundary_bytes_max = 70;
// RFC 2046, section 5.1.1; a space must not be the last one.
constexpr http1::WordChars is_boundary_char("'()+_,-./:=? ");

// The inverse of what browsers do to names and file names (WHATWG HTML, "multipart/form-data encoding algorithm"). No
// other percent-encoding: "100%25" is a name of its own.
std::string decode_form_escapes(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::string_view escape = text.substr(0, 3);
    const char c = escape == "%22"                      ? '"'
                   : equal_ignoring_case(escape, "%0D") ? '\r'
                   : equal_ignoring_case(escape, "%0A") ? '\n'
                                                        : '\0';
    out.push_back(c != '\0' ? c : text[0]);
    text.remove_prefix(c != '\0' ? 3 : 1);
  }
  return valid_utf8(out);
}

std::string base_name(std::string_view path) {
  std::string_view rest = path.substr(path.find_last_of("/\\") + 1);
  if (rest == "." || rest == "..") return {};
  std::string name;
  for (std::size_t at = find_control(rest); at != rest.size(); at = find_control(rest)) {
    name.append(rest.substr(0, at)).append("_");
    rest.remove_prefix(at + 1);
    while (!rest.empty() && (rest[0] & 0xC0) == 0x80) rest.remove_prefix(1);  // the others of its bytes
  }
  return name.append(rest);
}

bool is_transfer_encoding_plain(std::string_view value) noexcept {
  return equal_ignoring_case(value, "binary") || equal_ignoring_case(value, "8bit") ||
         equal_ignoring_case(value, "7bit");
}

}  // namespace

std::expected<std::string, std::string_view> multipart_boundary(std::string_view content_type) {
  const auto parsed = parse_parameters(content_type, Backslash::pair);
  if (!parsed) return std::unexpected("a malformed Content-Type");
  if (parsed->value != "multipart/form-data") return std::unexpected("a Content-Type other than multipart/form-data");
  const auto boundary = parsed->find("boundary");
  if (!boundary || boundary->empty()) return std::unexpected("a Content-Type without a boundary");
  if (boundary->size() > boundary_bytes_max) return std::unexpected("a boundary of more than 70 characters");
  if (!std::ranges::all_of(*boundary, is_boundary_char) || boundary->ends_with(' ')) {
    return std::unexpected("a boundary with a character that boundaries do not have");
  }
  return std::string(*boundary);
}

MultipartDecoder::MultipartDecoder(std::string_view boundary, const MultipartLimits& limits)
    : boundary_("\r\n--" + std::string(boundary) + "-"), limits_(limits) {}

std::expected<std::optional<MultipartEvent>, MultipartError> MultipartDecoder::next() {
  while (lent_ || state_ == State::end_due) {
    Event event;
    switch (state_) {
      case State::content: event = next_of_content(); break;
      case State::boundary: event = next_of_boundary(); break;
      case State::dash: event = next_of_dash(); break;
      case State::padding: read_padding(); break;
      case State::boundary_lf: read_boundary_lf(); break;
      case State::head: event = next_of_head(); break;
      case State::end_due:
        state_ = State::epilogue;
        event = MultipartEvent{.kind = MultipartEvent::Kind::end};
        break;
      case State::epilogue: lent_ = {}; break;
      case State::failed: return std::unexpected(error_);
    }
    if (event) return event;
  }
  if (state_ == State::failed) return std::unexpected(error_);
  return Event();
}

std::expected<void, MultipartError> MultipartDecoder::finish() const {
  if (state_ == State::failed) return std::unexpected(error_);
  if (state_ == State::end_due || state_ == State::epilogue) return {};
  return std::unexpected(MultipartError{"the body ends before its closing boundary"});
}

void MultipartDecoder::fail(std::string_view reason, bool is_limit) noexcept {
  error_ = {.reason = reason, .is_limit = is_limit};
  state_ = State::failed;
}

// --- content and boundaries ---

// The content of the preamble is dropped.
MultipartDecoder::Event MultipartDecoder::content(BytesView data) noexcept {
  if (!in_part_ || data.empty()) return std::nullopt;
  return MultipartEvent{.kind = MultipartEvent::Kind::data, .data = data};
}

// The offset in the fed bytes at which a boundary starts, or may start; their size when there is none.
std::size_t MultipartDecoder::find_boundary() const noexcept {
  const std::string_view text = lent_;
  for (std::size_t at = 0; (at = text.find('\r', at)) != std::string_view::npos; ++at) {
    if (whole_boundary().starts_with(text.substr(at, whole_boundary().size()))) return at;
  }
  return text.size();
}

MultipartDecoder::Event MultipartDecoder::next_of_content() {
  if (matched_ == 0) {
    if (const std::size_t size = find_boundary(); size != 0) {
      return content(std::exchange(lent_, lent_.from(size)).first(size));
    }
  }
  const std::string_view wanted = whole_boundary().substr(matched_);
  const std::size_t size = std::min(wanted.size(), lent_.size());
  const auto same = static_cast<std::size_t>(
      std::ranges::mismatch(wanted.substr(0, size), lent_.text().substr(0, size)).in1 - wanted.begin());
  matched_ += same;
  lent_ = lent_.from(same);
  if (same == wanted.size()) {
    state_ = State::boundary;
  } else if (same != size) {
    return release_boundary(matched_);
  }
  return std::nullopt;
}

// The first bytes of a boundary were content.
MultipartDecoder::Event MultipartDecoder::release_boundary(std::size_t size) noexcept {
  const BytesView data = BytesView(boundary_).first(size).from(std::min(implied_, size));
  matched_ = implied_ = 0;
  state_ = State::content;
  return content(data);
}

MultipartDecoder::Event MultipartDecoder::next_of_boundary() {
  const char c = lent_[0];
  if (c == '-') {
    lent_ = lent_.from(1);
    state_ = State::dash;
    return std::nullopt;
  }
  if (c == '\n') {
    fail("a boundary whose line ends with LF instead of CRLF");
    return std::nullopt;
  }
  if (c != ' ' && c != '\t' && c != '\r') return release_boundary(whole_boundary().size());
  state_ = State::padding;
  return end_part();
}

MultipartDecoder::Event MultipartDecoder::next_of_dash() {
  if (lent_[0] != '-') return release_boundary(boundary_.size());
  lent_ = {};
  state_ = State::end_due;
  return end_part();
}

MultipartDecoder::Event MultipartDecoder::end_part() {
  if (!std::exchange(in_part_, false)) return std::nullopt;
  return MultipartEvent{.kind = MultipartEvent::Kind::part_end};
}

// "transport padding" of RFC 2046.
void MultipartDecoder::read_padding() noexcept {
  const char c = lent_[0];
  if (c != ' ' && c != '\t' && c != '\r') return fail("a boundary with other text in its line");
  if (c == '\r') state_ = State::boundary_lf;
  lent_ = lent_.from(1);
}

void MultipartDecoder::read_boundary_lf() noexcept {
  if (lent_[0] != '\n') return fail("a boundary whose line ends with CR instead of CRLF");
  lent_ = lent_.from(1);
  if (++parts_ > limits_.parts_max) return fail("too many parts", true);
  head_.clear();
  line_start_ = 0;
  state_ = State::head;
}

// --- the header of a part ---

MultipartDecoder::Event MultipartDecoder::next_of_head() {
  const std::size_t line_end = lent_.text().find('\n');
  const std::size_t size = line_end == std::string_view::npos ? lent_.size() : line_end + 1;
  if (size > limits_.head_bytes_max - head_.size()) {
    fail("header fields of a part that are too long", true);
    return std::nullopt;
  }
  head_.append(lent_.first(size).text());
  lent_ = lent_.from(size);
  if (line_end == std::string_view::npos) return std::nullopt;
  const std::string_view line = std::string_view(head_).substr(line_start_);
  if (!line.ends_with("\r\n")) {
    fail("a header field of a part whose line ends with LF instead of CRLF");
    return std::nullopt;
  }
  line_start_ = head_.size();
  if (line.size() != 2) return std::nullopt;
  parse_head();
  if (state_ == State::failed) return std::nullopt;
  in_part_ = true;
  matched_ = implied_ = 2;  // a boundary may follow at once: the content is empty, then, without a CRLF of its own
  state_ = State::content;
  return MultipartEvent{.kind = MultipartEvent::Kind::part};
}

void MultipartDecoder::parse_head() {
  fields_.clear();
  part_ = {};
  std::string_view lines = std::string_view(head_).substr(0, head_.size() - 2);
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(line.size() + 2);
    const std::string_view name = line.substr(0, line.find(':'));
    const std::string_view value = trim(line.substr(std::min(name.size() + 1, line.size())));
    if (name.size() == line.size() || !http1::is_token(name) || !http1::is_field_value(value)) {
      return fail("a malformed header field of a part");
    }
    fields_.push_back({.name = name, .value = value});
  }
  part_.fields = Fields(fields_);
  for (const char* const name : {"Content-Disposition", "Content-Type", "Content-Transfer-Encoding"}) {
    if (part_.fields.count(name) > 1) return fail("a part with two header fields of the same kind");
  }
  if (!is_transfer_encoding_plain(part_.fields.find("Content-Transfer-Encoding").value_or("binary"))) {
    return fail("a part in a transfer encoding, which form-data does not have");  // RFC 7578, section 4.7
  }
  part_.content_type = valid_utf8(part_.fields.find("Content-Type").value_or("text/plain"));
  parse_disposition(part_.fields.find("Content-Disposition").value_or(""));
}

// RFC 7578, section 4.2. It forbids name* and filename*, which some clients send all the same.
void MultipartDecoder::parse_disposition(std::string_view text) {
  if (text.empty()) return fail("a part without Content-Disposition");
  const auto parsed = parse_parameters(text, Backslash::form);
  if (!parsed) return fail("a part with a malformed Content-Disposition");
  if (parsed->value != "form-data") return fail("a part whose Content-Disposition is not form-data");
  const auto find = [&](std::string_view name) -> std::optional<std::string> {
    if (const auto extended = parsed->find(std::string(name) + "*")) {
      if (auto decoded = decode_extended_value(*extended)) return decoded;
    }
    const auto plain = parsed->find(name);
    return plain ? std::optional(decode_form_escapes(*plain)) : std::nullopt;
  };
  auto name = find("name");
  if (!name) return fail("a part without a name");
  part_.name = std::move(*name);
  if (auto filename = find("filename")) part_.filename = base_name(*filename);
}

}  // namespace coax::http
