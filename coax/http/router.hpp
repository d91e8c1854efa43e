// Router: maps requests to handlers. A pattern is a path whose segments are literal, or a parameter:
//   {name}       one segment
//   {name:int}   one segment of decimal digits that fit into a std::int64_t
//   {name:path}  all remaining segments; it is the last one
// The most specific pattern wins, in this order, a literal first. The pattern "*" is for OPTIONS requests about the
// whole server.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coax/http/message.hpp"
#include "coax/http/websocket.hpp"

namespace coax::http {

struct RouteOptions {
  // Above: 413, for a handler without a BodyReader before any byte of it is read. Empty: as in AppOptions. SIZE_MAX: no
  // limit.
  std::optional<std::size_t> body_bytes_max = {};
  std::string name = {};  // for Router::url_for(); unique in the app
  // The subprotocols of a WebSocket, the preferred one first: the first that the client offers is chosen, see
  // WebSocket::protocol(). When it offers none of them, the WebSocket opens without one.
  std::vector<std::string> protocols = {};
};

// A static file: it is served from memory, which outlives the app.
struct MemoryFile {
  std::string_view path;  // "/style.css"; "/" for the index
  std::string_view content_type;
  std::string_view body;
};

// Calls the next middleware, or the handler.
class Next {
 public:
  Task<Response> operator()(Request& request) const;
  // As above, but an exception becomes the response that the server would send for it, so that it passes through the
  // middleware like any other: for those that add headers, or count.
  // Throws: Error(disconnected) when the client has left before the end of its body; Cancelled.
  Task<Response> answered(Request& request) const;

 private:
  friend class Dispatch;
  const class Dispatch* dispatch_ = nullptr;
  std::size_t index_ = 0;
};

// Gets the request before the handler, and the response after it: `co_return co_await next(request)`. It may answer by
// itself. It runs before the body is read: Request::body() is empty until next() has been called, so that a client that
// is refused has sent nothing but its head. It is called for WebSockets, too, whose response has the status 101, and
// for requests without a route.
using Middleware = std::move_only_function<Task<Response>(Request&, Next) const>;

namespace detail {
template <class F>
concept AnswersSync = std::is_invocable_r_v<Response, F&, Request&>;
template <class F>
concept AnswersAsync = std::is_invocable_r_v<Task<Response>, F&, Request&>;
template <class F>
concept AnswersStreaming = std::is_invocable_r_v<Task<Response>, F&, Request&, BodyReader&>;
template <class F>
concept TalksWithRequest = std::is_invocable_r_v<Task<>, F&, ws::WebSocket&, Request&>;
template <class F>
concept TalksWithConnection = std::is_invocable_r_v<Task<>, F&, ws::WebSocket&, coax::Connection&>;
template <class F>
concept Talks = std::is_invocable_r_v<Task<>, F&, ws::WebSocket&>;

using SyncHandler = std::move_only_function<Response(Request&)>;
using AsyncHandler = std::move_only_function<Task<Response>(Request&)>;
using StreamingHandler = std::move_only_function<Task<Response>(Request&, BodyReader&)>;
// The request is null for a handler without a parameter for it: then it is not kept.
struct WebSocketHandler {
  std::move_only_function<Task<>(ws::WebSocket&, coax::Connection&, Request*)> function;
  bool keeps_request = false;
};
using AnyHandler = std::variant<SyncHandler, AsyncHandler, StreamingHandler, WebSocketHandler>;

template <class F>
AnyHandler handler_of(F function) {
  if constexpr (AnswersAsync<F>) {
    return AsyncHandler(std::move(function));
  } else if constexpr (AnswersSync<F>) {
    return SyncHandler(std::move(function));
  } else if constexpr (AnswersStreaming<F>) {
    return StreamingHandler(std::move(function));
  } else {
    static_assert(AnswersStreaming<F>,
                  "a route's handler takes coax::http::Request& and returns Response or Task<Response>, or takes "
                  "Request& and BodyReader& and returns Task<Response>; for a text return "
                  "coax::http::Response::text(...)");
    return {};
  }
}

template <class F>
AnyHandler websocket_handler_of(F function) {
  if constexpr (TalksWithRequest<F>) {
    return WebSocketHandler{[inner = std::move(function)](ws::WebSocket& socket, coax::Connection&,
                                                          Request* request) mutable { return inner(socket, *request); },
                            true};
  } else if constexpr (TalksWithConnection<F>) {
    return WebSocketHandler{[inner = std::move(function)](ws::WebSocket& socket, coax::Connection& connection,
                                                          Request*) mutable { return inner(socket, connection); }};
  } else if constexpr (Talks<F>) {
    return WebSocketHandler{[inner = std::move(function)](ws::WebSocket& socket, coax::Connection&, Request*) mutable {
      return inner(socket);
    }};
  } else {
    static_assert(Talks<F>,
                  "a WebSocket's handler takes coax::ws::WebSocket&, and perhaps coax::http::Request& or "
                  "coax::Connection&, and returns Task<>");
    return {};
  }
}

template <class F>
bool is_empty(const F& function) {
  if constexpr (requires { static_cast<bool>(function); }) return !static_cast<bool>(function);
  return false;
}
}  // namespace detail

// Thread: handlers and middleware are called on each loop of the server, so on several threads.
class Router {
 public:
  Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;
  ~Router();

  // GET answers HEAD, too.
  // Throws: Error(invalid) for a pattern that no request can match, for a method and pattern that exist already, for
  // an empty function, and for a subprotocol that is not a token.
  template <class F>
  Router& route(std::string_view method, std::string_view pattern, F function, RouteOptions options = {}) {
    const bool is_empty = detail::is_empty(function);
    return add(method, pattern, detail::handler_of(std::move(function)), std::move(options), is_empty);
  }
  template <class F>
  Router& get(std::string_view pattern, F function, RouteOptions options = {}) {
    return route("GET", pattern, std::move(function), std::move(options));
  }
  template <class F>
  Router& post(std::string_view pattern, F function, RouteOptions options = {}) {
    return route("POST", pattern, std::move(function), std::move(options));
  }
  template <class F>
  Router& put(std::string_view pattern, F function, RouteOptions options = {}) {
    return route("PUT", pattern, std::move(function), std::move(options));
  }
  template <class F>
  Router& patch(std::string_view pattern, F function, RouteOptions options = {}) {
    return route("PATCH", pattern, std::move(function), std::move(options));
  }
  template <class F>
  Router& delete_(std::string_view pattern, F function, RouteOptions options = {}) {
    return route("DELETE", pattern, std::move(function), std::move(options));
  }
  // For every method that has no route of its own at the pattern.
  template <class F>
  Router& any(std::string_view pattern, F function, RouteOptions options = {}) {
    return route("*", pattern, std::move(function), std::move(options));
  }
  // An upgrade is accepted when it is valid and, if from a browser, from the same origin.
  template <class F>
  Router& websocket(std::string_view pattern, F function, RouteOptions options = {}) {
    const bool is_empty = detail::is_empty(function);
    return add("GET", pattern, detail::websocket_handler_of(std::move(function)), std::move(options), is_empty);
  }
  // Under its path, with an ETag, so that a browser fetches it once.
  Router& file(const MemoryFile& file);
  // Before all routes of this router, including later ones; in the order of the calls. Also before the automatic
  // responses at their paths, to OPTIONS and to other methods (405); the middleware of an App before all responses.
  template <class F>
  Router& use(F middleware) {
    static_assert(std::is_constructible_v<Middleware, F>,
                  "a middleware takes coax::http::Request& and coax::http::Next and returns Task<Response>");
    if constexpr (std::is_constructible_v<Middleware, F>) use_middleware(std::move(middleware));
    return *this;
  }
  // The routes of another router, with its middleware, below `prefix`: mount("/api", ...).
  Router& mount(std::string_view prefix, Router router);
  // A virtual host: its routes, with its middleware, are for requests of this host alone, whatever their port is, and
  // no others are. "*.example.org" is for all hosts with one more label. The most specific host wins.
  // Throws: Error(invalid) for a malformed host, and for routes that have one.
  Router& host(std::string_view host, Router router);

  // The path of the route of that name, with these values of its parameters; all others become a query:
  // url_for("item", {{"id", "7"}, {"page", "2"}}) -> "/item/7?page=2". For a mounted router it is without the prefix;
  // Request::url_for() has it.
  // Throws: Error(invalid) when there is no such route, a parameter is missing, or a value does not match it.
  [[nodiscard]] std::string url_for(std::string_view name, const Pairs& values = {}) const;

 private:
  friend class Site;
  struct Routes;
  Router& add(std::string_view method, std::string_view pattern, detail::AnyHandler handler, RouteOptions options,
              bool is_empty);
  void use_middleware(Middleware middleware);
  void insert(std::unique_ptr<struct Route> route);
  void adopt(const Routes& from, std::unique_ptr<struct Route> route);
  void add_unrouted(const Routes& from, std::vector<struct Segment> prefix);
  std::unique_ptr<Routes> routes_;
};

}  // namespace coax::http
