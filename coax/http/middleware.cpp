// Middleware for all requests: ids, the access log, the time limit, headers that protect pages.
#include "coax/http/middleware.hpp"

#include <fmt/core.h>

#include <array>
#include <ctime>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/http1.hpp"
#include "coax/http/crypto_private.hpp"
#include "coax/http/exchange_private.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/site_private.hpp"
#include "coax/http/status_error.hpp"
#include "coax/http/value.hpp"
#include "coax/task/scope.hpp"

namespace coax::http {

const std::string* find_header(const Response& response, std::string_view name) noexcept {
  for (const auto& [other, value] : response.headers) {
    if (equal_ignoring_case(other, name)) return &value;
  }
  return nullptr;
}

void add_header(Response& response, std::string_view name, std::string_view value) {
  if (find_header(response, name) == nullptr) response.header(std::string(name), std::string(value));
}

void require_field_value(std::string_view name, std::string_view value) {
  if (!http1::is_field_value(value))
    throw Error(ErrorKind::invalid, "set the header", name, "it would have control characters");
}

std::string joined(const Fields& fields, std::string_view name) {
  std::string all;
  for (const Field& field : fields) {
    if (!equal_ignoring_case(field.name, name)) continue;
    if (!all.empty()) all += ',';
    all += field.value;
  }
  return all;
}

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : ", ").append(word);
  return out;
}

// --- request_id() ---

namespace {

bool is_request_id(std::string_view text) noexcept {
  static constexpr http1::WordChars is_id_char("-._+/=:");
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, is_id_char);
}

}  // namespace

Middleware request_id(RequestIdOptions options) {
  return [options](Request& request, Next next) -> Task<Response> {
    const auto given = options.from_request ? request.fields().find_only("X-Request-Id") : std::nullopt;
    const std::string id = given && is_request_id(*given) ? std::string(*given) : encode_hexadecimal(random_bytes(16));
    request.set_id(id);
    Response response = co_await next.answered(request);
    add_header(response, "X-Request-Id", id);
    co_return response;
  };
}

// --- access_log() ---

namespace {

struct Outcome {
  int status;
  std::optional<std::uint64_t> bytes = {};
};

Outcome outcome_of(const Request& request, const Response& response) {
  if (const bool is_head = request.method() == "HEAD"; !sends_body(is_head, response.status))
    return {response.status, 0};
  if (const auto* text = std::get_if<std::string>(&response.body)) return {response.status, text->size()};
  if (const auto* bytes = std::get_if<StaticBytes>(&response.body)) return {response.status, bytes->bytes.size()};
  if (const auto* file = std::get_if<FileRange>(&response.body)) return {response.status, file->size()};
  if (const auto* stream = std::get_if<StreamedBody>(&response.body)) return {response.status, stream->length};
  return {response.status, 0};
}

// A quoted text, as Apache escapes it: no client can end it.
std::string quoted(std::string_view text) {
  std::string escaped;
  for (const char c : text.substr(0, 2000)) {
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return '"' + printable(BytesView(escaped), 4000) + '"';
}

// A name between blanks.
std::string one_word(std::string_view text) {
  std::string out = printable(BytesView(text));
  std::ranges::replace(out, ' ', '_');
  return out.empty() ? "-" : out;
}

std::string time_text() {
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  return fmt::format("{:02}/{}/{}:{:02}:{:02}:{:02} +0000", utc.tm_mday, months[static_cast<std::size_t>(utc.tm_mon)],
                     utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string client_of(const Request& request) {
  const Endpoint peer = request.peer().unmapped();
  return peer.family() == Endpoint::Family::none ? "-" : peer.ip();
}

std::string json_line(const Request& request, const Outcome& outcome, double seconds) {
  Value line{{"time", time_text()},        {"client", client_of(request)}, {"user", request.principal().name},
             {"method", request.method()}, {"target", request.target()},   {"status", outcome.status}};
  line.set("bytes", outcome.bytes ? Value(*outcome.bytes) : Value());
  line.set("seconds", seconds);
  line.set("referer", request.header("Referer"));
  line.set("user_agent", request.header("User-Agent"));
  if (!request.id().empty()) line.set("id", request.id());
  if (const auto reason = RequestAccess::refusal(request); !reason.empty()) line.set("reason", reason);
  return line.to_json();
}

std::string line_of(const Request& request, const Outcome& outcome, double seconds, AccessLogOptions::Format format) {
  if (format == AccessLogOptions::Format::json) return json_line(request, outcome, seconds);
  const std::string request_line = fmt::format("{} {} {}", request.method(), request.target(), request.protocol());
  std::string line =
      fmt::format("{} - {} [{}] {} {} {}", client_of(request), one_word(request.principal().name), time_text(),
                  quoted(request_line), outcome.status, outcome.bytes ? std::to_string(*outcome.bytes) : "-");
  if (format == AccessLogOptions::Format::combined) {
    line += ' ' + quoted(request.header("Referer")) + ' ' + quoted(request.header("User-Agent"));
  }
  line += fmt::format(" {:.3f}", seconds);
  if (const auto reason = RequestAccess::refusal(request); !reason.empty()) line += ' ' + quoted(reason);
  return line;
}

void log_access(const AccessLogOptions& options, const Request& request, const Outcome& outcome, TimePoint start) {
  const std::chrono::duration<double> duration = Loop::current().backend().now() - start;
  const double milliseconds = static_cast<double>(static_cast<std::int64_t>(duration.count() * 1000));
  const std::string line = line_of(request, outcome, milliseconds / 1000, options.format);
  if (options.sink) {
    options.sink(line);
  } else {
    log::info("{}", line);
  }
}

}  // namespace

Middleware access_log(AccessLogOptions options) {
  // A file of lines as Apache writes them has nothing else.
  const bool has_reasons = !options.sink || options.format == AccessLogOptions::Format::json;
  return [options = std::move(options), has_reasons](Request& request, Next next) -> Task<Response> {
    const TimePoint start = Loop::current().backend().now();
    if (has_reasons) RequestAccess::set_in_access_log(request);
    try {
      Response response = co_await next.answered(request);
      log_access(options, request, outcome_of(request, response), start);
      co_return response;
    } catch (const std::exception&) {  // the client has left: as nginx has it
      log_access(options, request, {.status = 499}, start);
      throw;
    }
  };
}

// --- timeout() ---

namespace {

// An error of the handler is kept apart from that of the time limit.
Task<std::optional<Response>> attempt(Next next, Request& request, std::exception_ptr& failure) {
  try {
    co_return co_await next.answered(request);
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  co_return std::nullopt;
}

}  // namespace

Middleware timeout(Duration limit) {
  return [limit](Request& request, Next next) -> Task<Response> {
    std::exception_ptr failure;
    std::optional<Response> response;
    try {
      response = co_await coax::timeout(limit, attempt(next, request, failure));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::timed_out) throw;
      const StatusError late(503, "answer", "", "the request took too long");
      co_return refusal_of(late, request).header("Retry-After", "1");
    }
    if (failure) std::rethrow_exception(failure);
    co_return std::move(*response);
  };
}

// --- security_headers() ---

Middleware security_headers(SecurityHeaders options) {
  require_field_value("Content-Security-Policy", options.content_security_policy);
  require_field_value("Referrer-Policy", options.referrer_policy);
  return [options = std::move(options)](Request& request, Next next) -> Task<Response> {
    Response response = co_await next.answered(request);
    if (!options.content_security_policy.empty()) {
      add_header(response, "Content-Security-Policy", options.content_security_policy);
    }
    if (!options.referrer_policy.empty()) add_header(response, "Referrer-Policy", options.referrer_policy);
    if (options.hsts_max_age && request.is_secure()) {
      const std::string policy = fmt::format("max-age={}{}", options.hsts_max_age->count(),
                                             options.hsts_subdomains ? "; includeSubDomains" : "");
      add_header(response, "Strict-Transport-Security", policy);
    }
    co_return response;
  };
}

}  // namespace coax::http
