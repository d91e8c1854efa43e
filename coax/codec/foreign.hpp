// What else may speak to a port for lines or frames. A web page of any origin can make a browser send a request there,
// whose headers and body would be taken for messages. Pure: no descriptor, no clock.
//
// The first bytes of a connection decide: what a browser sends begins with the method, and a page cannot change that.
#pragma once

#include <cstdint>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "coax/base/error.hpp"

namespace coax {

enum class ForeignProtocol : std::uint8_t { none, http, tls, ssh };

std::string_view to_string(ForeignProtocol protocol) noexcept;  // "HTTP"
// What to send before the connection is closed: a response 400, a fatal alert, or a line.
// Lifetime: that of the program.
BytesView foreign_answer(ForeignProtocol protocol) noexcept;

// Recognises an HTTP request line of any method ("POST / HTTP/1.1", CR or LF), a TLS record and an SSH banner. A text
// such as "GET well soon" is none.
// Source: RFC 9112, section 3; RFC 8446, section 5.1; RFC 4253, section 4.2.
class ForeignDetector {
 public:
  // The bytes of a connection in their order, however they are cut.
  // Returns: what they are, once that is certain; none before that, and for good when they are something else.
  ForeignProtocol feed(BytesView bytes) noexcept;

 private:
  enum class State : std::uint8_t { start, method, target, version, line_end, decided };
  void feed_http(char c) noexcept;

  State state_ = State::start;
  std::uint8_t matched_ = 0;      // of " HTTP/1.1"
  std::uint8_t ssh_matched_ = 0;  // of "SSH-2.0-"
  bool is_first_ = true;
};

// Thrown by readers of lines and frames, once; then they give the end, and the connection should be closed.
struct ForeignProtocolError : Error {
  ForeignProtocolError(ForeignProtocol which, std::string_view peer);
};

}  // namespace coax
