// Detection of HTTP, TLS and SSH by their first bytes, and the answers to them.
#include "coax/codec/foreign.hpp"

#include <utility>

#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"

namespace coax {

namespace {

constexpr char tls_handshake = '\x16';                  // the type of a record; no text begins with it
constexpr std::string_view version_pattern = "HTTP/#";  // '#': any digit; ".1" is optional
constexpr std::string_view ssh_pattern = "SSH-#.#";     // 2.0, 1.99

bool fits(char pattern, char c) noexcept { return pattern == '#' ? is_digit(c) : pattern == c; }

}  // namespace

ForeignProtocol ForeignDetector::feed(BytesView bytes) noexcept {
  for (const char c : bytes) {
    if (state_ == State::decided) return ForeignProtocol::none;
    if (std::exchange(is_first_, false) && c == tls_handshake) return ForeignProtocol::tls;
    const bool is_ssh = ssh_matched_ < ssh_pattern.size() && fits(ssh_pattern[ssh_matched_], c);
    ssh_matched_ = is_ssh ? static_cast<std::uint8_t>(ssh_matched_ + 1) : UINT8_MAX;
    if (ssh_matched_ == ssh_pattern.size()) return ForeignProtocol::ssh;
    if (state_ == State::line_end && (c == '\r' || c == '\n')) return ForeignProtocol::http;
    feed_http(c);
  }
  return ForeignProtocol::none;
}

// method SP target SP "HTTP/" digit [ "." digit ]
void ForeignDetector::feed_http(char c) noexcept {
  const auto next = [&](bool good, State state) { state_ = good ? state : State::decided; };
  switch (state_) {
    case State::start: return next(http1::is_token_char(c), State::method);
    case State::method: return c == ' ' ? next(true, State::target) : next(http1::is_token_char(c), State::method);
    case State::target:
      if (c == ' ') return next(std::exchange(matched_, 0) != 0, State::version);
      matched_ = 1;  // at least one character
      return next(c > ' ' && c != '\x7F', State::target);
    case State::version:
      if (!fits(version_pattern[matched_], c)) return next(false, State::decided);
      ++matched_;
      return next(true, matched_ == version_pattern.size() ? State::line_end : State::version);
    case State::line_end: return next(c == '.' || is_digit(c), State::line_end);
    case State::decided: break;
  }
}

std::string_view to_string(ForeignProtocol protocol) noexcept {
  switch (protocol) {
    case ForeignProtocol::none: return "no other protocol";
    case ForeignProtocol::http: return "HTTP";
    case ForeignProtocol::tls: return "TLS";
    case ForeignProtocol::ssh: return "SSH";
  }
  return "?";
}

BytesView foreign_answer(ForeignProtocol protocol) noexcept {
  switch (protocol) {
    case ForeignProtocol::http:
      return "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 56\r\n"
             "Connection: close\r\n\r\nThis port is for messages of text. It is no web server.\n";
    case ForeignProtocol::tls:  // an alert of two bytes: fatal, unexpected_message (RFC 8446, section 6)
      return {"\x15\x03\x01\x00\x02\x02\x0a", 7};
    case ForeignProtocol::ssh: return "This port is for messages of text. It is no SSH server.\r\n";
    case ForeignProtocol::none: break;
  }
  return {};
}

ForeignProtocolError::ForeignProtocolError(ForeignProtocol which, std::string_view peer)
    : Error(ErrorKind::protocol, "recv from", peer,
            "it speaks " + std::string(to_string(which)) + ", which this port does not; the connection is closed") {}

}  // namespace coax
