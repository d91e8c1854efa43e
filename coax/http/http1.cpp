// Requests in their order: routing, whether the body is read, and responses without a route.
#include <fmt/core.h>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/foreign.hpp"
#include "coax/http/http1_private.hpp"
#include "coax/task/scope.hpp"

namespace coax::http {

using Step = Http1Connection::Step;

Step Http1Connection::answer() {
  Exchange::update_date();
  while (!ended_) {
    if (!exchange_) {
      if (unread_.empty()) return Step::request;
      exchange_ = Exchange::take(site_.parser_limits());
      constexpr char tls_handshake = 0x16;  // the first byte of a ClientHello (RFC 8446, section 5.1)
      if (unread_.data()[0] == tls_handshake) return refuse_tls();
    }
    if (exchange_->is_full()) return Step::room;
    parse();
    const bool is_new = exchange_->parser.has_head() && !exchange_->request && exchange_->route == nullptr;
    if (exchange_->failure) return is_new ? refuse_body(*exchange_->failure) : refuse(*exchange_->failure);
    if (is_new) {
      if (const Step step = route(); step != Step::request) return step;
      if (!exchange_->request) continue;  // it was answered
    }
    if (!exchange_->parser.done()) return exchange_->parser.started() ? Step::rest : Step::request;
    if (const Step step = respond(); step != Step::request) return step;
  }
  return Step::nothing;
}

void Http1Connection::parse() {
  if (unread_.empty()) return;
  const auto taken = exchange_->parser.feed_lent(unread_);
  if (!taken) exchange_->failure = taken.error();
  unread_ = taken ? unread_.from(*taken) : BytesView();
}

void Http1Connection::rest() noexcept {
  exchange_.reset();
  connection_.set_busy(false);
  connection_.set_idle_max(site_.options().keep_alive);
}

void Http1Connection::feed(BytesView bytes) noexcept {
  connection_.set_idle_max(std::nullopt);
  connection_.set_busy(true);
  unread_ = bytes;
  ended_ = bytes.empty();
}

bool Http1Connection::queue_responses() noexcept {
  if (exchange_->pieces().size() != 1 || !connection_.stream().queue(exchange_->pieces()[0])) return false;
  exchange_->sent();
  return true;
}

Task<> Http1Connection::send_responses() {
  if (!has_responses()) co_return;
  co_await connection_.stream().send(responses());
  responses_are_sent();
}

Task<> Http1Connection::read_rest() {
  http1::RequestParser& parser = exchange_->parser;
  parser.keep();
  if (!parser.head_done()) {
    co_await read_head();
    co_return;  // its fields decide whether the body is read
  }
  if (exchange_->failure || ended_ || parser.done()) co_return;
  exchange_->request.reset();  // it refers to the previous position of the head
  co_await read_body();
  if (!exchange_->failure && !ended_) make_request(parser.body());
}

namespace {

http1::Failure too_many_bodies(const AppOptions& options) {
  return {.status = 503,
          .reason = "too many bodies are being read",
          .limit = "bodies_bytes_max",
          .limit_value = options.bodies_bytes_max};
}

// `limit`: a duration of the options.
http1::Failure too_late(std::string_view limit, Duration value) {
  return {.status = 408,
          .reason = "the request did not come in time",
          .limit = limit,
          .limit_value = static_cast<std::uint64_t>(std::chrono::floor<std::chrono::milliseconds>(value).count())};
}

http1::Failure too_slow(std::size_t rate_min) {
  return {.status = 408, .reason = "the body comes too slowly", .limit = "body_rate_min", .limit_value = rate_min};
}

// "a body that is too long; body_bytes_max is 1MiB"
std::string with_limit(const http1::Failure& failure) {
  const std::string_view name = failure.limit;
  if (name.empty()) return std::string(failure.reason);
  const bool is_size = name.ends_with("bytes_max");
  const bool is_duration = name == "head" || name == "body";
  const std::string value = is_size       ? format_size(failure.limit_value)
                            : is_duration ? format_duration(std::chrono::milliseconds(failure.limit_value))
                                          : std::to_string(failure.limit_value);
  return fmt::format("{}; {} is {}", failure.reason, name, value);
}

}  // namespace

// To its end, into the parser. When it cannot be read, the reason is in exchange_->failure, or the connection has
// ended.
Task<> Http1Connection::read_body() {
  http1::RequestParser& parser = exchange_->parser;
  if (!site_.has_room_for_body(parser.head().content_length.value_or(0)) || !hold_body(parser.body().size())) {
    exchange_->failure = too_many_bodies(site_.options());
    co_return;
  }
  if (parser.expects_continue()) co_await connection_.stream().send("HTTP/1.1 100 Continue\r\n\r\n");
  co_await read_body_until(&http1::Parser::done, true);
}

// Counts the body as that long, among those in memory. False: there are too many.
bool Http1Connection::hold_body(std::size_t bytes) noexcept {
  if (bytes > held_bytes_ && !site_.reserve_body(bytes - held_bytes_)) return false;
  if (bytes < held_bytes_) site_.release_body(held_bytes_ - bytes);
  held_bytes_ = bytes;
  return true;
}

Task<> Http1Connection::read_head() {
  const auto read = [this]() -> Task<> {
    while (!exchange_->failure && !ended_ && !exchange_->parser.head_done()) co_await recv_more();
  };
  try {
    co_await timeout(site_.options().head, read());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    exchange_->failure = too_late("head", site_.options().head);
  }
}

// `is_held`: the whole body stays in memory.
Task<> Http1Connection::read_body_until(bool (http1::Parser::*is_there)() const, bool is_held) {
  const AppOptions& options = site_.options();
  const Backend& clock = Loop::current().backend();
  const TimePoint end = clock.now() + options.body;
  bool is_slow = false;
  try {
    while (!exchange_->failure && !ended_ && !(exchange_->parser.*is_there)()) {
      const Duration left = end - clock.now();
      is_slow = options.body_rate_min && exchange_->body_credit < left;
      co_await timeout(is_slow ? exchange_->body_credit : left, recv_body(is_held));
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    exchange_->failure = is_slow ? too_slow(*options.body_rate_min) : too_late("body", options.body);
  }
}

// Each byte adds to the credit the time that it may take, and waiting uses it up.
void Http1Connection::account_body(std::size_t bytes, Duration waited) noexcept {
  const AppOptions& options = site_.options();
  if (!options.body_rate_min) return;
  const Duration earned = Duration(std::chrono::seconds(bytes)) / *options.body_rate_min;
  const Duration most = std::max(options.body, options.body_grace);
  exchange_->body_credit = std::min(exchange_->body_credit + earned - waited, most);
}

Task<> Http1Connection::recv_body(bool is_held) {
  const Backend& clock = Loop::current().backend();
  exchange_->parser.keep();
  const TimePoint began = clock.now();
  unread_ = co_await connection_.stream().recv();
  ended_ = unread_.empty();
  account_body(unread_.size(), clock.now() - began);
  if (is_held && !hold_body(exchange_->parser.body().size() + unread_.size())) {
    exchange_->failure = too_many_bodies(site_.options());
    unread_ = {};
  }
  parse();
}

Task<> Http1Connection::recv_more() {
  exchange_->parser.keep();
  unread_ = co_await connection_.stream().recv();
  ended_ = unread_.empty();
  parse();
}

// False: the target is malformed.
bool Http1Connection::make_request(std::string& body) {
  const http1::Head& head = exchange_->parser.head();
  const RequestHead neutral{.method = head.method,
                            .target = head.target,
                            .fields = head.view(),
                            .protocol = head.version_minor == 0 ? "HTTP/1.0" : "HTTP/1.1"};
  Request& request = exchange_->request.emplace(neutral, body, connection_);
  RequestAccess::set_site(request, site_.facts());
  const bool good = RequestAccess::parse(request);
  if (good && exchange_->route != nullptr) RequestAccess::set_route(request, *exchange_->route);
  return good;
}

// Decisions by the head, before the body is read: the route, or none.
Step Http1Connection::route() {
  http1::RequestParser& parser = exchange_->parser;
  exchange_->route = nullptr;
  exchange_->refusal.reset();
  if (parser.head().method == "CONNECT") return refuse({.status = 501, .reason = "no tunnels here"});
  if (!make_request(exchange_->parser.body())) {
    exchange_->request.reset();
    return refuse({.status = 400, .reason = "the target is malformed"});
  }
  Request& request = *exchange_->request;
  const bool is_upgrade = site_.has_websockets() && parser.head().version_minor == 1 &&  // RFC 9110, section 7.8
                          parser.head().has_token("Upgrade", "websocket");
  exchange_->route = site_.find(request, is_upgrade, exchange_->refusal);
  if (exchange_->refusal && exchange_->route != nullptr) return Step::handler;  // its body is not read
  if (exchange_->route == nullptr) return answer_unrouted();
  if (exchange_->route->is_websocket()) {
    return parser.done() ? Step::handler : refuse({.status = 400, .reason = "an upgrade with a body"});
  }
  if (parser.done() && parser.body().empty()) return Step::request;
  exchange_->body_credit = site_.options().body_grace;
  account_body(parser.body().size(), Duration());
  const auto limited = parser.limit_body(site_.body_bytes_max(*exchange_->route));
  if (!limited && exchange_->route->middleware.empty()) return refuse(limited.error());
  if (!limited) exchange_->failure = limited.error();  // the middleware gets the response
  const bool is_handler_first = exchange_->route->is_streaming() || !exchange_->route->middleware.empty();
  return is_handler_first ? Step::handler : Step::request;
}

// For a complete request.
Step Http1Connection::respond() {
  if (!exchange_->route->is_sync()) return Step::handler;
  bool is_whole = true;
  try {
    is_whole = write(std::get<detail::SyncHandler>(exchange_->route->handler)(*exchange_->request));
  } catch (...) {
    is_whole = write(failure_response(false));
  }
  if (!is_whole) return Step::response;
  end_request();
  return Step::request;
}

void Http1Connection::end_request() noexcept {
  ended_ = ended_ || !keeps_alive();
  hold_body(0);
  exchange_->request.reset();
  exchange_->route = nullptr;
  exchange_->parser.reset(site_.parser_limits());
}

// Answers an invalid request, and then ends the connection.
Response Http1Connection::refusal_of(http1::Failure failure) {
  connection_.set_reason(CloseReason::protocol);
  ended_ = true;
  Response response;
  if (exchange_->request) {
    log_refusal(*exchange_->request, failure.status, with_limit(failure));
    response = error_response(*exchange_->request, StatusError(failure.status, failure.reason));
  } else {
    const std::string_view line = exchange_->parser.start_line();
    log::info("{} refused: {} {}{}{}", connection_.peer_name(), failure.status, with_limit(failure),
              line.empty() ? "" : "; ", printable(line));
    response =
        Response::text(fmt::format("{} {}: {}\n", failure.status, http1::reason_phrase(failure.status), failure.reason),
                       failure.status);
  }
  if (failure.status == 426) response.header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13");
  if (failure.status == 503) response.header("Retry-After", "1");
  if (failure.status == 405) response.header("Allow", "GET");  // of a WebSocket
  return response;
}

Step Http1Connection::refuse(http1::Failure failure) {
  if (!exchange_->request && exchange_->route != nullptr) make_request(exchange_->parser.body());
  write(refusal_of(failure));
  return Step::nothing;
}

// The head is valid: the middleware of the route gets the response.
Step Http1Connection::refuse_body(http1::Failure failure) {
  if (!make_request(exchange_->parser.body())) {
    exchange_->request.reset();
    return refuse(failure);
  }
  std::optional<Response> other;
  const Route* const route = site_.find(*exchange_->request, false, other);
  if (other || route == nullptr || route->middleware.empty()) return refuse(failure);
  exchange_->route = route;
  return Step::handler;
}

// Without middleware.
Step Http1Connection::answer_unrouted() {
  const int status = exchange_->refusal->status;
  const bool is_read = exchange_->parser.done();  // otherwise the start of the next request is unknown
  if (!is_read || status == 421) log_refusal(*exchange_->request, status, http1::reason_phrase(status));
  ended_ = ended_ || !is_read;
  write(std::move(*exchange_->refusal));
  if (!is_read) return Step::nothing;
  end_request();
  return Step::request;
}

// A TLS client on a port without TLS: it understands an alert, but not a response.
Step Http1Connection::refuse_tls() {
  log::info("{} refused: it speaks TLS, and this port does not", connection_.peer_name());
  connection_.set_reason(CloseReason::protocol);
  exchange_->answers().append(foreign_answer(ForeignProtocol::tls).text());
  ended_ = true;
  return Step::nothing;
}

std::unique_ptr<Http1Connection::HandOver> Http1Connection::hand_over() {
  if (!upgrade_ && websocket_ == nullptr) return nullptr;
  auto result = std::make_unique<HandOver>();
  result->upgrade = std::move(upgrade_);
  result->websocket = websocket_;
  result->options = &site_.options().websocket;
  result->handshake = std::exchange(exchange_->handshake, {});
  result->handshake.early = unread_.string();
  if (websocket_ != nullptr && websocket_->keeps_request) result->exchange = std::move(exchange_);
  return result;
}

}  // namespace coax::http
