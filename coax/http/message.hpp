// An HTTP request as a handler sees it, and its response. No version of HTTP shows in them.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <variant>
#include <vector>

#include "coax/codec/http.hpp"
#include "coax/file/file.hpp"
#include "coax/http/body.hpp"
#include "coax/server/connection.hpp"

namespace coax::http {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// The part of a request that a server parses before its body.
struct RequestHead {
  std::string_view method;
  std::string_view target;
  Fields fields;
  std::string_view protocol;  // "HTTP/1.1"
};

// Lifetime: until its handler has returned the response, with all views that it returns; for a WebSocket until its
// handler ends. The producer of a body must own its data.
class Request {
 public:
  // `body`: the whole body, or empty for a handler with a BodyReader.
  Request(const RequestHead& head, std::string& body, coax::Connection& connection) noexcept
      : head_(head), body_(body), connection_(connection) {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  [[nodiscard]] std::string_view method() const noexcept { return head_.method; }
  // As received: path and query, or another form (RFC 9112, section 3.2).
  [[nodiscard]] std::string_view target() const noexcept { return head_.target; }
  // Decoded, without "." and ".."; an encoded '/' stays "%2F". "*" for a request about the whole server.
  [[nodiscard]] std::string_view path() const noexcept { return path_; }
  // The "HOST" or "HOST:PORT" of the request: from a target in absolute form, otherwise from Host. May be empty.
  [[nodiscard]] std::string_view host() const noexcept { return host_.data() != nullptr ? host_ : header("Host"); }
  [[nodiscard]] std::string_view protocol() const noexcept { return head_.protocol; }  // "HTTP/1.1"
  [[nodiscard]] const Fields& fields() const noexcept { return head_.fields; }
  // The first header field of that name; empty when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept {
    return head_.fields.find(name).value_or("");
  }
  // The value of {name} in the route's pattern.
  // Throws: Error(invalid) when the pattern has no such parameter, or there is no route.
  [[nodiscard]] std::string_view parameter(std::string_view name) const;
  // The value of {name:int}. Throws: as parameter(), and for a parameter that is not an int.
  [[nodiscard]] std::int64_t int_parameter(std::string_view name) const;
  // For middleware of several routes. Returns: nothing when the pattern has no such parameter, or there is no route.
  [[nodiscard]] std::optional<std::string_view> find_parameter(std::string_view name) const noexcept;
  // The first ?name=value of the target; empty when there is none.
  [[nodiscard]] std::string_view query(std::string_view name) const noexcept;
  [[nodiscard]] const Pairs& query() const noexcept { return query_; }
  [[nodiscard]] std::string& body() noexcept { return body_; }
  // The pattern of its route, with the prefixes of mounts: "/item/{id:int}"; empty when no route matches.
  [[nodiscard]] std::string pattern() const;
  // As Router::url_for(), with all routes of the app.
  [[nodiscard]] std::string url_for(std::string_view name, const Pairs& values = {}) const;
  // Sends "103 Early Hints" before the response (RFC 8297), so that the client can fetch what a page needs while the
  // page is made: {{"Link", "</style.css>; rel=preload; as=style"}}. A client of HTTP/1.0 gets none.
  // Throws: Error(invalid) for fields that cannot be headers, or that frame a body; as Stream::send().
  Task<> send_early_hints(Pairs headers);
  // The connection that it was received on, perhaps with other requests.
  [[nodiscard]] coax::Connection& connection() const noexcept { return connection_; }
  // The client's address: the connection's peer, unless middleware has set another one, such as trusted_proxies().
  [[nodiscard]] Endpoint peer() const noexcept {
    return additions_ && additions_->peer ? *additions_->peer : connection_.peer();
  }
  void set_peer(const Endpoint& peer) { additions().peer = peer; }
  // Whether its scheme is "https", otherwise "http": whether it was received over TLS, unless middleware knows better.
  [[nodiscard]] bool is_secure() const noexcept {
    return additions_ && additions_->is_secure ? *additions_->is_secure : connection_.stream().is_encrypted();
  }
  void set_secure(bool is_secure) { additions().is_secure = is_secure; }
  // The host of the client's own request, when a proxy has sent another one. The route is chosen already.
  void set_host(std::string host) {
    additions().host = std::move(host);
    host_ = additions_->host;
  }
  // The sender's identity: the connection's principal, unless middleware has set one for this request, such as the
  // login of one of many users behind a proxy.
  [[nodiscard]] const Principal& principal() const noexcept {
    return additions_ && additions_->principal ? *additions_->principal : connection_.principal();
  }
  void set_principal(Principal principal) { additions().principal = std::move(principal); }
  // For log lines and the response; empty without the middleware request_id().
  [[nodiscard]] std::string_view id() const noexcept { return additions_ ? additions_->id : std::string_view(); }
  void set_id(std::string id) { additions().id = std::move(id); }
  // A value of middleware for the handler and for other middleware, one of each type: attach(User{"ada"}) replaces the
  // User attached before.
  // Lifetime: that of the request, or until it is replaced.
  template <class T>
  T& attach(T value) {
    auto owned = std::make_shared<T>(std::move(value));
    T& result = *owned;
    additions().values.insert_or_assign(std::type_index(typeid(T)), std::move(owned));
    return result;
  }
  // Returns: null when no middleware has attached one.
  template <class T>
  [[nodiscard]] T* attached() const noexcept {
    if (!additions_) return nullptr;
    const auto found = additions_->values.find(std::type_index(typeid(T)));
    return found == additions_->values.end() ? nullptr : static_cast<T*>(found->second.get());
  }

 private:
  friend struct RequestAccess;
  // Of middleware; most requests have none.
  struct Additions {
    std::optional<Principal> principal;
    std::optional<Endpoint> peer;
    std::optional<bool> is_secure;
    std::string host;
    std::string id;
    std::string refusal;  // the reason of a refusal, for the access log
    std::map<std::type_index, std::shared_ptr<void>> values;
  };
  Additions& additions() {
    if (!additions_) additions_ = std::make_unique<Additions>();
    return *additions_;
  }

  RequestHead head_;
  std::string& body_;
  coax::Connection& connection_;
  std::string_view host_;
  std::string_view path_;  // of the target as it was received, or decoded_
  // Where segments end, and their values: path_ as well, unless it has encoded slashes.
  std::string_view segments_;
  std::string_view values_;
  std::string decoded_;
  std::unique_ptr<std::array<std::string, 2>> with_slashes_;
  Pairs query_;
  std::unique_ptr<Additions> additions_;
  const struct Route* route_ = nullptr;
  const struct SiteFacts* site_ = nullptr;
  bool is_in_access_log_ = false;  // whose line has the reason of a refusal
};

// Static text, which outlives every response: a literal, or the argument of of().
class Literal {
 public:
  constexpr Literal() noexcept = default;
  template <std::size_t size>
  consteval Literal(const char (&text)[size]) noexcept : text_(text, size - 1) {}
  // Lifetime: `text` must live as long as the program.
  static constexpr Literal of(std::string_view text) noexcept { return Literal(text, 0); }
  constexpr operator std::string_view() const noexcept { return text_; }

 private:
  constexpr Literal(std::string_view text, int) noexcept : text_(text) {}
  std::string_view text_;
};

// --- What a response's body may be, besides a string ---

// Static bytes, such as an embedded page. They are not copied.
struct StaticBytes {
  explicit constexpr StaticBytes(std::string_view lasting) noexcept : bytes(lasting) {}
  std::string_view bytes;
};

// A streamed body: server-sent events, a long file, the body of another server. `producer` runs when the head was sent;
// its end is the end of the body. When it throws, the connection is closed, and the client can detect that the body is
// truncated.
struct StreamedBody {
  std::move_only_function<Task<>(BodyWriter&)> producer;
  std::optional<std::uint64_t> length = {};  // then it must send exactly that many bytes
};

// After a response of status 101, whose fields name the protocol: `run` owns the connection from then on. `early`:
// bytes that the client sent before it received the response.
struct Upgrade {
  std::move_only_function<Task<>(coax::Connection&, std::string early)> run;
};

// FileRange: Content-Length is its size. The connection is aborted when the file cannot be read, or has become shorter.
using Body = std::variant<std::string, StaticBytes, FileRange, StreamedBody, Upgrade>;

struct SetCookie;

template <class T>
std::string to_json(const T& from);  // coax/http/json.hpp

struct Response {
  int status = 200;
  Pairs headers = {};
  Body body = {};
  // Empty: none, or among the headers. A 304 is sent without it; compression() finds by it whether the 200 has Vary.
  Literal content_type = {};

  static constexpr Literal text_type = "text/plain; charset=utf-8";
  static constexpr Literal html_type = "text/html; charset=utf-8";
  static constexpr Literal json_type = "application/json";
  static Response text(std::string body, int status = 200) {
    return {.status = status, .body = std::move(body), .content_type = text_type};
  }
  static Response html(std::string body, int status = 200) {
    return {.status = status, .body = std::move(body), .content_type = html_type};
  }
  static Response json(std::string body, int status = 200) {
    return {.status = status, .body = std::move(body), .content_type = json_type};
  }
  // `from`: a Value, a struct that describes its members, or a std::vector or std::map of these. Include
  // coax/http/json.hpp. Throws: as to_json().
  template <class T>
    requires(!std::convertible_to<const T&, std::string_view>)
  static Response json(const T& from, int status = 200) {
    return json(to_json(from), status);
  }
  // 303: the client gets the location, whatever its method was. What no URL may have, such as a space or "ü", is
  // percent-encoded; "%20" stays. Values with "/", "?", "&", "#" or "%" are encoded before, by Request::url_for():
  // redirect(request.url_for("item", {{"name", name}, {"page", "2"}})); or by percent_encode() (coax/codec/url.hpp).
  // For a location from the client, see safe_redirect_target() (coax/http/middleware.hpp).
  // Throws: Error(invalid) for control characters.
  static Response redirect(std::string_view location, int status = 303);
  // `producer`: Task<>(BodyWriter&), kept until it has run.
  template <class F>
  static Response stream(Literal content_type, F producer) {
    return {.body = StreamedBody{.producer = std::move(producer)}, .content_type = content_type};
  }
  Response& header(std::string name, std::string value) &;
  Response&& header(std::string name, std::string value) && {
    return std::move(this->header(std::move(name), std::move(value)));
  }
  // Adds Set-Cookie (coax/http/cookie.hpp). Throws: as format_set_cookie().
  Response& cookie(const SetCookie& cookie) &;
  Response&& cookie(const SetCookie& cookie) && { return std::move(this->cookie(cookie)); }
  // The browser drops the cookie that was set with this name, path and domain.
  Response& forget_cookie(std::string_view name, std::string_view path = "/", std::string_view domain = {}) &;
  Response&& forget_cookie(std::string_view name, std::string_view path = "/", std::string_view domain = {}) && {
    return std::move(this->forget_cookie(name, path, domain));
  }
};

}  // namespace coax::http
