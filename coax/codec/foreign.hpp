// Other protocols on a port for lines or frames. A web page of any origin can make a browser send a request to it,
// whose headers and body would be read as messages (cross-protocol attack). Pure: no descriptor, no clock.
//
// The first bytes of a connection decide: a browser's request begins with the method, which a page cannot change.
#pragma once

#include <cstdint>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "coax/base/error.hpp"

namespace coax {

enum class ForeignProtocol : std::uint8_t { none, http, tls, ssh };

std::string_view to_string(ForeignProtocol protocol) noexcept;  // "HTTP"
// The bytes to send before the connection is closed: a response 400, a fatal alert, or a line.
// Lifetime: static.
BytesView foreign_answer(ForeignProtocol protocol) noexcept;

// Detects an HTTP request line of any method ("POST / HTTP/1.1", CR or LF), a TLS record and an SSH banner. A text such
// as "GET well soon" is not one.
// Source: RFC 9112, section 3; RFC 8446, section 5.1; RFC 4253, section 4.2.
class ForeignDetector {
 public:
  // Feed the bytes of a connection in their order, split anywhere.
  // Returns: the protocol once it is certain; none before that, and for all later calls when it is another protocol.
  ForeignProtocol feed(BytesView bytes) noexcept;

 private:
  enum class State : std::uint8_t { start, method, target, version, line_end, decided };
  void feed_http(char c) noexcept;

  State state_ = State::start;
  std::uint8_t matched_ = 0;      // of " HTTP/1.1"
  std::uint8_t ssh_matched_ = 0;  // of "SSH-2.0-"
  bool is_first_ = true;
};

// Thrown by readers of lines and frames, once; then they report the end, and the connection should be closed.
struct ForeignProtocolError : Error {
  ForeignProtocolError(ForeignProtocol which, std::string_view peer);
};

}  // namespace coax
