// Http1Connection: one HTTP/1.1 connection of a server. What has arrived and needs no waiting is answered in one go,
// without a coroutine: the responses are gathered and sent together. Only what must be waited for is awaited: bytes, a
// handler that waits, room for more responses.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "coax/http/exchange_private.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

class Http1Connection {
 public:
  // What has to be waited for before it continues.
  enum class Step : std::uint8_t {
    request,   // another one
    rest,      // of the request that has begun
    handler,   // which may take its time
    response,  // whose body is made while it is sent
    room,      // for more responses
    nothing,   // the connection has come to its end, or is handed over
  };
  // What becomes of the connection after a response of status 101.
  struct HandOver {
    std::unique_ptr<Upgrade> upgrade;               // of a response with one, or
    detail::WebSocketHandler* websocket = nullptr;  // of a route
    std::string early;                              // what the client sent before it had the response
    Exchange::Pointer exchange;                     // with the request, where the handler asks for it
  };

  Http1Connection(coax::Connection& connection, const Site& site) : connection_(connection), site_(site) {}
  Http1Connection(const Http1Connection&) = delete;
  Http1Connection& operator=(const Http1Connection&) = delete;
  ~Http1Connection() { release_body(); }

  // Answers what can be answered without waiting.
  Step answer();
  // Before these, the responses so far must have been sent.
  Task<> run_handler();
  Task<> send_streamed();
  Task<> read_rest();
  // Between two requests nothing is held but this object.
  void rest() noexcept;
  void feed(BytesView bytes) noexcept;  // of requests; none: the peer has shut down its side

  [[nodiscard]] bool has_responses() const noexcept { return exchange_ && exchange_->has_answers(); }
  [[nodiscard]] std::span<const BytesView> responses() noexcept { return exchange_->pieces(); }
  void responses_are_sent() noexcept { exchange_->sent(); }
  bool queue_responses() noexcept;  // for the end of the turn; false: there are too many
  [[nodiscard]] HandOver hand_over();

 private:
  class Reader;
  class Writer;

  Step route();
  Step respond();
  bool make_request();
  Response refusal_of(http1::Failure failure);
  Step refuse(http1::Failure failure);
  Step refuse(Response&& response, std::string_view reason);
  Step refuse_tls();
  Response accept_websocket(const Request& request);
  bool reserve_body();
  void release_body() noexcept;
  Task<> read_part(bool (http1::Parser::*is_there)() const, Duration limit);
  Task<> read_until(bool (http1::Parser::*is_there)() const);
  Task<> recv_more();
  Task<> send_responses();
  void parse();
  bool write(Response&& response);
  bool write_switching(Response&& response);
  void write_failure();
  void end_request() noexcept;
  [[nodiscard]] bool keeps_alive() const noexcept {
    return exchange_->parser.head().keep_alive && !connection_.draining();
  }

  coax::Connection& connection_;
  const Site& site_;
  Exchange::Pointer exchange_;
  BytesView unread_;   // lent until the next recv(), or
  std::string ahead_;  // kept while a response was waited for
  std::unique_ptr<Upgrade> upgrade_;
  detail::WebSocketHandler* websocket_ = nullptr;
  std::size_t reserved_ = 0;  // of the site's bodies
  bool ended_ = false;        // nothing more is answered
};

}  // namespace coax::http
