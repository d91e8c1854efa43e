// The kind of a StatusError is the reaction of a program that catches it instead of the server.
#include "coax/http/status_error.hpp"

#include <fmt/core.h>

#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

namespace {

ErrorKind kind_of_status(int status) noexcept {
  if (status == 413 || status == 429 || status == 503) return ErrorKind::overloaded;
  if (status == 401 || status == 403) return ErrorKind::permission;
  return status < 500 ? ErrorKind::protocol : ErrorKind::other;
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

bool is_out_of_descriptors(const std::system_error& error) noexcept {
  return error.code() == std::errc::too_many_files_open || error.code() == std::errc::too_many_files_open_in_system;
}

Response refusal_of(const StatusError& error, const Request& request) {
  log::info("{} refused: {} {}; {} {}", request.connection().peer_name(), error.status(), printable(error.reason()),
            request.method(), request.path());
  if (!error.json().empty()) return Response::json(error.json(), error.status());
  return Response::text(fmt::format("{} {}{}{}\n", error.status(), http1::reason_phrase(error.status()),
                                    error.reason().empty() ? "" : ": ", error.reason()),
                        error.status());
}

}  // namespace coax::http
