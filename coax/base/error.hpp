// Errors by the reaction to them. Below (back-ends, codecs) errors are values; above they are these exceptions. The end
// of a stream is never an error.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>

#include "coax/base/compiler.hpp"

namespace coax {

// Names the reaction, not the cause: retry later (timed_out, refused, unreachable, overloaded), wait until the socket
// is ready (would_block), drop this peer (disconnected, protocol), discard the received bytes unless they contain their
// own length (truncated), correct the call or the configuration (address, permission, certificate,
// invalid, unsupported).
enum class ErrorKind : std::uint8_t {
  timed_out,
  refused,
  unreachable,
  disconnected,
  overloaded,
  address,
  permission,
  protocol,
  invalid,
  unsupported,
  would_block,
  truncated,    // the connection ended without the end mark of its protocol, such as the close_notify of TLS
  certificate,  // a certificate was not accepted, by this side or by the peer
  other,
};

std::string_view to_string(ErrorKind kind) noexcept;
ErrorKind kind_of(int errno_value) noexcept;

// Formatted as "connect to 127.0.0.1:9: Connection refused". Untrusted text in it is escaped as by printable()
// (base/text.hpp), once and here: every text may be printed on a terminal.
class Error : public std::system_error {
 public:
  // operation: "connect to", "listen on", "recv from"; peer: the address or name it was tried on, may be empty.
  Error(int errno_value, std::string_view operation, std::string_view peer = {}, std::string_view advice = {});
  // Without a system error: the reason as text.
  Error(ErrorKind kind, std::string_view operation, std::string_view peer, std::string_view reason);

  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& operation() const noexcept { return operation_; }
  [[nodiscard]] const std::string& peer() const noexcept { return peer_; }

 private:
  ErrorKind kind_;
  std::string operation_;
  std::string peer_;
  std::string text_;
};

// The stream ended too early; received() has the bytes that arrived.
class IncompleteRead : public Error {
 public:
  IncompleteRead(std::string_view peer, std::string received, std::size_t wanted);
  [[nodiscard]] const std::string& received() const noexcept { return received_; }

 private:
  std::string received_;
};

// Cancellation of a task: thrown by every await until the cancelled scope has ended. Do not catch it: it has no base
// class, so that neither `catch (const Error&)` nor `catch (const std::exception&)` does.
struct Cancelled final {
  [[nodiscard]] static const char* what() noexcept { return "cancelled"; }
};

}  // namespace coax
