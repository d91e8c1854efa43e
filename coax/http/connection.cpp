// One HTTP/1.1 connection: requests in, responses out, in order; then perhaps a WebSocket.
//
// What has come and needs no waiting is answered in one go, without a coroutine: the answers are gathered and leave
// together. Only what must be waited for is awaited: bytes, a handler that waits, room for the answers.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <ctime>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/http/app.hpp"
#include "coax/task/scope.hpp"

namespace coax::http {

namespace {

// How the usual response begins, with its Date as IMF-fixdate (RFC 9110, section 5.6.7): made once a second and thread.
class Beginning {
 public:
  static constexpr std::string_view status_line = "HTTP/1.1 200 OK\r\n";
  static constexpr std::size_t date_bytes = 37;
  using Text = std::array<char, status_line.size() + date_bytes>;

  [[nodiscard]] const Text& text() const noexcept { return text_; }
  void update() {
    const std::time_t now = std::time(nullptr);
    if (now != made_at_) make(now);
  }

 private:
  void make(std::time_t time) {
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm utc{};
    gmtime_r(&time, &utc);
    fmt::format_to_n(text_.data(), text_.size(), "{}Date: {}, {:02} {} {:04} {:02}:{:02}:{:02} GMT\r\n", status_line,
                     days[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                     months[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                     utc.tm_sec);
    made_at_ = time;
  }

  std::time_t made_at_ = -1;
  Text text_{};
};
constinit thread_local Beginning beginning;

// Appends where there is room for it.
char* put(char* to, std::string_view text) noexcept {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

char* put_beginning(char* to, int status) noexcept {
  const Beginning::Text& usual = beginning.text();
  if (status == 200) return put(to, {usual.data(), usual.size()});
  to = put(to, "HTTP/1.1 ");
  to = std::to_chars(to, to + 3, status).ptr;
  to = put(to, " ");
  to = put(to, http1::reason_phrase(status));
  to = put(to, "\r\n");
  return put(to, {usual.data() + Beginning::status_line.size(), Beginning::date_bytes});
}

char* put_field(char* to, std::string_view name, std::string_view value) noexcept {
  return put(put(put(put(to, name), ": "), value), "\r\n");
}

constexpr std::string_view close_field = "Connection: close\r\n";

// Is not checked each time.
bool is_well_known(std::string_view type) noexcept {
  return type.data() == Response::text_type.data() || type.data() == Response::html_type.data() ||
         type.data() == Response::json_type.data();
}

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

// What a connection has only while there is something to do: the request that is read, and the answers that gather.
// They are kept for reuse, so that a connection between two requests holds none.
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
  const App::Route* route = nullptr;      // its handler, which waits

  // With two more blocks of fields. Throws Error(invalid), with nothing written, when a header cannot be one.
  void write(Response&& response, std::string_view connection, std::string_view fixed_fields, bool head_only);
  std::string& answers() noexcept { return out_; }
  [[nodiscard]] bool has_answers() const noexcept { return !out_.empty(); }
  [[nodiscard]] bool is_full() const noexcept { return out_.size() >= out_bytes_max || !long_body_.empty(); }
  // Valid until they are sent.
  [[nodiscard]] std::span<const Bytes> pieces() noexcept {
    pieces_ = {Bytes(out_), long_body_};
    return std::span(pieces_).first(long_body_.empty() ? 1 : 2);
  }
  void sent() noexcept;

 private:
  static constexpr std::size_t out_bytes_max = 16 * 1024;
  static constexpr std::size_t copied_body_max = 4 * 1024;  // longer ones are sent from where they are
  static constexpr std::size_t kept_bytes_max = 64 * 1024;

  std::string out_;
  std::string body_;  // a long one
  Bytes long_body_;   // it, or what lasts
  std::array<Bytes, 2> pieces_;
};

thread_local std::vector<std::unique_ptr<Exchange>> spare_exchanges;
constexpr std::size_t spare_max = 64;

Exchange::Pointer Exchange::take(const http1::Limits& limits) {
  Pointer exchange;
  if (spare_exchanges.empty()) {
    exchange.reset(new Exchange);
  } else {
    exchange.reset(spare_exchanges.back().release());
    spare_exchanges.pop_back();
  }
  exchange->parser.reset(limits);
  return exchange;
}

void Exchange::GiveBack::operator()(Exchange* exchange) const noexcept {
  std::unique_ptr<Exchange> owned(exchange);
  if (spare_exchanges.size() == spare_max || owned->out_.capacity() > kept_bytes_max) return;
  owned->failure.reset();
  owned->request.reset();
  owned->sent();
  spare_exchanges.push_back(std::move(owned));
}

void Exchange::sent() noexcept {
  out_.clear();
  if (long_body_.empty()) return;
  long_body_ = {};
  body_ = {};
}

void Exchange::write(Response&& response, std::string_view connection, std::string_view fixed_fields, bool head_only) {
  const int status = response.status;
  const std::string_view type = response.content_type;
  std::size_t room = 256 + type.size() + fixed_fields.size();  // what is not counted is shorter
  if (status < 100 || status > 599) {
    throw Error(ErrorKind::invalid, "write the status", std::to_string(status), "it is not of 100 to 599");
  }
  if (!is_well_known(type)) http1::require_safe({"Content-Type", type});
  for (const auto& [name, value] : response.headers) {
    http1::require_safe({name, value});
    room += name.size() + value.size() + 4;
  }
  const std::string_view body = response.lasting.empty() ? std::string_view(response.body) : response.lasting;
  const bool with_body = !head_only && !has_no_body(status);
  const bool is_long = with_body && body.size() > copied_body_max;
  if (with_body && !is_long) room += body.size();

  const std::size_t before = out_.size();
  out_.resize_and_overwrite(before + room, [&](char* begin, std::size_t) noexcept {
    char* to = put_beginning(begin + before, status);
    if (!type.empty()) to = put_field(to, "Content-Type", type);
    for (const auto& [name, value] : response.headers) to = put_field(to, name, value);
    if (!has_no_body(status)) {
      to = put(to, "Content-Length: ");
      to = std::to_chars(to, to + 20, body.size()).ptr;
      to = put(to, "\r\n");
    }
    to = put(put(put(to, connection), fixed_fields), "\r\n");
    if (with_body && !is_long) to = put(to, body);
    return static_cast<std::size_t>(to - begin);
  });
  if (!is_long) return;
  if (response.lasting.empty()) body_ = std::move(response.body);
  long_body_ = response.lasting.empty() ? Bytes(body_) : Bytes(response.lasting);
}

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
  Next respond();
  Next refuse(http1::Failure failure);
  Next upgrade(const Request& request, const App::SocketAction& action);
  Task<> read_part(bool (http1::Parser::*is_there)() const, Duration limit);
  Task<> read_until(bool (http1::Parser::*is_there)() const);
  void feed();
  void write(Response&& response);
  void write_failure(const std::exception& error);
  void end_request() noexcept;
  [[nodiscard]] bool keeps_alive() const noexcept {
    return exchange_->parser.head().keep_alive && !connection_.draining();
  }

  coax::Connection& connection_;
  const App& app_;
  Exchange::Pointer exchange_;
  Bytes unread_;  // lent until the next recv()
  const App::SocketAction* socket_ = nullptr;
  bool ended_ = false;  // nothing more is answered
};

Next HttpConnection::answer() {
  beginning.update();
  while (!ended_) {
    if (!exchange_) {
      if (unread_.empty()) return Next::request;
      exchange_ = Exchange::take(app_.options().message);
    }
    if (exchange_->is_full()) return Next::room;
    feed();
    if (exchange_->failure) return refuse(*exchange_->failure);
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
  if (!parser.head_done()) co_await read_part(&http1::Parser::head_done, app_.options().head);
  if (exchange_->failure || ended_ || parser.done()) co_return;
  if (parser.expects_continue()) co_await connection_.stream().send("HTTP/1.1 100 Continue\r\n\r\n");
  co_await read_part(&http1::Parser::done, app_.options().body);
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

// To a request that is whole.
Next HttpConnection::respond() {
  http1::RequestParser& parser = exchange_->parser;
  Request& request = exchange_->request.emplace(parser.head(), parser.body(), connection_.peer());
  if (!App::parse(request)) return refuse({.status = 400, .reason = "the target is malformed"});
  if (app_.has_websockets() && parser.head().has_token("Upgrade", "websocket")) {
    if (const auto* socket = app_.find_websocket(request)) return upgrade(request, *socket);
  }
  const App::Route* const route = app_.find(request);
  if (route != nullptr && route->later) {
    exchange_->route = route;
    return Next::handler;
  }
  try {
    write(route == nullptr ? app_.refusal(request) : route->at_once(request));
  } catch (const std::exception& error) {
    write_failure(error);
  }
  end_request();
  return Next::request;
}

Task<> HttpConnection::answer_later() {
  try {
    Response response = co_await exchange_->route->later(*exchange_->request);
    beginning.update();
    write(std::move(response));
  } catch (const std::exception& error) {
    write_failure(error);
  }
  end_request();
}

// Of a handler, or of writing its response.
void HttpConnection::write_failure(const std::exception& error) {
  if (dynamic_cast<const Cancelled*>(&error) != nullptr) throw;
  const Request& request = *exchange_->request;
  log::error("{} {} for {} failed: {}", request.method(), printable(request.path()), connection_.peer_name(),
             printable(Bytes(std::string_view(error.what()))));
  write(Response::text("500 Internal Server Error\n", 500));
}

void HttpConnection::end_request() noexcept {
  ended_ = !keeps_alive();
  exchange_->request.reset();
  exchange_->parser.reset();
}

void HttpConnection::write(Response&& response) {
  const bool is_old = exchange_->parser.head().version_minor == 0;
  const std::string_view connection = !keeps_alive() ? close_field : is_old ? "Connection: keep-alive\r\n" : "";
  const bool head_only = exchange_->request->method() == "HEAD";
  exchange_->write(std::move(response), connection, app_.fixed_fields(), head_only);
}

Next HttpConnection::refuse(http1::Failure failure) {
  log::info("{} refused: {} {}", connection_.peer_name(), failure.status, failure.reason);
  connection_.set_reason(CloseReason::protocol);
  Response response = Response::text(
      fmt::format("{} {}: {}\n", failure.status, http1::reason_phrase(failure.status), failure.reason), failure.status);
  if (failure.status == 426) response.header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13");
  exchange_->write(std::move(response), close_field, app_.fixed_fields(), false);
  ended_ = true;
  return Next::nothing;
}

Next HttpConnection::upgrade(const Request& request, const App::SocketAction& action) {
  const auto wanted = ws::check_upgrade(request.head());
  if (is_from_our_page(request.head(), app_.options().origins)) {
    if (!wanted) return refuse(wanted.error());
    const std::array fields{http1::Field{"Upgrade", "websocket"}, http1::Field{"Connection", "Upgrade"},
                            http1::Field{"Sec-WebSocket-Accept", wanted->accept}};
    http1::append_response_head(exchange_->answers(), 101, fields);
    socket_ = &action;
  } else {
    log::info("{} refused: a WebSocket from the page of another origin, {}", connection_.peer_name(),
              printable(request.header("Origin")));
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
