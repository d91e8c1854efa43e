// Http1Connection: one HTTP/1.1 connection of a server. Requests that need no waiting are answered in a loop without a
// coroutine: the responses are gathered and sent together. Only waits use a coroutine: for bytes, for a handler, for
// room for more responses.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "coax/http/exchange_private.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

class Http1Connection {
 public:
  // The wait that is needed to continue.
  enum class Step : std::uint8_t {
    request,   // another one
    rest,      // the missing bytes of the current one
    handler,   // an asynchronous one
    response,  // with a streamed body
    room,      // for more responses
    nothing,   // the connection has ended, or is handed over
  };
  // The connection after a response of status 101.
  struct HandOver {
    std::unique_ptr<Upgrade> upgrade;               // of a response with one, or
    detail::WebSocketHandler* websocket = nullptr;  // of a route,
    const ws::Options* options = nullptr;           // with these options
    // `early`: bytes that the client sent before it received the response.
    ws::Handshake handshake;
    Exchange::Pointer exchange;  // with the request, for a handler that has a parameter for it
  };

  Http1Connection(coax::Connection& connection, const Site& site) : connection_(connection), site_(site) {}
  Http1Connection(const Http1Connection&) = delete;
  Http1Connection& operator=(const Http1Connection&) = delete;
  ~Http1Connection() { hold_body(0); }

  // Answers requests as long as that needs no wait.
  Step answer();
  // Before these, the responses so far must have been sent.
  Task<> run_handler();
  Task<> send_streamed();
  Task<> read_rest();
  // Between two requests, only this object is kept.
  void rest() noexcept;
  void feed(BytesView bytes) noexcept;  // of requests; none: the peer has shut down its side

  [[nodiscard]] bool has_responses() const noexcept { return exchange_ && exchange_->has_answers(); }
  [[nodiscard]] std::span<const BytesView> responses() noexcept { return exchange_->pieces(); }
  void responses_are_sent() noexcept { exchange_->sent(); }
  bool queue_responses() noexcept;                      // for the end of the turn; false: there are too many
  [[nodiscard]] std::unique_ptr<HandOver> hand_over();  // null: the connection has ended

 private:
  class Reader;
  class Writer;

  Step route();
  Step respond();
  bool make_request(std::string& body);
  Response refusal_of(http1::Failure failure);
  Step refuse(http1::Failure failure);
  Step refuse_body(http1::Failure failure);
  Step answer_unrouted();
  Step refuse_tls();
  Response accept_websocket(Request& request);
  Task<> read_body();
  Task<> wait_disconnected();
  bool hold_body(std::size_t bytes) noexcept;
  Task<> read_head();
  Task<> read_body_until(bool (http1::Parser::*is_there)() const, bool is_held);
  Task<> recv_body(bool is_held);
  void account_body(std::size_t bytes, Duration waited) noexcept;
  Task<> recv_more();
  Task<> send_responses();
  void parse();
  bool write(Response&& response);
  bool write_switching(Response&& response);
  Response failure_response(bool is_cut_short);
  Task<> send_file();
  void record_cut_body(std::string_view peer, std::string_view reason);
  void end_request() noexcept;
  [[nodiscard]] bool keeps_alive() const noexcept {
    return exchange_->parser.head().keep_alive && !connection_.draining();
  }

  coax::Connection& connection_;
  const Site& site_;
  Exchange::Pointer exchange_;
  BytesView unread_;   // lent until the next recv(), or
  std::string ahead_;  // received while a response was awaited
  std::unique_ptr<Upgrade> upgrade_;
  detail::WebSocketHandler* websocket_ = nullptr;
  std::size_t held_bytes_ = 0;  // of the body, as the site counts it
  bool ended_ = false;          // no further request is answered
};

}  // namespace coax::http
