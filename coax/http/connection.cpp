// One HTTP/1.1 connection: requests in, responses out, in order; then perhaps a WebSocket.
#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/http/app.hpp"
#include "coax/task/scope.hpp"

namespace coax::http {

namespace {

// IMF-fixdate (RFC 9110, section 5.6.7), made once a second and thread.
std::string_view date() {
  thread_local std::time_t made_at = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != made_at) {
    made_at = now;
    std::tm utc{};
    gmtime_r(&now, &utc);
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    text = fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", days[static_cast<std::size_t>(utc.tm_wday)],
                       utc.tm_mday, months[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                       utc.tm_min, utc.tm_sec);
  }
  return text;
}

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

// A page of another origin must not speak through a visitor's browser. What is no browser sends no Origin.
bool is_from_our_page(const http1::Head& head, const std::vector<std::string>& origins) {
  const auto origin = head.find("Origin");
  if (!origin) return true;
  const std::string_view host = head.find("Host").value_or("");
  const std::size_t scheme_end = origin->find("://");
  if (scheme_end == std::string_view::npos) return false;
  const std::string_view page = origin->substr(scheme_end + 3);
  return equal_ignoring_case(page, host) ||
         std::ranges::any_of(origins, [&](const std::string& ours) { return equal_ignoring_case(page, ours); });
}

// A request for a WebSocket was answered with 101.
struct Upgraded {
  const App::SocketAction* action = nullptr;  // none: the connection has come to its end
  std::string early;                          // what the client sent before it had our answer
};

class HttpConnection {
 public:
  HttpConnection(coax::Connection& connection, const App& app) : connection_(connection), app_(app) {}

  Task<Upgraded> serve();

 private:
  Task<bool> read_request();
  Task<> read_part(bool (http1::Parser::*is_there)() const, Duration limit);
  Task<> read_until(bool (http1::Parser::*is_there)() const);
  Task<const App::SocketAction*> respond();
  Task<const App::SocketAction*> upgrade(Request& request, const App::SocketAction& action);
  Task<Response> call(Request& request);
  Task<> refuse(http1::Failure failure);
  Task<> send(const Response& response, bool keep_alive, bool head_only);
  void take(Bytes bytes);
  Stream& stream() { return connection_.stream(); }

  coax::Connection& connection_;
  const App& app_;
  http1::RequestParser parser_{app_.options().message};
  Bytes unread_;  // of the next requests, that came with this one: lent until the next recv()
  std::string out_;
  std::vector<http1::Field> fields_;
  std::optional<http1::Failure> failure_;
  bool ended_ = false;
};

Task<Upgraded> HttpConnection::serve() {
  while (co_await read_request()) {
    if (failure_) {
      co_await refuse(*failure_);
      break;
    }
    if (const auto* socket = co_await respond()) co_return Upgraded{socket, unread_.string()};
    if (failure_ || !parser_.head().keep_alive || connection_.draining()) break;
    parser_.reset();
  }
  co_return Upgraded{};
}

// False: there is no further one.
Task<bool> HttpConnection::read_request() {
  take(std::exchange(unread_, {}));
  if (!failure_ && !parser_.started()) {
    connection_.set_busy(false);
    connection_.set_idle_max(app_.options().keep_alive);
    const Bytes bytes = co_await stream().recv();
    connection_.set_idle_max(std::nullopt);
    if (!bytes) co_return false;
    take(bytes);
  }
  connection_.set_busy(true);
  if (!failure_ && !parser_.head_done()) co_await read_part(&http1::Parser::head_done, app_.options().head);
  if (failure_) co_return true;
  if (!ended_ && !parser_.done()) {
    if (parser_.expects_continue()) co_await stream().send("HTTP/1.1 100 Continue\r\n\r\n");
    co_await read_part(&http1::Parser::done, app_.options().body);
  }
  co_return failure_ || parser_.done();
}

Task<> HttpConnection::read_part(bool (http1::Parser::*is_there)() const, Duration limit) {
  try {
    co_await timeout(limit, read_until(is_there));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    failure_ = http1::Failure{.status = 408, .reason = "the request did not come in time"};
  }
}

Task<> HttpConnection::read_until(bool (http1::Parser::*is_there)() const) {
  while (!failure_ && !ended_ && !(parser_.*is_there)()) {
    const Bytes bytes = co_await stream().recv();
    ended_ = bytes.empty();
    take(bytes);
  }
}

void HttpConnection::take(Bytes bytes) {
  if (bytes.empty()) return;
  const auto taken = parser_.feed(bytes);
  if (!taken) {
    failure_ = taken.error();
  } else if (*taken < bytes.size()) {
    unread_ = bytes.from(*taken);
  }
}

Task<const App::SocketAction*> HttpConnection::respond() {
  Request request(parser_.head(), parser_.body(), connection_.peer());
  if (!App::parse(request)) {
    co_await refuse({.status = 400, .reason = "the target is malformed"});
    co_return nullptr;
  }
  if (parser_.head().has_token("Upgrade", "websocket")) {
    if (const auto* socket = app_.find_websocket(request)) co_return co_await upgrade(request, *socket);
  }
  const Response response = co_await call(request);
  co_await send(response, parser_.head().keep_alive && !connection_.draining(), request.method() == "HEAD");
  co_return nullptr;
}

Task<const App::SocketAction*> HttpConnection::upgrade(Request& request, const App::SocketAction& action) {
  const auto wanted = ws::check_upgrade(parser_.head());
  if (!is_from_our_page(parser_.head(), app_.options().origins)) {
    log::info("{} refused: a WebSocket from the page of another origin, {}", connection_.peer().to_string(),
              printable(request.header("Origin")));
    co_await send(Response::text("this WebSocket is for pages of its own origin\n", 403), false, false);
  } else if (!wanted) {
    co_await refuse(wanted.error());
  } else {
    const std::array fields{http1::Field{"Upgrade", "websocket"}, http1::Field{"Connection", "Upgrade"},
                            http1::Field{"Sec-WebSocket-Accept", wanted->accept}};
    out_.clear();
    http1::append_response_head(out_, 101, fields);
    co_await stream().send(out_);
    co_return &action;
  }
  co_return nullptr;
}

Task<Response> HttpConnection::call(Request& request) {
  try {
    const App::Route* const route = app_.find(request);
    if (route == nullptr) co_return app_.refusal(request);
    if (route->at_once) co_return route->at_once(request);
    co_return co_await route->later(request);
  } catch (const std::exception& error) {
    if (dynamic_cast<const Cancelled*>(&error) != nullptr) throw;
    log::error("{} {} for {} failed: {}", request.method(), printable(request.path()), connection_.peer().to_string(),
               printable(Bytes(std::string_view(error.what()))));
  }
  co_return Response::text("500 Internal Server Error\n", 500);
}

Task<> HttpConnection::refuse(http1::Failure failure) {
  log::info("{} refused: {} {}", connection_.peer().to_string(), failure.status, failure.reason);
  connection_.set_reason(CloseReason::protocol);
  Response response = Response::text(
      fmt::format("{} {}: {}\n", failure.status, http1::reason_phrase(failure.status), failure.reason), failure.status);
  if (failure.status == 426) response.header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13");
  co_await send(response, false, false);
  failure_ = failure;
}

Task<> HttpConnection::send(const Response& response, bool keep_alive, bool head_only) {
  const std::string_view body = response.lasting.empty() ? std::string_view(response.body) : response.lasting;
  fields_.clear();
  for (const auto& [name, value] : response.headers) fields_.push_back({name, value});
  out_.clear();
  http1::append_response_head(out_, response.status, fields_);
  out_.resize(out_.size() - 2);  // before the empty line, what needs no check
  out_.append("Date: ").append(date()).append("\r\n");
  if (!has_no_body(response.status)) fmt::format_to(std::back_inserter(out_), "Content-Length: {}\r\n", body.size());
  if (!keep_alive) out_.append("Connection: close\r\n");
  if (keep_alive && parser_.head().version_minor == 0) out_.append("Connection: keep-alive\r\n");
  out_.append(app_.fixed_fields()).append("\r\n");
  const bool with_body = !head_only && !has_no_body(response.status);
  const std::array<Bytes, 2> pieces{Bytes(out_), Bytes(with_body ? body : std::string_view())};
  co_await stream().send(pieces);
}

// Not inlined: its frame would become part of the one that lives as long as the WebSocket does.
[[gnu::noinline]] Task<Upgraded> speak_http(coax::Connection& connection, const App& app) {
  HttpConnection http(connection, app);
  co_return co_await http.serve();
}

// What the parser and its buffers take is gone by the time that a WebSocket begins.
Task<> speak(coax::Connection& connection, const App& app) {
  Upgraded upgraded = co_await speak_http(connection, app);
  if (upgraded.action == nullptr) co_return;
  connection.set_busy(false);
  ws::Connection open(connection, app.options().websocket, std::move(upgraded.early));
  co_await (*upgraded.action)(open);
  co_await open.close(connection.draining() ? 1001 : 1000);
  co_await open.wait_closed();
}

}  // namespace

Handler handler(App app) {
  return {[shared = std::make_shared<const App>(std::move(app))](coax::Connection& connection) {
    return speak(connection, *shared);
  }};
}

}  // namespace coax::http
