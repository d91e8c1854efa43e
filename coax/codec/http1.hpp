// HTTP/1.0 and 1.1 messages (RFC 9112): bytes in, a head and a body out; and heads written. Pure: no descriptor, no
// clock.
//
// Stricter than the RFC, since each leniency allows request smuggling through a proxy that parses the bytes otherwise:
// only CRLF ends a line, no field is folded, and a body has either one length or the chunked coding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/codec/chunked.hpp"
#include "coax/codec/http.hpp"

namespace coax::http1 {

using http::Field;

// The error of a message. The connection must then be closed, since the start of the next message is unknown.
struct Failure {
  int status;               // of the answer; 502 for an invalid response
  std::string_view reason;  // for a log; static
  // The limit that the message is above, as it is called in Limits, and its value; empty: it is above none.
  std::string_view limit = {};
  std::uint64_t limit_value = 0;
};

struct Limits {
  std::size_t start_line_bytes_max = 8 * 1024;  // with its CRLF; above: 414
  std::size_t head_bytes_max = 16 * 1024;       // start line and fields; above: 431
  std::size_t fields_max = 100;                 // above: 431
  // Without the framing of chunks; above: 413. It is for the whole body, even when parts were taken out of body().
  std::size_t body_bytes_max = 1024 * 1024;
};

struct Head {
  std::string_view method;  // of a request
  std::string_view target;
  int status = 0;  // of a response
  std::string_view reason;
  int version_minor = 0;      // HTTP/1.0 or 1.1
  std::vector<Field> fields;  // in their order
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = false;  // another message may follow on this connection (RFC 9112, section 9.3)

  [[nodiscard]] http::Fields view() const noexcept { return {fields}; }
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept { return view().find(name); }
  [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const {
    return view().has_token(name, token);
  }
};

// The common part of the two parsers. A parser cannot be moved, as its head has views into it.
class Parser {
 public:
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Consumes bytes of at most one message; after done() and before reset() it consumes none. After a Failure every call
  // returns the same one. Borrows the bytes for the call only.
  // Returns: the count of consumed bytes; the others belong to the next message, after reset().
  std::expected<std::size_t, Failure> feed(BytesView bytes);
  // The same without a copy of a head that is complete in `bytes`: until keep() or reset() its views may refer to them.
  std::expected<std::size_t, Failure> feed_lent(BytesView bytes);
  // Before the bytes of feed_lent() are released: copies those that are still needed.
  void keep();
  // Whether a byte of the next message was received.
  [[nodiscard]] bool started() const noexcept { return state_ != State::head || !raw_.empty() || skipped_line_; }
  [[nodiscard]] bool head_done() const noexcept { return state_ > State::head; }
  // The same after a Failure, too, when only the body is refused: head() says for whom the answer is.
  [[nodiscard]] bool has_head() const noexcept { return has_head_; }
  [[nodiscard]] bool done() const noexcept { return state_ == State::done; }
  // Complete when head_done(). Its views are valid until reset() or the parser's end, after feed_lent() until keep().
  [[nodiscard]] const Head& head() const noexcept { return head_; }
  // The first line, as far as it was received: for the log of a message that is refused, also before head_done().
  // Untrusted bytes. Lifetime: as head().
  [[nodiscard]] std::string_view start_line() const noexcept;
  // Whether a part of the body can be taken out, or the body is complete.
  [[nodiscard]] bool has_body_bytes() const noexcept { return !body_.empty() || done(); }
  // Limits the body from now on: servers know the limit once they have the head. A Failure (413) when the body is
  // already longer, or announces it.
  std::expected<void, Failure> limit_body(std::size_t bytes_max) noexcept;
  // The received body. Parts may be taken out after each feed(), to stream a long one; the limit is for the whole.
  [[nodiscard]] std::string& body() noexcept { return body_; }
  // Of a chunked body, when done(): the first trailer field of that name. Never one of the head's fields (RFC 9110,
  // section 6.5.1).
  [[nodiscard]] std::optional<std::string_view> trailer(std::string_view name) const noexcept;

 protected:
  enum class Kind : std::uint8_t { request, response, response_to_head, response_to_connect };
  enum class State : std::uint8_t { failed, head, sized_body, chunked_body, body_until_end, done };

  Parser(Kind kind, const Limits& limits) noexcept : limits_(limits), kind_(kind) {}
  ~Parser() = default;
  void reset(Kind kind) noexcept;
  void set_limits(const Limits& limits) noexcept { limits_ = limits; }
  void fail(const Failure& failure) noexcept;

  std::optional<Failure> failure_;
  std::uint64_t body_bytes_ = 0;  // received so far
  State state_ = State::head;

 private:
  std::size_t take_head(BytesView bytes);
  std::size_t read_head(std::string_view text, bool is_whole);
  void check_limits(std::size_t head_bytes) noexcept;
  void fail_body_too_long() noexcept;
  void keep_start(BytesView bytes);
  void check_start_line(BytesView last);
  void end_head();
  void frame_body();
  [[nodiscard]] bool may_have_body() const noexcept;
  std::size_t take_body(BytesView bytes);
  std::size_t take_chunks(BytesView bytes);

  Limits limits_;
  std::string raw_;        // the head as received so far
  std::string_view lent_;  // or the bytes of feed_lent() with the whole head
  Head head_;
  std::string body_;
  ChunkedDecoder chunks_;
  std::size_t line_start_ = 0;  // in raw_, of the incomplete line
  std::size_t lines_ = 0;       // complete lines
  bool skipped_line_ = false;
  bool has_head_ = false;
  Kind kind_;
};

class RequestParser : public Parser {
 public:
  explicit RequestParser(const Limits& limits = {}) noexcept : Parser(Kind::request, limits) {}
  // The client waits for "100 Continue" before it sends the body (RFC 9110, section 10.1.1).
  [[nodiscard]] bool expects_continue() const noexcept;
  // For the next request on the connection; keeps the memory of the head.
  void reset() noexcept { Parser::reset(Kind::request); }
  // For a request on another connection.
  void reset(const Limits& limits) noexcept {
    set_limits(limits);
    reset();
  }
};

class ResponseParser : public Parser {
 public:
  // request_method: of the answered request, since the responses to HEAD and CONNECT have no body.
  explicit ResponseParser(std::string_view request_method, const Limits& limits = {}) noexcept;
  // The connection has ended, which completes a body without a length; a Failure when the message is incomplete.
  std::expected<void, Failure> finish();
  // For the next response on the connection, which after a status 1xx answers the same request.
  void reset(std::string_view request_method) noexcept;

 private:
  static Kind kind_of_response(std::string_view request_method) noexcept;
};

// "Not Found" for 404; empty when the status has no name.
std::string_view reason_phrase(int status) noexcept;

// Throws: Error(invalid) when the name is not a token or the value has control characters: a written field can never
// start another one.
void require_safe(const Field& field);
// The same for a trailer field, which neither frames, routes nor authenticates a message, nor describes its content
// (RFC 9110, section 6.5.1).
void require_trailer(const Field& field);
// Appends "HTTP/1.1 200 OK" and the fields with the empty line after them.
// Throws: as require_safe(), and `out` is unchanged.
void append_response_head(std::string& out, int status, std::span<const Field> fields);
// Appends "GET /path HTTP/1.1" and the fields, with the same checks.
void append_request_head(std::string& out, std::string_view method, std::string_view target,
                         std::span<const Field> fields);

}  // namespace coax::http1
