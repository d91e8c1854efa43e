// Exchange: what an HTTP connection has only while there is something to do: the request that is read, and the answers
// that gather. They are kept for reuse, so that a connection between two requests holds none.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "coax/codec/http1.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

class Exchange {
 public:
  struct GiveBack {
    void operator()(Exchange* exchange) const noexcept;
  };
  using Pointer = std::unique_ptr<Exchange, GiveBack>;
  static Pointer take(const http1::Limits& limits);

  http1::RequestParser parser;
  std::optional<http1::Failure> failure;  // of reading
  std::optional<Request> request;         // that is answered
  const Route* route = nullptr;           // that answers it
  std::optional<Response> refusal;        // instead, where there is no route
  std::optional<StreamedBody> streamed;   // the rest of a response whose head is written
  bool is_chunked = false;                // that rest

  // The date of the answers that follow, without a look at the clock for each.
  static void update_date() noexcept;
  struct How {
    std::string_view connection;  // two more blocks of fields
    std::string_view fixed_fields;
    bool head_only;  // a response to HEAD
    bool may_chunk;  // a body of unknown length
  };
  // What the framing and the connection need is written here alone: such headers of the
  // response (Content-Length, Transfer-Encoding, Connection, Keep-Alive, Date, Trailer) are left out.
  // Throws: Error(invalid), with nothing written, when a header cannot be one, or the status is not of 200 to 599.
  // Returns: false when `streamed` is the body, which is still to be sent.
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
  static constexpr std::size_t copied_body_max = 4 * 1024;  // longer ones are sent from where they are
  static constexpr std::size_t kept_bytes_max = 64 * 1024;

  std::string out_;
  std::string body_;     // a long one
  BytesView long_body_;  // it, or what lasts
  std::array<BytesView, 2> pieces_;
};

}  // namespace coax::http
