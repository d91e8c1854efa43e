// The kind of a StatusError is the reaction of a program that catches it instead of the server.
#include "coax/http/status_error.hpp"

#include <fmt/core.h>

#include <cerrno>

#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/http/exchange_private.hpp"
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

std::string_view words_of(const StatusError& error) {
  return error.reason().empty() ? http1::reason_phrase(error.status()) : std::string_view(error.reason());
}

// Only a client that names it: "*/*" is that of curl, and of pages, too.
bool prefers_json(const Request& request) {
  const std::string_view accept = request.header("Accept");
  return accept.contains("application/json") &&
         preferred(accept, {"application/json", "text/html", "text/plain"}) == "application/json";
}

Response default_response(Request& request, const StatusError& error) {
  if (!error.json().empty()) return json_error(request, error);
  if (prefers_json(request)) return json_error(request, error).header("Vary", "Accept");
  return Response::text(fmt::format("{} {}{}{}\n", error.status(), http1::reason_phrase(error.status()),
                                    error.reason().empty() ? "" : ": ", error.reason()),
                        error.status());
}

}  // namespace

StatusError::StatusError(int status, std::string_view operation, std::string_view peer, std::string_view reason,
                         std::string json)
    : Error(kind_of_status(status), operation, peer, reason),
      status_(status >= 400 && status <= 599 ? status : 500),
      reason_(reason),
      json_(std::move(json)) {}

StatusError::StatusError(int status, std::string_view reason)
    : StatusError(status, "answer the request", "", reason.empty() ? http1::reason_phrase(status) : reason) {
  reason_ = reason;
}

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
  return Response::json(to_json({{.field = "", .message = valid_utf8(words_of(error))}}), error.status());
}

Response error_response(Request& request, const StatusError& error) {
  const SiteFacts* const site = RequestAccess::site(request);
  if (site == nullptr || !site->errors) return default_response(request, error);
  try {
    Response response = site->errors(request, error);
    if (response.status == 200) response.status = error.status();
    require_writable(response);
    return response;
  } catch (const std::exception& failure) {
    log::error("the handler of App::errors() failed for {}: {}; {} {}", request.connection().peer_name(),
               failure.what(), request.method(), request.target());
  }
  return default_response(request, error);
}

void log_refusal(Request& request, int status, std::string_view reason) {
  if (RequestAccess::is_in_access_log(request)) return RequestAccess::set_refusal(request, std::string(reason));
  log::info("{} refused: {} {}; {} {}", request.connection().peer_name(), status, printable(reason), request.method(),
            request.target());
}

Response refusal_of(const StatusError& error, Request& request) {
  log_refusal(request, error.status(), words_of(error));
  return error_response(request, error);
}

}  // namespace coax::http
