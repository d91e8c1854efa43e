// Asynchronous handlers, streamed bodies in both directions, and upgrades, on an HTTP/1.1 connection.
#include <fmt/core.h>

#include <charconv>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/log_throttle.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"
#include "coax/http/deflate_private.hpp"
#include "coax/http/http1_private.hpp"
#include "coax/http/status_error.hpp"
#include "coax/task/scope.hpp"

namespace coax::http {

// --- the body of a request ---

class Http1Connection::Reader final : public BodyReader, public RequestSource {
 public:
  explicit Reader(Http1Connection& connection) noexcept : http_(connection) {}

  Task<BytesView> recv() override {
    http1::RequestParser& parser = http_.exchange_->parser;
    co_await checkpoint();
    while (parser.body().empty()) {
      if (http_.exchange_->failure) fail();
      if (parser.done()) co_return BytesView();
      if (http_.ended_) fail_cut_short();
      if (parser.expects_continue() && !std::exchange(continued_, true)) {
        co_await http_.connection_.stream().send("HTTP/1.1 100 Continue\r\n\r\n");
      }
      co_await http_.read_body_until(&http1::Parser::has_body_bytes, false);
    }
    part_.swap(parser.body());
    parser.body().clear();
    charge_bytes(part_.size());
    co_return BytesView(part_);
  }
  BodyReader& body_reader() noexcept override { return *this; }
  Task<> read_body() override {
    Exchange& exchange = *http_.exchange_;
    if (!exchange.parser.done()) {
      co_await http_.read_body();
      if (exchange.failure) fail();
      if (http_.ended_) fail_cut_short();
    }
    exchange.handed_body.swap(exchange.parser.body());
  }
  void require_acceptable() override {
    if (http_.exchange_->failure) fail();
  }
  Response accept_websocket() override { return http_.accept_websocket(*http_.exchange_->request); }
  Response failure_response() override { return http_.failure_response(is_cut_short_); }
  [[nodiscard]] std::optional<std::uint64_t> length() const noexcept override {
    return http_.exchange_->parser.head().content_length;
  }
  [[nodiscard]] bool at_end() const noexcept override {
    return http_.exchange_->parser.done() && http_.exchange_->parser.body().empty();
  }
  [[nodiscard]] std::optional<std::string> trailer(std::string_view name) const override {
    const auto found = at_end() ? http_.exchange_->parser.trailer(name) : std::nullopt;
    return found ? std::optional(std::string(*found)) : std::nullopt;
  }
  Task<> wait_disconnected() override {
    if (!at_end()) {
      throw Error(ErrorKind::invalid, "wait for the end of the connection to", peer(),
                  "the body has not been read to its end");
    }
    co_await http_.wait_disconnected();
  }

 private:
  [[nodiscard]] std::string peer() const { return http_.connection_.peer_name(); }
  [[noreturn]] void fail_cut_short() {
    is_cut_short_ = true;
    throw Error(ErrorKind::disconnected, "read the body from", peer(), "the connection ended in the middle of it");
  }
  [[noreturn]] void fail() const {
    const http1::Failure& failure = *http_.exchange_->failure;
    const ErrorKind kind = failure.status == 408   ? ErrorKind::timed_out
                           : failure.status == 503 ? ErrorKind::overloaded
                                                   : ErrorKind::protocol;
    throw Error(kind, "read the body from", peer(), failure.reason);
  }

  Http1Connection& http_;
  std::string part_;
  bool continued_ = false;
  bool is_cut_short_ = false;  // the client has left before its end
};

// --- the body of a response ---

class Http1Connection::Writer final : public BodyWriter {
 public:
  enum class Framing : std::uint8_t { length, chunked, until_close };
  Writer(Http1Connection& connection, Framing framing, std::uint64_t length)
      : http_(connection),
        framing_(framing),
        left_(length),
        sends_trailers_(framing == Framing::chunked &&
                        connection.exchange_->parser.head().has_token("TE", "trailers")) {}

  Task<> send(BytesView bytes) override {
    if (bytes.empty()) co_return;  // an empty chunk would be the end
    if (framing_ != Framing::chunked) {
      if (framing_ == Framing::length && bytes.size() > left_) {
        throw Error(ErrorKind::invalid, "send a body to", http_.connection_.peer_name(),
                    "it is longer than the length that was announced");
      }
      left_ -= framing_ == Framing::length ? bytes.size() : 0;
      co_await http_.connection_.stream().send(bytes);
      co_return;
    }
    std::array<char, 20> line;
    char* end = std::to_chars(line.data(), line.data() + 16, bytes.size(), 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    const std::array<BytesView, 3> pieces{BytesView(line.data(), static_cast<std::size_t>(end - line.data())), bytes,
                                          "\r\n"};
    co_await http_.connection_.stream().send(pieces);
  }

  Task<> wait_disconnected() override { return http_.wait_disconnected(); }

  bool trailer(std::string_view name, std::string_view value) override {
    http1::require_trailer({name, value});
    if (!sends_trailers_) return false;
    trailers_.append(name).append(": ").append(value).append("\r\n");
    return true;
  }

  // The end of the body.
  Task<> finish() {
    if (framing_ == Framing::chunked) {
      const std::string end = "0\r\n" + trailers_ + "\r\n";
      co_await http_.connection_.stream().send(end);
    }
    if (framing_ == Framing::length && left_ != 0) {
      throw Error(ErrorKind::invalid, "send a body to", http_.connection_.peer_name(),
                  "it is shorter than the length that was announced");
    }
  }

 private:
  Http1Connection& http_;
  Framing framing_;
  std::uint64_t left_;
  bool sends_trailers_;
  std::string trailers_;
};

// Bytes that arrive meanwhile belong to the next requests: they are kept, so that the end after them is noticed.
Task<> Http1Connection::wait_disconnected() {
  constexpr std::size_t ahead_bytes_max = 64 * 1024;
  exchange_->parser.keep();
  ahead_ = unread_.string();
  unread_ = {};
  const struct Restore {
    Http1Connection& http;
    ~Restore() { http.unread_ = http.ahead_; }
  } restore{*this};
  const bool is_of_body = !exchange_->parser.done();  // which is not read any more
  try {
    while (ahead_.size() < ahead_bytes_max) {
      const BytesView bytes = co_await connection_.stream().recv();
      if (bytes.empty()) co_return;
      if (!is_of_body) ahead_.append(bytes.text());
    }
  } catch (const Error&) {  // a reset
  }
}

// --- handlers ---

Task<> Http1Connection::run_handler() {
  exchange_->parser.keep();
  const Route& route = *exchange_->route;
  const bool is_body_read = route.middleware.empty() && !route.is_streaming();
  exchange_->handed_body.clear();
  // It refers to the present position of the head.
  make_request(is_body_read ? exchange_->parser.body() : exchange_->handed_body);
  Request& request = *exchange_->request;
  Reader reader(*this);
  bool is_whole = true;
  try {
    const Dispatch dispatch(route, reader, std::move(exchange_->refusal));
    Response response = co_await dispatch.run(request);
    Exchange::update_date();
    ended_ = ended_ || !exchange_->parser.done();  // the start of the next request is unknown
    is_whole = write(std::move(response));
  } catch (...) {
    is_whole = write(reader.failure_response());
  }
  if (upgrade_ || websocket_ != nullptr) co_return;
  if (is_whole) {
    end_request();
  } else {
    co_await send_streamed();
  }
}

namespace {

Response out_of_descriptors(Request& request, const std::system_error& error) {
  thread_local LogThrottle throttle;
  if (throttle.should_log(Clock::now())) {
    log::error("requests are answered with 503: {}; raise the limit of open files (ulimit -n)", error.what());
  }
  return error_response(request, StatusError(503, "too many files are open")).header("Retry-After", "1");
}

Response out_of_space(Request& request, const std::system_error& error) {
  thread_local LogThrottle throttle;
  if (throttle.should_log(Clock::now())) {
    log::error("requests are answered with 507: {}; make room on that disk", error.what());
  }
  return error_response(request, StatusError(507, "the disk is full"));
}

}  // namespace

// For an exception of a handler, or of writing its response; within a catch block. An error of the body goes before.
Response Http1Connection::failure_response(bool is_cut_short) {
  if (exchange_->failure) return refusal_of(*exchange_->failure);
  if (is_cut_short) throw;
  ended_ = ended_ || !exchange_->parser.done();  // the start of the next request is unknown
  Request& request = *exchange_->request;
  std::string reason;
  try {
    throw;
  } catch (const Cancelled&) {
    throw;
  } catch (const BodyTooLarge& error) {
    return refusal_of(
        {.status = 413, .reason = "the body is too long", .limit = "bytes_max", .limit_value = error.bytes_max()});
  } catch (const StatusError& error) {
    return http::refusal_of(error, request);
  } catch (const std::system_error& error) {
    if (is_out_of_descriptors(error)) return out_of_descriptors(request, error);
    if (is_out_of_space(error)) return out_of_space(request, error);
    reason = error.what();
  } catch (...) {
    reason = reason_of_exception();
  }
  const std::string_view id = request.id();
  log::error("the handler failed for {}: {}; {} {}{}{}", connection_.peer_name(), reason, request.method(),
             request.path(), id.empty() ? "" : "; request ", id);
  Response response = site_.options().development ? development_page(request, reason) : error_response(request, 500);
  if (!id.empty()) response.header("X-Request-Id", std::string(id));
  return response;
}

// --- responses ---

// The Connection field of a response: "close" if the request or the handler asks for it; Upgrade if the
// response has that field (RFC 9110, section 7.8). False: its body is still to be streamed.
bool Http1Connection::write(Response&& response) {
  if (std::holds_alternative<Upgrade>(response.body)) return write_switching(std::move(response));
  const bool is_old = exchange_->parser.head().version_minor == 0;
  auto* const streamed = std::get_if<StreamedBody>(&response.body);
  bool has_upgrade = false;
  for (const auto& [name, value] : response.headers) {
    if (name.size() == 7) has_upgrade = has_upgrade || equal_ignoring_case(name, "Upgrade");
    if (name.size() == 10 && equal_ignoring_case(name, "Connection")) {
      http1::for_each_word(value,
                           [&](std::string_view word) { ended_ = ended_ || equal_ignoring_case(word, "close"); });
    }
  }
  if (streamed != nullptr && !streamed->producer) {
    throw Error(ErrorKind::invalid, "send a body to", connection_.peer_name(), "its producer is an empty function");
  }
  if (streamed != nullptr && !streamed->length && is_old) ended_ = true;  // the end of the connection is its end
  const bool closes = ended_ || !keeps_alive();
  const std::string_view connection = closes && has_upgrade ? "Connection: close, Upgrade\r\n"
                                      : closes              ? "Connection: close\r\n"
                                      : has_upgrade         ? "Connection: Upgrade\r\n"
                                      : is_old              ? "Connection: keep-alive\r\n"
                                                            : "";
  const bool head_only = exchange_->parser.has_head() && exchange_->parser.head().method == "HEAD";
  return exchange_->write(
      std::move(response),
      {.connection = connection, .fixed_fields = site_.fixed_fields(), .head_only = head_only, .may_chunk = !is_old});
}

// A response of status 101, and the end of HTTP on this connection.
bool Http1Connection::write_switching(Response&& response) {
  if (!exchange_->parser.done()) {  // RFC 9110, section 7.8: the new protocol begins behind the request
    throw Error(ErrorKind::invalid, "upgrade", connection_.peer_name(), "the body of the request has not been read");
  }
  const http1::Head& head = exchange_->parser.head();
  if (head.version_minor == 0 || !head.has_token("Connection", "upgrade")) {  // and in HTTP/1.0 it means nothing
    log_refusal(*exchange_->request, 426, "it is for clients that ask for an upgrade");
    Response refusal = error_response(*exchange_->request, 426);
    for (const auto& [name, value] : response.headers) {
      if (equal_ignoring_case(name, "Upgrade")) refusal.header("Upgrade", value);
    }
    return write(std::move(refusal));
  }
  const bool has_function = std::get<Upgrade>(response.body).run || exchange_->route->is_websocket();
  if (response.status != 101 || !has_function) {
    throw Error(ErrorKind::invalid, "upgrade", connection_.peer_name(),
                "such a response has the status 101 and a function");
  }
  std::vector<http1::Field> fields;
  for (const auto& [name, value] : response.headers) {
    if (!equal_ignoring_case(name, "Connection")) fields.push_back({name, value});
  }
  fields.insert(fields.begin() + (fields.empty() ? 0 : 1), {"Connection", "Upgrade"});
  http1::append_response_head(exchange_->answers(), 101, fields);
  Upgrade& upgrade = std::get<Upgrade>(response.body);
  if (upgrade.run) {
    upgrade_ = std::make_unique<Upgrade>(std::move(upgrade));
  } else {
    websocket_ = std::get_if<detail::WebSocketHandler>(&exchange_->route->handler);
  }
  ended_ = true;
  return true;
}

void Http1Connection::record_cut_body(std::string_view peer, std::string_view reason) {
  log::error("the body for {} is cut short: {}", peer, reason);
  connection_.set_reason(CloseReason::failed);
  ended_ = true;
}

Task<> Http1Connection::send_file() {
  FileRange range = std::move(*exchange_->file);
  exchange_->file.reset();
  exchange_->request.reset();
  const std::string peer = connection_.peer_name();
  co_await send_responses();
  try {
    co_await send(connection_.stream(), std::move(range));
  } catch (const Error& error) {
    if (error.peer() == peer) throw;  // the client has left
    record_cut_body(peer, error.what());
  }
  end_request();
}

Task<> Http1Connection::send_streamed() {
  if (exchange_->file) co_return co_await send_file();
  using Framing = Writer::Framing;
  StreamedBody body = std::move(*exchange_->streamed);
  exchange_->streamed.reset();
  exchange_->request.reset();
  const Framing framing = body.length             ? Framing::length
                          : exchange_->is_chunked ? Framing::chunked
                                                  : Framing::until_close;
  Writer writer(*this, framing, body.length.value_or(0));
  const std::string peer = connection_.peer_name();
  co_await send_responses();
  bool is_cut = false;
  try {
    co_await body.producer(writer);
    co_await writer.finish();
  } catch (const Error& error) {
    if (error.peer() == peer) throw;  // the client has left
    record_cut_body(peer, error.what());
    is_cut = true;
  } catch (const Cancelled&) {
    throw;
  } catch (...) {
    record_cut_body(peer, reason_of_exception());
    is_cut = true;
  }
  // otherwise the client would regard it as complete
  if (is_cut && framing == Framing::until_close) connection_.stream().abort();
  end_request();
}

// --- WebSockets ---

// The response to a valid handshake from an allowed origin; or the reason of a refusal, and the end.
Response Http1Connection::accept_websocket(Request& request) {
  exchange_->handshake = {};
  const auto wanted = ws::check_upgrade(exchange_->parser.head());
  if (!is_allowed_origin(request, site_.options().origins)) {
    log_refusal(request, 403, fmt::format("a WebSocket from the page of another origin, {}", request.header("Origin")));
    ended_ = true;
    return error_response(request, StatusError(403, "this WebSocket is for pages of its own origin"));
  }
  if (!wanted) return refusal_of(wanted.error());
  const ws::DeflateOptions& deflate = site_.options().websocket.deflate;
  std::optional<ws::DeflateAnswer> answer;
  if (deflate.enabled) {
    const auto result = ws::answer_deflate(exchange_->parser.head(), ws::within_budget(deflate));
    if (!result) return refusal_of(result.error());
    answer = *result;
  }
  Response response{.status = 101,
                    .headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Accept", wanted->accept}},
                    .body = Upgrade{}};
  const auto is_offered = [&](const std::string& ours) {
    return std::ranges::find(wanted->protocols, std::string_view(ours)) != wanted->protocols.end();
  };
  const std::vector<std::string>& protocols = exchange_->route->options.protocols;
  if (const auto chosen = std::ranges::find_if(protocols, is_offered); chosen != protocols.end()) {
    exchange_->handshake.protocol = *chosen;
    response.header("Sec-WebSocket-Protocol", *chosen);
  }
  if (answer) {
    exchange_->handshake.deflate = answer->agreed;
    response.header("Sec-WebSocket-Extensions", answer->extension);
  }
  return response;
}

}  // namespace coax::http
