// The kind of a StatusError is the reaction of a program that catches it instead of the server.
#include "coax/http/status_error.hpp"

#include <fmt/core.h>

#include <cerrno>

#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"
#include "coax/http/exchange_private.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/negotiate.hpp"
#include "coax/http/site_private.hpp"
#include "coax/http/value.hpp"

namespace coax::http {

namespace {

ErrorKind kind_of_status(int status) noexcept {
  if (status == 413 || status == 429 || status == 503) return ErrorKind::overloaded;
  if (status == 401 || status == 403) return ErrorKind::permission;
  return status < 500 ? ErrorKind::protocol : ErrorKind::other;
}

std::string to_json(const std::vector<FieldError>& errors) {
  Value list = Value::list();
  for (const auto& [field, message] : errors) list.append(Value{{"field", field}, {"message", message}});
  return Value{{"errors", std::move(list)}}.to_json() + "\n";
}

// The first one, for a log.
std::string reason_of(const std::vector<FieldError>& errors) {
  if (errors.empty()) throw Error(ErrorKind::invalid, "refuse", "a request", "its list of errors is empty");
  const FieldError& first = errors.front();
  return (first.field.empty() ? "it" : first.field) + " " + first.message;
}

int valid_status(int status) noexcept { return status >= 400 && status <= 599 ? status : 500; }

// Of an error without one of its own.
std::string reason_of_status(int status) {
  const std::string_view phrase = http1::reason_phrase(status);
  return phrase.empty() ? fmt::format("status {}", status) : std::string(phrase);
}

// Only a client that names it: "*/*" is that of curl, and of pages, too.
bool prefers_json(const Request& request) {
  const std::string_view accept = request.header("Accept");
  return accept.contains("application/json") &&
         preferred(accept, {"application/json", "text/html", "text/plain"}) == "application/json";
}

// A browser, as opposed to programs that accept anything.
bool prefers_text(const Request& request) {
  const std::string_view accept = request.header("Accept");
  const std::string_view type = preferred(accept, {"application/json", "text/html", "text/plain"});
  return type.starts_with("text/");
}

// All that is wrong, a line each.
std::string text_of(const StatusError& error) {
  const auto* const invalid = dynamic_cast<const ValidationError*>(&error);
  if (invalid == nullptr) return error.reason();
  std::string text;
  for (const auto& [field, message] : invalid->errors()) {
    text.append(text.empty() ? "" : "\n").append(printable(field)).append(field.empty() ? "" : " ").append(message);
  }
  return text;
}

Response text_error(const StatusError& error) {
  std::string text = fmt::format("{} {}", error.status(), http1::reason_phrase(error.status()));
  if (text.ends_with(' ')) text.pop_back();  // no phrase
  if (error.reason() != reason_of_status(error.status())) text += ": " + text_of(error);
  return Response::text(text + "\n", error.status());
}

Response default_response(Request& request, const StatusError& error) {
  if (error.json().empty()) {
    return prefers_json(request) ? json_error(request, error).header("Vary", "Accept") : text_error(error);
  }
  return (prefers_text(request) ? text_error(error) : json_error(request, error)).header("Vary", "Accept");
}

}  // namespace

StatusError::StatusError(int status, std::string_view operation, std::string_view peer, std::string_view reason,
                         std::string json)
    : Error(kind_of_status(status), operation, peer, reason.empty() ? reason_of_status(valid_status(status)) : reason),
      status_(valid_status(status)),
      reason_(reason.empty() ? reason_of_status(status_) : reason),
      json_(std::move(json)) {}

StatusError::StatusError(int status, std::string_view reason) : StatusError(status, "answer the request", "", reason) {}

ValidationError::ValidationError(std::string_view field, std::string_view message)
    : ValidationError({FieldError{.field = std::string(field), .message = std::string(message)}}) {}

ValidationError::ValidationError(std::vector<FieldError> errors, std::string_view operation)
    : StatusError(422, operation, "", reason_of(errors), to_json(errors)), errors_(std::move(errors)) {}

bool is_out_of_space(const std::system_error& error) noexcept {
  const std::error_code& code = error.code();
  return code == std::errc::no_space_on_device || code == std::errc::file_too_large ||
         (code.category() == std::system_category() && code.value() == EDQUOT) ||
         (code.category() == std::generic_category() && code.value() == EDQUOT);
}

bool is_out_of_descriptors(const std::system_error& error) noexcept {
  return error.code() == std::errc::too_many_files_open || error.code() == std::errc::too_many_files_open_in_system;
}

Response json_error(Request& /*request*/, const StatusError& error) {
  if (!error.json().empty()) return Response::json(error.json(), error.status());
  return Response::json(to_json({{.field = "", .message = valid_utf8(error.reason())}}), error.status());
}

namespace {

class ContentCodingError : public StatusError {
 public:
  using StatusError::StatusError;
};

Response response_of_app(Request& request, const StatusError& error) {
  const SiteFacts* const site = RequestAccess::site(request);
  if (site == nullptr || !site->errors) return default_response(request, error);
  try {
    Response response = site->errors(request, error);
    if (response.status == 200) response.status = error.status();
    require_writable(response);
    return response;
  } catch (...) {
    const std::string_view id = request.id();
    log::error("the handler of App::errors() failed for {}: {}; {} {}{}{}", request.connection().peer_name(),
               reason_of_exception(), request.method(), request.path(), id.empty() ? "" : "; request ", id);
  }
  return default_response(request, error);
}

}  // namespace

Response error_response(Request& request, const StatusError& error) {
  Response response = response_of_app(request, error);
  if (dynamic_cast<const ContentCodingError*>(&error) != nullptr) add_header(response, "Accept-Encoding", "identity");
  return response;
}

void require_no_content_coding(const Request& request, std::string_view operation) {
  const std::string codings = joined(request.fields(), "Content-Encoding");
  http1::for_each_word(codings, [&](std::string_view coding) {
    if (equal_ignoring_case(coding, "identity")) return;
    throw ContentCodingError(415, operation, request.connection().peer_name(),
                             "its Content-Encoding is not decoded here: send it without one");
  });
}

std::string reason_of_exception() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "it threw something that is not a std::exception";
  }
}

void log_refusal(Request& request, int status, std::string_view reason) {
  if (RequestAccess::is_in_access_log(request)) return RequestAccess::set_refusal(request, std::string(reason));
  log::info("{} refused: {} {}; {} {}", request.connection().peer_name(), status, printable(reason), request.method(),
            request.target());
}

Response refusal_of(const StatusError& error, Request& request) {
  log_refusal(request, error.status(), error.reason());
  return error_response(request, error);
}

}  // namespace coax::http
