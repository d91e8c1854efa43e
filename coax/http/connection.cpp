// One HTTP/1.1 connection: requests in, responses out, in order; then perhaps a WebSocket.
//
// What has come and needs no waiting is answered in one go, without a coroutine: the answers are gathered and leave
// together. Only what must be waited for is awaited: bytes, a handler that waits, room for the answers.
#include <fmt/core.h>

#include <algorithm>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/foreign.hpp"
#include "coax/codec/url.hpp"
#include "coax/http/exchange_private.hpp"
#include "coax/task/scope.hpp"

namespace coax::http {

namespace {

constexpr std::string_view close_field = "Connection: close\r\n";

// "a.example:80" of an origin "http://a.example"; nothing when it is not of the web.
std::optional<std::pair<std::string, bool>> authority_of(std::string_view origin) {
  const auto parts = parse_absolute_target(origin);
  if (!parts || !parts->rest.empty()) return std::nullopt;
  const bool is_https = origin.size() > 4 && (origin[4] == 's' || origin[4] == 'S');
  const auto target = parse_host_port(parts->authority);
  if (!target) return std::nullopt;
  return std::pair(fmt::format("{}:{}", target->host, target->port.value_or(is_https ? 443 : 80)), is_https);
}

// A page of another origin must not speak through a visitor's browser. What is no browser sends no Origin. An origin is
// scheme, host and port (RFC 6454, section 4); this server speaks plain HTTP, and a proxy in front of it that does not
// is named in the options.
bool is_from_our_page(const Request& request, const std::vector<std::string>& origins) {
  const auto is_origin = [](const http1::Field& field) { return equal_ignoring_case(field.name, "Origin"); };
  const auto count = std::ranges::count_if(request.head().fields, is_origin);
  if (count == 0) return true;
  const auto page = count == 1 ? authority_of(request.header("Origin")) : std::nullopt;
  if (!page) return false;
  const auto is_at = [&](std::string_view host, std::string_view scheme) {
    const auto ours = authority_of(fmt::format("{}://{}", scheme, host));
    return ours && equal_ignoring_case(ours->first, page->first);
  };
  if (!page->second && is_at(request.host(), "http")) return true;
  return std::ranges::any_of(origins,
                             [&](const std::string& host) { return is_at(host, page->second ? "https" : "http"); });
}

// A request for a WebSocket was answered with 101.
struct Upgraded {
  App::SocketAction* action = nullptr;  // none: the connection has come to its end
  std::string early;                    // what the client sent before it had our answer
};

// What has to be waited for before it goes on.
enum class Next : std::uint8_t {
  request,  // another one
  rest,     // of the request that has begun
  handler,  // which may take its time
  room,     // for more answers
  nothing,  // the connection has come to its end, or becomes a WebSocket
};

class HttpConnection {
 public:
  HttpConnection(coax::Connection& connection, const App& app) : connection_(connection), app_(app) {}
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  ~HttpConnection() { release_body(); }

  // Answers what can be answered without waiting.
  Next answer();
  // Before these, what was answered must be on its way.
  Task<> answer_later();
  Task<> read_rest();
  // Between two requests nothing is held but this object.
  void rest() noexcept;
  void take(Bytes bytes) noexcept;  // of requests; none: the peer has finished

  [[nodiscard]] bool has_answers() const noexcept { return exchange_ && exchange_->has_answers(); }
  [[nodiscard]] std::span<const Bytes> answers() noexcept { return exchange_->pieces(); }
  void answers_are_sent() noexcept { exchange_->sent(); }
  bool queue_answers() noexcept;  // for the end of the turn; false: there are too many
  [[nodiscard]] Upgraded upgraded() const { return {socket_, socket_ == nullptr ? std::string() : unread_.string()}; }

 private:
  Next route();
  Next respond();
  bool make_request();
  Next refuse(http1::Failure failure);
  Next refuse(Response&& response, std::string_view reason);
  Next refuse_tls();
  bool reserve_body();
  void release_body() noexcept;
  Next upgrade(const Request& request, App::SocketAction& action);
  Task<> read_part(bool (http1::Parser::*is_there)() const, Duration limit);
  Task<> read_until(bool (http1::Parser::*is_there)() const);
  void feed();
  void write(Response&& response);
  void write_failure();
  void end_request() noexcept;
  [[nodiscard]] bool keeps_alive() const noexcept {
    return exchange_->parser.head().keep_alive && !connection_.draining();
  }

  coax::Connection& connection_;
  const App& app_;
  Exchange::Pointer exchange_;
  Bytes unread_;  // lent until the next recv()
  App::SocketAction* socket_ = nullptr;
  std::size_t reserved_ = 0;  // of the app's bodies
  bool ended_ = false;        // nothing more is answered
};

Next HttpConnection::answer() {
  Exchange::update_date();
  while (!ended_) {
    if (!exchange_) {
      if (unread_.empty()) return Next::request;
      exchange_ = Exchange::take(app_.parser_limits());
      if (ForeignDetector().feed(unread_.first(1)) == ForeignProtocol::tls) return refuse_tls();
    }
    if (exchange_->is_full()) return Next::room;
    feed();
    if (exchange_->failure) return refuse(*exchange_->failure);
    if (exchange_->parser.head_done() && !exchange_->request) {
      if (const Next next = route(); next != Next::request) return next;
      if (!exchange_->request) continue;  // it is answered
    }
    if (!exchange_->parser.done()) return exchange_->parser.started() ? Next::rest : Next::request;
    if (const Next next = respond(); next != Next::request) return next;
  }
  return Next::nothing;
}

void HttpConnection::feed() {
  if (unread_.empty()) return;
  const auto taken = exchange_->parser.feed_lent(unread_);
  if (!taken) exchange_->failure = taken.error();
  unread_ = taken ? unread_.from(*taken) : Bytes();
}

void HttpConnection::rest() noexcept {
  exchange_.reset();
  connection_.set_busy(false);
  connection_.set_idle_max(app_.options().keep_alive);
}

void HttpConnection::take(Bytes bytes) noexcept {
  connection_.set_idle_max(std::nullopt);
  connection_.set_busy(true);
  unread_ = bytes;
  ended_ = bytes.empty();
}

bool HttpConnection::queue_answers() noexcept {
  if (exchange_->pieces().size() != 1 || !connection_.stream().queue(exchange_->pieces()[0])) return false;
  exchange_->sent();
  return true;
}

Task<> HttpConnection::read_rest() {
  http1::RequestParser& parser = exchange_->parser;
  parser.keep();
  if (!parser.head_done()) {
    co_await read_part(&http1::Parser::head_done, app_.options().head);
    co_return;  // what it asks for decides whether the body is read
  }
  if (exchange_->failure || ended_ || parser.done()) co_return;
  exchange_->request.reset();  // refers to the head where it was
  if (!reserve_body()) {
    refuse(Response::text("503 Service Unavailable: too many bodies are being read\n", 503).header("Retry-After", "1"),
           "too many bodies are being read");
    co_return;
  }
  if (parser.expects_continue()) co_await connection_.stream().send("HTTP/1.1 100 Continue\r\n\r\n");
  co_await read_part(&http1::Parser::done, app_.options().body);
  if (!exchange_->failure && !ended_) make_request();
}

// What its memory may grow to: the length that it says, or the limit.
bool HttpConnection::reserve_body() {
  const std::size_t bytes = exchange_->parser.head().content_length.value_or(app_.body_bytes_max(*exchange_->route));
  if (!app_.reserve_body(bytes)) return false;
  reserved_ = bytes;
  return true;
}

void HttpConnection::release_body() noexcept {
  if (reserved_ != 0) app_.release_body(std::exchange(reserved_, 0));
}

Task<> HttpConnection::read_part(bool (http1::Parser::*is_there)() const, Duration limit) {
  try {
    co_await timeout(limit, read_until(is_there));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    exchange_->failure = http1::Failure{.status = 408, .reason = "the request did not come in time"};
  }
}

Task<> HttpConnection::read_until(bool (http1::Parser::*is_there)() const) {
  while (!exchange_->failure && !ended_ && !(exchange_->parser.*is_there)()) {
    exchange_->parser.keep();
    unread_ = co_await connection_.stream().recv();
    ended_ = unread_.empty();
    feed();
  }
}

// False: the target is malformed.
bool HttpConnection::make_request() {
  http1::RequestParser& parser = exchange_->parser;
  Request& request = exchange_->request.emplace(parser.head(), parser.body(), connection_.peer());
  const bool good = App::parse(request);
  if (good && exchange_->route != nullptr) static_cast<void>(app_.find(request));  // for its parameters, again
  return good;
}

// What the head decides, before the body is read: where it goes, or that it goes nowhere.
Next HttpConnection::route() {
  http1::RequestParser& parser = exchange_->parser;
  exchange_->route = nullptr;
  if (parser.head().method == "CONNECT") return refuse({.status = 501, .reason = "no tunnels here"});
  if (!make_request()) return refuse({.status = 400, .reason = "the target is malformed"});
  Request& request = *exchange_->request;
  const bool may_upgrade = app_.has_websockets() && parser.head().version_minor == 1;  // RFC 9110, section 7.8
  if (may_upgrade && parser.head().has_token("Upgrade", "websocket")) {
    if (auto* const socket = app_.find_websocket(request)) return upgrade(request, *socket);
  }
  exchange_->route = app_.find(request);
  if (exchange_->route == nullptr) {
    if (!parser.done()) return refuse(app_.refusal(request), "");
    write(app_.refusal(request));
    end_request();
    return Next::request;
  }
  if (parser.done() && parser.body().empty()) return Next::request;
  const auto limited = parser.limit_body(app_.body_bytes_max(*exchange_->route));
  return limited ? Next::request : refuse(limited.error());
}

// To a request that is whole.
Next HttpConnection::respond() {
  if (exchange_->route->later) return Next::handler;
  try {
    write(exchange_->route->at_once(*exchange_->request));
  } catch (...) {
    write_failure();
  }
  end_request();
  return Next::request;
}

Task<> HttpConnection::answer_later() {
  try {
    Response response = co_await exchange_->route->later(*exchange_->request);
    Exchange::update_date();
    write(std::move(response));
  } catch (...) {
    write_failure();
  }
  end_request();
}

// Of a handler, or of writing its response; within a catch.
void HttpConnection::write_failure() {
  const Request& request = *exchange_->request;
  std::string reason;
  try {
    throw;
  } catch (const Cancelled&) {
    throw;
  } catch (const std::exception& error) {
    reason = error.what();
  } catch (...) {
    reason = "what it threw is no exception";
  }
  log::error("the handler failed for {}: {}; {} {}", connection_.peer_name(), reason, request.method(), request.path());
  write(Response::text("500 Internal Server Error\n", 500));
}

void HttpConnection::end_request() noexcept {
  ended_ = ended_ || !keeps_alive();
  release_body();
  exchange_->request.reset();
  exchange_->parser.reset(app_.parser_limits());
}

// The Connection field of a response: it closes when the request or the handler says so, and names Upgrade where the
// response has that field (RFC 9110, section 7.8).
void HttpConnection::write(Response&& response) {
  const bool is_old = exchange_->parser.head().version_minor == 0;
  bool has_upgrade = false;
  for (const auto& [name, value] : response.headers) {
    if (name.size() == 7) has_upgrade = has_upgrade || equal_ignoring_case(name, "Upgrade");
    if (name.size() == 10 && equal_ignoring_case(name, "Connection")) {
      ended_ = ended_ || equal_ignoring_case(trim(value), "close");
    }
  }
  const bool closes = ended_ || !keeps_alive();
  const std::string_view connection = closes && has_upgrade ? "Connection: close, Upgrade\r\n"
                                      : closes              ? close_field
                                      : has_upgrade         ? "Connection: Upgrade\r\n"
                                      : is_old              ? "Connection: keep-alive\r\n"
                                                            : "";
  const bool head_only = exchange_->parser.head_done() && exchange_->parser.head().method == "HEAD";
  exchange_->write(std::move(response), connection, app_.fixed_fields(), head_only);
}

Next HttpConnection::refuse(http1::Failure failure) {
  Response response = Response::text(
      fmt::format("{} {}: {}\n", failure.status, http1::reason_phrase(failure.status), failure.reason), failure.status);
  if (failure.status == 426) response.header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13");
  if (failure.status == 405) response.header("Allow", "GET");  // of a WebSocket
  return refuse(std::move(response), failure.reason);
}

// The answer, and the end: what the peer still sends is not read as requests. An empty reason is no breach.
Next HttpConnection::refuse(Response&& response, std::string_view reason) {
  log::info("{} refused: {} {}", connection_.peer_name(), response.status,
            reason.empty() ? http1::reason_phrase(response.status) : reason);
  if (!reason.empty()) connection_.set_reason(CloseReason::protocol);
  ended_ = true;
  write(std::move(response));
  return Next::nothing;
}

// A TLS client on a port without: an alert tells it more than a response that it cannot read.
Next HttpConnection::refuse_tls() {
  log::info("{} refused: it speaks TLS, and this port does not", connection_.peer_name());
  connection_.set_reason(CloseReason::protocol);
  exchange_->answers().append(foreign_answer(ForeignProtocol::tls).text());
  ended_ = true;
  return Next::nothing;
}

Next HttpConnection::upgrade(const Request& request, App::SocketAction& action) {
  const auto wanted = ws::check_upgrade(request.head());
  if (is_from_our_page(request, app_.options().origins)) {
    if (!wanted) return refuse(wanted.error());
    const std::array fields{http1::Field{"Upgrade", "websocket"}, http1::Field{"Connection", "Upgrade"},
                            http1::Field{"Sec-WebSocket-Accept", wanted->accept}};
    http1::append_response_head(exchange_->answers(), 101, fields);
    socket_ = &action;
  } else {
    log::info("{} refused: a WebSocket from the page of another origin, {}", connection_.peer_name(),
              request.header("Origin"));
    exchange_->write(Response::text("this WebSocket is for pages of its own origin\n", 403), close_field,
                     app_.fixed_fields(), false);
  }
  ended_ = true;
  return Next::nothing;
}

// Not inlined: its frame would become part of the one that lives as long as the WebSocket does.
[[gnu::noinline]] Task<Upgraded> speak_http(coax::Connection& connection, const App& app) {
  HttpConnection http(connection, app);
  Stream& stream = connection.stream();
  while (true) {
    const Next next = http.answer();
    if (http.has_answers() && (next != Next::handler || !http.queue_answers())) {
      co_await stream.send(http.answers());
      http.answers_are_sent();
    }
    switch (next) {
      case Next::request: {
        http.rest();
        const Bytes bytes = co_await stream.recv();
        http.take(bytes);
        break;
      }
      case Next::rest: co_await http.read_rest(); break;
      case Next::handler: co_await http.answer_later(); break;
      case Next::room: break;
      case Next::nothing: co_return http.upgraded();
    }
  }
}

// What has been told to the peer, or cannot be told any more.
bool is_of_peer(const Error& error) noexcept {
  return error.kind() == ErrorKind::disconnected || error.kind() == ErrorKind::protocol ||
         error.kind() == ErrorKind::overloaded || error.kind() == ErrorKind::timed_out;
}

// What the parser and its buffers take is gone by the time that a WebSocket begins.
Task<> speak(coax::Connection& connection, const App& app) {
  Upgraded upgraded = co_await speak_http(connection, app);
  if (upgraded.action == nullptr) co_return;
  connection.set_busy(false);
  ws::Connection open(connection, app.options().websocket, std::move(upgraded.early));
  std::exception_ptr failure;
  try {
    co_await (*upgraded.action)(open);
  } catch (const Cancelled&) {
    throw;
  } catch (const Error& error) {
    if (is_of_peer(error)) throw;
    failure = std::current_exception();
  } catch (...) {
    failure = std::current_exception();
  }
  const std::uint16_t code = failure ? 1011 : connection.draining() ? 1001 : 1000;  // RFC 6455, section 7.4.1
  co_await open.close(code);
  co_await open.wait_closed();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

Handler handler(App app) {
  return {[shared = std::make_shared<const App>(std::move(app))](coax::Connection& connection) {
    return speak(connection, *shared);
  }};
}

}  // namespace coax::http
