// Writing of heads: no value can start another field or another message.
#include <algorithm>
#include <array>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/http1.hpp"
#include "coax/codec/token.hpp"

namespace coax::http1 {

namespace {

struct Named {
  int status;
  std::string_view phrase;
};
// The registered ones (RFC 9110, section 15, and the IANA registry of status codes), in their order.
constexpr std::array known_statuses{
    Named{100, "Continue"},
    Named{101, "Switching Protocols"},
    Named{102, "Processing"},
    Named{103, "Early Hints"},
    Named{200, "OK"},
    Named{201, "Created"},
    Named{202, "Accepted"},
    Named{203, "Non-Authoritative Information"},
    Named{204, "No Content"},
    Named{205, "Reset Content"},
    Named{206, "Partial Content"},
    Named{207, "Multi-Status"},
    Named{208, "Already Reported"},
    Named{226, "IM Used"},
    Named{300, "Multiple Choices"},
    Named{301, "Moved Permanently"},
    Named{302, "Found"},
    Named{303, "See Other"},
    Named{304, "Not Modified"},
    Named{305, "Use Proxy"},
    Named{307, "Temporary Redirect"},
    Named{308, "Permanent Redirect"},
    Named{400, "Bad Request"},
    Named{401, "Unauthorized"},
    Named{402, "Payment Required"},
    Named{403, "Forbidden"},
    Named{404, "Not Found"},
    Named{405, "Method Not Allowed"},
    Named{406, "Not Acceptable"},
    Named{407, "Proxy Authentication Required"},
    Named{408, "Request Timeout"},
    Named{409, "Conflict"},
    Named{410, "Gone"},
    Named{411, "Length Required"},
    Named{412, "Precondition Failed"},
    Named{413, "Content Too Large"},
    Named{414, "URI Too Long"},
    Named{415, "Unsupported Media Type"},
    Named{416, "Range Not Satisfiable"},
    Named{417, "Expectation Failed"},
    Named{421, "Misdirected Request"},
    Named{422, "Unprocessable Content"},
    Named{423, "Locked"},
    Named{424, "Failed Dependency"},
    Named{425, "Too Early"},
    Named{426, "Upgrade Required"},
    Named{428, "Precondition Required"},
    Named{429, "Too Many Requests"},
    Named{431, "Request Header Fields Too Large"},
    Named{451, "Unavailable For Legal Reasons"},
    Named{500, "Internal Server Error"},
    Named{501, "Not Implemented"},
    Named{502, "Bad Gateway"},
    Named{503, "Service Unavailable"},
    Named{504, "Gateway Timeout"},
    Named{505, "HTTP Version Not Supported"},
    Named{506, "Variant Also Negotiates"},
    Named{507, "Insufficient Storage"},
    Named{508, "Loop Detected"},
    Named{511, "Network Authentication Required"},
};

[[noreturn]] void refuse_to_write(std::string_view what, std::string_view text, std::string_view reason) {
  throw Error(ErrorKind::invalid, what, text, reason);
}

void append_fields(std::string& out, std::span<const Field> fields) {
  for (const auto& [name, value] : fields) out.append(name).append(": ").append(value).append("\r\n");
  out.append("\r\n");
}

}  // namespace

std::string_view reason_phrase(int status) noexcept {
  const auto found = std::ranges::lower_bound(known_statuses, status, {}, &Named::status);
  return found != known_statuses.end() && found->status == status ? found->phrase : std::string_view();
}

void require_safe(const Field& field) {
  if (!is_token(field.name)) refuse_to_write("write the field", field.name, "its name is not a token");
  if (!is_field_value(field.value)) refuse_to_write("write the field", field.name, "its value has control characters");
}

void require_trailer(const Field& field) {
  static constexpr std::string_view of_head =
      "Age, Authorization, Cache-Control, Connection, Content-Encoding, Content-Length, Content-Range, Content-Type, "
      "Cookie, Date, Expect, Expires, Host, Keep-Alive, Location, Max-Forwards, Pragma, Proxy-Authenticate, "
      "Proxy-Authorization, Proxy-Connection, Range, Retry-After, Set-Cookie, TE, Trailer, Transfer-Encoding, Upgrade, "
      "Vary, WWW-Authenticate";
  require_safe(field);
  bool is_of_head = equal_ignoring_case(field.name.substr(0, 3), "If-");
  for_each_word(of_head, [&](std::string_view name) { is_of_head |= equal_ignoring_case(name, field.name); });
  if (is_of_head) {
    refuse_to_write("write the trailer", field.name, "it must be in the head (RFC 9110, section 6.5.1)");
  }
}

void append_response_head(std::string& out, int status, std::span<const Field> fields) {
  const bool known = status >= 100 && status <= 599;
  if (!known) refuse_to_write("write the status", std::to_string(status), "it is not of 100 to 599");
  std::ranges::for_each(fields, require_safe);
  out.append("HTTP/1.1 ").append(std::to_string(status)).append(" ").append(reason_phrase(status)).append("\r\n");
  append_fields(out, fields);
}

void append_request_head(std::string& out, std::string_view method, std::string_view target,
                         std::span<const Field> fields) {
  const bool visible = std::ranges::all_of(target, [](char c) { return c > ' ' && c < '\x7F'; });
  if (!is_token(method)) refuse_to_write("write the method", method, "it is not a token");
  if (target.empty() || !visible) refuse_to_write("write the target", target, "it is empty or not all visible ASCII");
  std::ranges::for_each(fields, require_safe);
  out.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
  append_fields(out, fields);
}

}  // namespace coax::http1
