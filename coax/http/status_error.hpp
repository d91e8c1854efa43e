// StatusError: an exception of a handler or a middleware that the server answers with a status.
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "coax/base/error.hpp"

namespace coax::http {

// The response has the status and the reason, in the form of all errors of the app (App::errors()): by default a text,
// "415 Unsupported Media Type: the body is not a form". Other exceptions are answered with 500, without their reason.
class StatusError : public Error {
 public:
  // status: of 400 to 599; any other becomes 500. peer: may be empty. reason: for the client, too; empty: the phrase of
  // the status. json: the body of the response, in place of the text, unless the client prefers text.
  StatusError(int status, std::string_view operation, std::string_view peer, std::string_view reason,
              std::string json = {});
  // For a handler whose reason says it all: StatusError(404, "there is no todo 7").
  explicit StatusError(int status, std::string_view reason = {});

  [[nodiscard]] int status() const noexcept { return status_; }
  // Never empty: "status 418" where the status has no phrase.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
  [[nodiscard]] const std::string& json() const noexcept { return json_; }

 private:
  int status_;
  std::string reason_;
  std::string json_;
};

// What is wrong with one member of JSON or one field of a form, for its sender.
struct FieldError {
  std::string field;    // "priority", "items[2].name"; empty: all of it
  std::string message;  // "must be an integer, is a string"
};

// 422, as read_json() throws it: {"errors":[{"field":"email","message":"is in use"}]}, for a client that prefers text,
// such as a browser, "422 Unprocessable Content: email is in use".
//
//   if (is_in_use(user.email)) throw http::ValidationError("email", "is in use");
class ValidationError : public StatusError {
 public:
  ValidationError(std::string_view field, std::string_view message);
  // Throws: Error(invalid) without any.
  explicit ValidationError(std::vector<FieldError> errors, std::string_view operation = "read the request");

  [[nodiscard]] const std::vector<FieldError>& errors() const noexcept { return errors_; }

 private:
  std::vector<FieldError> errors_;
};

// Whether the process (EMFILE) or the system (ENFILE) had no free file descriptor. The server answers such an exception
// of a handler with 503 and Retry-After.
bool is_out_of_descriptors(const std::system_error& error) noexcept;

// Whether a disk was full (ENOSPC), a quota used up (EDQUOT), or a file too large for its file system or limit (EFBIG).
// The server answers such an exception of a handler with 507.
bool is_out_of_space(const std::system_error& error) noexcept;

}  // namespace coax::http
