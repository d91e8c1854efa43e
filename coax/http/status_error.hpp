// StatusError: an exception of a handler or a middleware that the server answers with a status.
#pragma once

#include <string>
#include <string_view>
#include <system_error>

#include "coax/base/error.hpp"

namespace coax::http {

// The response is a text of the status and the reason: "415 Unsupported Media Type: the body is not a form". Other
// exceptions are answered with 500, without their reason.
class StatusError : public Error {
 public:
  // status: of 400 to 599; any other becomes 500. peer: may be empty. reason: for the client, too. json: the body of
  // the response, in place of the text.
  StatusError(int status, std::string_view operation, std::string_view peer, std::string_view reason,
              std::string json = {});
  // For a handler whose reason says it all: StatusError(404, "there is no todo 7"). Empty: the phrase of the status.
  explicit StatusError(int status, std::string_view reason = {});

  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
  [[nodiscard]] const std::string& json() const noexcept { return json_; }

 private:
  int status_;
  std::string reason_;
  std::string json_;
};

// Whether the process (EMFILE) or the system (ENFILE) had no free file descriptor. The server answers such an exception
// of a handler with 503 and Retry-After.
bool is_out_of_descriptors(const std::system_error& error) noexcept;

}  // namespace coax::http
