// The kind of a StatusError is the reaction of a program that catches it instead of the server.
#include "coax/http/status_error.hpp"

namespace coax::http {

namespace {

ErrorKind kind_of_status(int status) noexcept {
  if (status == 413 || status == 429 || status == 503) return ErrorKind::overloaded;
  if (status == 401 || status == 403) return ErrorKind::permission;
  return status < 500 ? ErrorKind::protocol : ErrorKind::other;
}

}  // namespace

StatusError::StatusError(int status, std::string_view operation, std::string_view peer, std::string_view reason)
    : Error(kind_of_status(status), operation, peer, reason),
      status_(status >= 400 && status <= 599 ? status : 500),
      reason_(reason) {}

}  // namespace coax::http
