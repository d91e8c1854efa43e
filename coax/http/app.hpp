// App: which function answers which request.
//
//   coax::http::App app;
//   app.get("/hello/{name}", [](coax::http::Request& request) { return coax::http::Response::text("Hello!"); });
//   app.websocket("/echo", echo);
//   coax::run(coax::serve({.listen = "127.0.0.1:8080"}, coax::http::handler(std::move(app))));
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/http/message.hpp"
#include "coax/http/websocket.hpp"
#include "coax/server/connection.hpp"

namespace coax::http {

// A file that is part of the program: it is served from memory, which outlives the app.
struct MemoryFile {
  std::string_view path;  // "/style.css"; "/" for the index
  std::string_view content_type;
  std::string_view body;
};

struct AppOptions {
  http1::Limits message = {};  // its body_bytes_max is for routes that set none of their own
  // Of the bodies that are being read at one time, on all connections; above: 503.
  std::size_t bodies_bytes_max = 256_MiB;
  Duration head = std::chrono::seconds(10);        // from a request's first byte to the end of its head
  Duration body = std::chrono::seconds(60);        // and to the end of its body
  Duration keep_alive = std::chrono::seconds(75);  // between two requests, and before the first
  ws::Options websocket = {};
  // Sent with each response.
  std::vector<std::pair<std::string, std::string>> headers = {{"X-Content-Type-Options", "nosniff"}};
  // Empty: any. Else a request whose Host, without its port, is neither an IP address nor one of these is answered with
  // 421; a server that only this machine may reach so withstands DNS rebinding.
  std::vector<std::string> hosts = {};
  // "HOST" or "HOST:PORT" of other origins whose pages may open WebSockets here, besides the one that Host names.
  std::vector<std::string> origins = {};
};

struct RouteOptions {
  std::optional<std::size_t> body_bytes_max = {};  // above: 413, before any of it is read
};

namespace detail {
template <class F>
concept AnswersAtOnce = std::is_invocable_r_v<Response, F&, Request&>;
template <class F>
concept AnswersLater = std::is_invocable_r_v<Task<Response>, F&, Request&>;
}  // namespace detail

class App {
 public:
  using AtOnce = std::move_only_function<Response(Request&)>;
  using Later = std::move_only_function<Task<Response>(Request&)>;
  using SocketAction = std::move_only_function<Task<>(ws::Connection&)>;

  // Throws Error(invalid) when a header of the options cannot be one.
  explicit App(AppOptions options = {});

  // A pattern is a path whose segments are literal, or {name} for any one segment. The function takes Request& and
  // returns a Response or Task<Response>; on several loops it is called on several threads. What is registered first
  // wins. GET answers HEAD too. Throws Error(invalid) for a pattern that no request can match.
  // What the head of a request decides (no such path, another method, a body that is too long) is answered before the
  // body is read.
  template <class F>
  App& get(std::string_view pattern, F function, RouteOptions options = {}) {
    return route("GET", pattern, std::move(function), options);
  }
  template <class F>
  App& post(std::string_view pattern, F function, RouteOptions options = {}) {
    return route("POST", pattern, std::move(function), options);
  }
  template <class F>
    requires detail::AnswersLater<F>
  App& route(std::string_view method, std::string_view pattern, F function, RouteOptions options = {}) {
    return add({.method = std::string(method),
                .segments = split_path(pattern),
                .later = std::move(function),
                .options = options});
  }
  template <class F>
    requires(!detail::AnswersAtOnce<F> && !detail::AnswersLater<F>)
  App& route(std::string_view /*method*/, std::string_view /*pattern*/, F /*function*/, RouteOptions /*options*/ = {}) {
    static_assert(detail::AnswersAtOnce<F>,
                  "a route's function takes coax::http::Request& and returns Response or Task<Response>; for a text "
                  "return coax::http::Response::text(...)");
    return *this;
  }
  template <class F>
    requires detail::AnswersAtOnce<F>
  App& route(std::string_view method, std::string_view pattern, F function, RouteOptions options = {}) {
    return add({.method = std::string(method),
                .segments = split_path(pattern),
                .at_once = std::move(function),
                .options = options});
  }
  // Under its path; with an ETag, so that a browser fetches it once.
  App& file(const MemoryFile& file);
  // An upgrade is accepted when it is correct and comes, if from a browser, from the same origin.
  App& websocket(std::string_view pattern, SocketAction function);

  // What follows is for handler().
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    std::string path = {};        // when no segment is a parameter
    mutable AtOnce at_once = {};  // it may change what it captured
    mutable Later later = {};
    mutable SocketAction socket = {};
    RouteOptions options = {};
  };
  // Fills in the path and the query; false: the target is malformed.
  static bool parse(Request& request);
  // Fills in the pattern; null: the answer is refusal().
  [[nodiscard]] const Route* find(Request& request) const;
  [[nodiscard]] bool has_websockets() const noexcept { return has_websockets_; }
  [[nodiscard]] SocketAction* find_websocket(Request& request) const;
  [[nodiscard]] Response refusal(Request& request) const;
  [[nodiscard]] const AppOptions& options() const noexcept { return options_; }
  // The limits of a parser that does not know the route yet.
  [[nodiscard]] const http1::Limits& parser_limits() const noexcept { return parser_limits_; }
  [[nodiscard]] std::size_t body_bytes_max(const Route& route) const noexcept {
    return route.options.body_bytes_max.value_or(options_.message.body_bytes_max);
  }
  // Counts a body that is about to be read; false: bodies_bytes_max is reached. Thread: any.
  [[nodiscard]] bool reserve_body(std::size_t bytes) const noexcept;
  void release_body(std::size_t bytes) const noexcept { bodies_bytes_->fetch_sub(bytes, std::memory_order_relaxed); }
  // The headers of the options as they are sent.
  [[nodiscard]] const std::string& fixed_fields() const noexcept { return fixed_fields_; }

 private:
  static std::vector<std::string> split_path(std::string_view path);
  static bool matches(const Route& route, std::string_view path) noexcept;
  App& add(Route route);
  [[nodiscard]] bool is_for_us(const Request& request) const {
    return options_.hosts.empty() || names_our_host(request);
  }
  [[nodiscard]] bool names_our_host(const Request& request) const;
  [[nodiscard]] Response allowed_methods(const Request& request) const;

  AppOptions options_;
  http1::Limits parser_limits_;
  std::unique_ptr<std::atomic<std::size_t>> bodies_bytes_ = std::make_unique<std::atomic<std::size_t>>(0);
  std::string fixed_fields_;
  std::vector<Route> routes_;
  bool has_websockets_ = false;
};

// For serve(): speaks HTTP/1.1 on each connection.
Handler handler(App app);

}  // namespace coax::http
