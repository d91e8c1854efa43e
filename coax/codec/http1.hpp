// HTTP/1.0 and 1.1 messages (RFC 9112): bytes in, a head and a body out, and heads written. Pure: no descriptor, no
// clock.
//
// Stricter than the RFC asks, since each leniency is a way to smuggle a second request past a proxy that reads the
// bytes otherwise: only CRLF ends a line, no field is folded, the length is said once or the body is chunked and
// nothing else.
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

// What is wrong with a message. After it the connection can only be closed, as where the next message starts is not
// known.
struct Failure {
  int status;               // to answer with; 502 when it is a response that is wrong
  std::string_view reason;  // for a log; lives as long as the program
};

struct Limits {
  std::size_t start_line_bytes_max = 8 * 1024;  // with its CRLF; above: 414
  std::size_t head_bytes_max = 16 * 1024;       // start line and fields; above: 431
  std::size_t fields_max = 100;                 // above: 431
  // Without the framing of chunks; above: 413. A parser counts what a body has, also where it is taken out.
  std::size_t body_bytes_max = 1024 * 1024;
};

struct Head {
  std::string_view method;  // of a request
  std::string_view target;
  int status = 0;  // of a response
  std::string_view reason;
  int version_minor = 0;      // HTTP/1.0 or 1.1
  std::vector<Field> fields;  // as they came
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = false;  // another message may follow on this connection (RFC 9112, section 9.3)

  [[nodiscard]] http::Fields view() const noexcept { return {fields}; }
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept { return view().find(name); }
  [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const {
    return view().has_token(name, token);
  }
};

// What the two parsers have in common. A parser stays where it is, as its head has views into it.
class Parser {
 public:
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Takes bytes of at most one message and tells how many; the rest belongs to the next one, after reset(). Once done()
  // takes none. After a Failure every call gives the same one. Borrows the bytes for the call only.
  std::expected<std::size_t, Failure> feed(BytesView bytes);
  // The same without a copy of a head that comes whole: until keep() or reset() its views may be into `bytes`.
  std::expected<std::size_t, Failure> feed_lent(BytesView bytes);
  // The bytes that were lent go away: what is still needed of them is copied.
  void keep();
  // Some byte has come since the last message.
  [[nodiscard]] bool started() const noexcept { return state_ != State::head || !raw_.empty() || skipped_line_; }
  [[nodiscard]] bool head_done() const noexcept { return state_ > State::head; }
  [[nodiscard]] bool done() const noexcept { return state_ == State::done; }
  // Complete when head_done(). Its views live until reset() or the parser's end, after feed_lent() until keep().
  [[nodiscard]] const Head& head() const noexcept { return head_; }
  // Some of the body can be taken out, or no more will be.
  [[nodiscard]] bool has_body_bytes() const noexcept { return !body_.empty() || done(); }
  // From now on the body may have so many bytes: what a server knows once it has read the head. A Failure (413) when
  // it has more already, or says so.
  std::expected<void, Failure> limit_body(std::size_t bytes_max) noexcept;
  // What came of the body. May be taken out after each feed(), to stream a long one; the limit stays on the whole.
  [[nodiscard]] std::string& body() noexcept { return body_; }

 protected:
  enum class Kind : std::uint8_t { request, response, response_to_head, response_to_connect };
  enum class State : std::uint8_t { failed, head, sized_body, chunked_body, body_until_end, done };

  Parser(Kind kind, const Limits& limits) noexcept : limits_(limits), kind_(kind) {}
  ~Parser() = default;
  void reset(Kind kind) noexcept;
  void set_limits(const Limits& limits) noexcept { limits_ = limits; }
  void fail(int status, std::string_view reason) noexcept;

  std::optional<Failure> failure_;
  std::uint64_t body_bytes_ = 0;  // that came
  State state_ = State::head;

 private:
  std::size_t take_head(BytesView bytes);
  std::size_t read_head(std::string_view text, bool is_whole);
  void check_limits(std::size_t head_bytes) noexcept;
  void check_start_line(BytesView last);
  void end_head();
  void frame_body();
  [[nodiscard]] bool may_have_body() const noexcept;
  std::size_t take_body(BytesView bytes);
  std::size_t take_chunks(BytesView bytes);

  Limits limits_;
  std::string raw_;        // the head as it comes
  std::string_view lent_;  // or where it is, whole
  Head head_;
  std::string body_;
  ChunkedDecoder chunks_;
  std::size_t line_start_ = 0;  // in raw_, of the line that is not complete
  std::size_t lines_ = 0;       // that are complete
  bool skipped_line_ = false;
  Kind kind_;
};

class RequestParser : public Parser {
 public:
  explicit RequestParser(const Limits& limits = {}) noexcept : Parser(Kind::request, limits) {}
  // The client waits for "100 Continue" before it sends the body (RFC 9110, section 10.1.1).
  [[nodiscard]] bool expects_continue() const noexcept;
  // For the next request on the connection; keeps the memory that the head took.
  void reset() noexcept { Parser::reset(Kind::request); }
  // For a request on another connection.
  void reset(const Limits& limits) noexcept {
    set_limits(limits);
    reset();
  }
};

class ResponseParser : public Parser {
 public:
  // The method of the request that is answered: the responses to HEAD and CONNECT have no body.
  explicit ResponseParser(std::string_view request_method, const Limits& limits = {}) noexcept;
  // The connection has ended, which completes a body without a length; a Failure when the message is cut short.
  std::expected<void, Failure> finish();
  // For the next response on the connection, which after a status 1xx answers the same request.
  void reset(std::string_view request_method) noexcept;

 private:
  static Kind kind_of_response(std::string_view request_method) noexcept;
};

// "Not Found" of 404; empty when the status has no name.
std::string_view reason_phrase(int status) noexcept;

// Throws Error (invalid) when the name is not a token or the value has control characters: nothing that is written can
// start another field.
void require_safe(const Field& field);
// Appends "HTTP/1.1 200 OK" and the fields with the empty line after them, if all are safe; else `out` is as it was.
void append_response_head(std::string& out, int status, std::span<const Field> fields);
// Appends "GET /path HTTP/1.1" and the fields, with the same care.
void append_request_head(std::string& out, std::string_view method, std::string_view target,
                         std::span<const Field> fields);

}  // namespace coax::http1
