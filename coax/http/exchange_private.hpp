// Exchange: the part of an HTTP connection that exists only while it is active: the request that is read, and the
// queued responses. Exchanges are pooled, so that a connection between two requests holds none.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "coax/codec/http1.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

// Throws: Error(invalid) for what Exchange::write() would refuse: a status that is none, a header that cannot be one.
void require_writable(const Response& response);

// Whether a response of that status is sent with its body (RFC 9110, section 6.4.1). is_head: it answers HEAD.
bool sends_body(bool is_head, int status) noexcept;

class Exchange {
 public:
  struct GiveBack {
    void operator()(Exchange* exchange) const noexcept;
  };
  using Pointer = std::unique_ptr<Exchange, GiveBack>;
  static Pointer take(const http1::Limits& limits);

  http1::RequestParser parser;
  std::optional<http1::Failure> failure;  // of reading
  std::optional<Request> request;         // the one being answered
  std::string handed_body;                // of a request whose handler or middleware runs before the body is read
  const Route* route = nullptr;           // its route, once that is known
  std::optional<Response> refusal;        // without a route
  std::optional<StreamedBody> streamed;   // the streamed part of a response whose head is written
  std::optional<FileRange> file;          // or the part of a file that is its body
  ws::Handshake handshake;                // of a WebSocket that is being accepted
  bool is_chunked = false;                // chunked transfer coding
  Duration body_credit{};                 // how long the body may still be waited for: AppOptions::body_rate_min

  // Updates the date for the following responses, which then need no clock.
  static void update_date() noexcept;
  struct How {
    std::string_view connection;  // two more blocks of fields
    std::string_view fixed_fields;
    bool head_only;  // a response to HEAD
    bool may_chunk;  // a body of unknown length
  };
  // Writes the framing and connection fields itself: those in the response (Content-Length, Transfer-Encoding,
  // Connection, Keep-Alive, Trailer) are dropped. A Date of the response is kept when it is a date.
  // Throws: Error(invalid), with nothing written, when a header is invalid, or the status is not in 200 to 599.
  // Returns: false when `streamed` or `file` is the body, which must still be sent.
  bool write(Response&& response, const How& how);
  std::string& answers() noexcept { return out_; }
  [[nodiscard]] bool has_answers() const noexcept { return !out_.empty(); }
  [[nodiscard]] bool is_full() const noexcept { return out_.size() >= out_bytes_max || !long_body_.empty(); }
  // Valid until they are sent.
  [[nodiscard]] std::span<const BytesView> pieces() noexcept {
    pieces_ = {BytesView(out_), long_body_};
    return std::span(pieces_).first(long_body_.empty() ? 1 : 2);
  }
  void sent() noexcept;

 private:
  static constexpr std::size_t out_bytes_max = 16 * 1024;
  static constexpr std::size_t copied_body_max = 4 * 1024;  // longer ones are sent without a copy
  static constexpr std::size_t kept_bytes_max = 64 * 1024;

  std::string out_;
  std::string body_;     // a long one
  BytesView long_body_;  // body_, or static bytes
  std::array<BytesView, 2> pieces_;
};

}  // namespace coax::http
