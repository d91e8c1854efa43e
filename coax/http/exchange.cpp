// Writing responses. The first lines with the date are prepared once per second and thread.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>

#include "coax/base/error.hpp"
#include "coax/base/free_list.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/http_date.hpp"
#include "coax/http/exchange_private.hpp"

namespace coax::http {

namespace {

// The start of the usual response, with its Date as IMF-fixdate (RFC 9110, section 5.6.7), formatted once per second
// and thread.
class StatusAndDateCache {
 public:
  static constexpr std::string_view status_line = "HTTP/1.1 200 OK\r\n";
  static constexpr std::size_t date_bytes = 37;
  static constexpr std::size_t end_bytes = 31;  // the date itself, and the line end
  using Text = std::array<char, status_line.size() + date_bytes>;

  [[nodiscard]] const Text& text() const noexcept { return text_; }
  void update() {
    const std::time_t now = std::time(nullptr);
    if (now != made_at_) make(now);
  }

 private:
  void make(std::time_t time) {
    char* to = std::ranges::copy(status_line, text_.data()).out;
    to = std::ranges::copy(std::string_view("Date: "), to).out;
    to = write_date(to, std::chrono::sys_seconds(std::chrono::seconds(time)));
    std::ranges::copy(std::string_view("\r\n"), to);
    made_at_ = time;
  }

  std::time_t made_at_ = -1;
  Text text_{};
};
constinit thread_local StatusAndDateCache usual_start;

// Copies; the caller has reserved the room.
char* put(char* to, std::string_view text) noexcept {
  if (!text.empty()) std::memcpy(to, text.data(), text.size());  // an empty one may have no address
  return to + text.size();
}

char* put_start(char* to, int status) noexcept {
  const StatusAndDateCache::Text& usual = usual_start.text();
  if (status == 200) return put(to, {usual.data(), usual.size()});
  to = put(to, "HTTP/1.1 ");
  to = std::to_chars(to, to + 3, status).ptr;
  to = put(to, " ");
  to = put(to, http1::reason_phrase(status));
  to = put(to, "\r\n");
  return put(to, {usual.data() + StatusAndDateCache::status_line.size(), StatusAndDateCache::date_bytes});
}

char* put_field(char* to, std::string_view name, std::string_view value) noexcept {
  return put(put(put(put(to, name), ": "), value), "\r\n");
}

// Known to be valid.
bool is_well_known(std::string_view type) noexcept {
  const auto is = [type](std::string_view other) { return type.data() == other.data(); };
  return is(Response::text_type) || is(Response::html_type) || is(Response::json_type);
}

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

thread_local FreeList<Exchange, 64> spare_exchanges;

}  // namespace

Exchange::Pointer Exchange::take(const http1::Limits& limits) {
  Pointer exchange(spare_exchanges.acquire().release());
  if (!exchange) exchange.reset(new Exchange);
  exchange->parser.reset(limits);
  return exchange;
}

void Exchange::GiveBack::operator()(Exchange* exchange) const noexcept {
  std::unique_ptr<Exchange> owned(exchange);
  if (spare_exchanges.full() || owned->out_.capacity() > kept_bytes_max) return;
  owned->failure.reset();
  owned->route = nullptr;
  owned->request.reset();
  owned->refusal.reset();
  owned->streamed.reset();
  owned->file.reset();
  if (!owned->handed_body.empty()) std::string().swap(owned->handed_body);
  owned->sent();
  spare_exchanges.release(std::move(owned));
}

void Exchange::sent() noexcept {
  out_.clear();
  if (long_body_.empty()) return;
  long_body_ = {};
  body_ = {};
}

void Exchange::update_date() noexcept { usual_start.update(); }

namespace {

// The response's own Date, such as that of the server behind a proxy, instead of ours (RFC 9110, section 6.6.1). It is
// sent as IMF-fixdate, which has always the same length; one that is no date is ignored.
void replace_date(char* date, std::string_view own) noexcept {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (const auto time = parse_date(own, now)) write_date(date, *time);
}

// Fields that this connection writes by itself, or that have no meaning on it (RFC 9110, sections 6.6.1, 7.6.1 and
// 8.6).
bool is_ours_to_write(std::string_view name, bool has_type) noexcept {
  switch (name.size()) {
    case 4: return equal_ignoring_case(name, "Date");
    case 7: return equal_ignoring_case(name, "Trailer");
    case 10: return equal_ignoring_case(name, "Connection") || equal_ignoring_case(name, "Keep-Alive");
    case 12: return has_type && equal_ignoring_case(name, "Content-Type");
    case 14: return equal_ignoring_case(name, "Content-Length");
    case 17: return equal_ignoring_case(name, "Transfer-Encoding");
    default: return false;
  }
}

}  // namespace

bool sends_body(bool is_head, int status) noexcept { return !is_head && !has_no_body(status) && status != 205; }

void require_writable(const Response& response) {
  if (response.status < 200 || response.status > 599) {
    throw Error(ErrorKind::invalid, "write the status", std::to_string(response.status), "it is not of 200 to 599");
  }
  if (!is_well_known(response.content_type)) http1::require_safe({"Content-Type", response.content_type});
  for (const auto& [name, value] : response.headers) http1::require_safe({name, value});
}

bool Exchange::write(Response&& response, const How& how) {
  require_writable(response);
  const int status = response.status;
  // A 304 has none (RFC 9110, section 15.4.5).
  const std::string_view type = status == 304 ? std::string_view() : response.content_type;
  // the other parts are shorter
  std::size_t room = 256 + type.size() + how.fixed_fields.size() + how.connection.size();
  for (const auto& [name, value] : response.headers) room += name.size() + value.size() + 4;
  auto* const whole = std::get_if<std::string>(&response.body);
  const auto* const lasting = std::get_if<StaticBytes>(&response.body);
  auto* const made = std::get_if<StreamedBody>(&response.body);
  auto* const range = std::get_if<FileRange>(&response.body);
  std::string_view body = whole != nullptr ? std::string_view(*whole) : lasting != nullptr ? lasting->bytes : "";
  if (status == 205) body = body.substr(0, 0);  // RFC 9110, section 15.3.6
  const bool with_body = sends_body(how.head_only, status);
  const bool is_long = with_body && body.size() > copied_body_max;
  if (with_body && !is_long) room += body.size();
  const bool has_length = made == nullptr || made->length || status == 205;
  const std::uint64_t length = status == 205      ? 0
                               : made != nullptr  ? made->length.value_or(0)
                               : range != nullptr ? range->size()
                                                  : body.size();

  const std::size_t before = out_.size();
  out_.resize_and_overwrite(before + room, [&](char* begin, std::size_t) noexcept {
    char* to = put_start(begin + before, status);
    char* const date = to - StatusAndDateCache::end_bytes;
    if (!type.empty()) to = put_field(to, "Content-Type", type);
    for (const auto& [name, value] : response.headers) {
      if (!is_ours_to_write(name, !type.empty())) {
        to = put_field(to, name, value);
      } else if (equal_ignoring_case(name, "Date")) {
        replace_date(date, value);
      }
    }
    if (!has_no_body(status) && has_length) {
      to = put(to, "Content-Length: ");
      to = std::to_chars(to, to + 20, length).ptr;
      to = put(to, "\r\n");
    } else if (!has_no_body(status) && how.may_chunk) {
      to = put(to, "Transfer-Encoding: chunked\r\n");
    }
    to = put(put(put(to, how.connection), how.fixed_fields), "\r\n");
    if (with_body && !is_long) to = put(to, body);
    return static_cast<std::size_t>(to - begin);
  });
  if (made != nullptr && with_body) {
    streamed = std::move(*made);
    is_chunked = how.may_chunk;
    return false;
  }
  if (range != nullptr && with_body) {
    file = std::move(*range);
    return false;
  }
  if (!is_long) return true;
  if (whole != nullptr) body_ = std::move(*whole);
  long_body_ = whole != nullptr ? BytesView(body_) : BytesView(body);
  return true;
}

}  // namespace coax::http
