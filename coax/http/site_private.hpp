// Site: an App that is being served: its routes as a tree, searched once for each request; its options; and counters
// over all its connections.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "coax/http/app.hpp"

namespace coax::http {

using MiddlewareList = std::vector<std::shared_ptr<const Middleware>>;

// Of a pattern.
struct Segment {
  enum class Kind : std::uint8_t { literal, integer, any, rest };
  Kind kind = Kind::literal;
  std::string text;  // a literal, or the name of the parameter

  [[nodiscard]] bool is_parameter() const noexcept { return kind != Kind::literal; }
};

struct Route;
using NamedRoutes = std::map<std::string, const Route*, std::less<>>;

struct Route {
  std::string method;             // "*": any; empty: of a mounted router, for paths that have no route
  std::vector<Segment> segments;  // of the pattern
  // May change what it captured.
  mutable detail::AnyHandler handler;
  RouteOptions options = {};
  MiddlewareList middleware = {};  // outermost first
  std::string host = {};           // empty: any

  [[nodiscard]] bool is_unrouted() const noexcept { return method.empty(); }
  [[nodiscard]] bool is_websocket() const noexcept { return std::holds_alternative<detail::WebSocketHandler>(handler); }
  [[nodiscard]] bool is_streaming() const noexcept { return std::holds_alternative<detail::StreamingHandler>(handler); }
  // Runs without a coroutine.
  [[nodiscard]] bool is_sync() const noexcept {
    return middleware.empty() && std::holds_alternative<detail::SyncHandler>(handler);
  }
};

// The part of a site that its requests know.
struct SiteFacts {
  NamedRoutes names;
  ErrorHandler errors;  // may be empty
  bool is_development = false;
};

// The routes of a router before it is served.
struct Router::Routes {
  std::vector<std::unique_ptr<Route>> list;
  MiddlewareList middleware;
};

// The server's access to a request.
struct RequestAccess {
  // Fills in host, path and query. False: the target is malformed.
  static bool parse(Request& request);
  static std::string_view segments(const Request& request) noexcept { return request.segments_; }
  static void set_route(Request& request, const Route& route) noexcept { request.route_ = &route; }
  static void set_site(Request& request, const SiteFacts& site) noexcept { request.site_ = &site; }
  static const SiteFacts* site(const Request& request) noexcept { return request.site_; }
  static bool is_development(const Request& request) noexcept {
    return request.site_ != nullptr && request.site_->is_development;
  }
  // access_log() writes the reason of a refusal into its line; otherwise the refusal has a line of its own.
  static void set_in_access_log(Request& request) noexcept { request.is_in_access_log_ = true; }
  static bool is_in_access_log(const Request& request) noexcept { return request.is_in_access_log_; }
  static void set_refusal(Request& request, std::string reason) { request.additions().refusal = std::move(reason); }
  static std::string_view refusal(const Request& request) noexcept {
    return request.additions_ ? std::string_view(request.additions_->refusal) : "";
  }
};

// A path with encoded slashes as NULs: "/a\0b/c" -> "/a%2Fb/c".
std::string encode_segments(std::string_view segments);
// As it was given to Router::route().
std::string pattern_of(const Route& route);
// The value of {name:int}: digits only.
std::optional<std::int64_t> parse_int_parameter(std::string_view digits) noexcept;
// As Router::url_for().
std::string url_of(const Route& route, const Pairs& values);
[[noreturn]] void refuse_name(std::string_view name);

class RouteTree {
 public:
  void add(const Route& route);

  struct Found {
    const Route* route = nullptr;                // matches the request
    const Route* websocket = nullptr;            // would match an upgrade
    const Route* other = nullptr;                // matches another method, if no route matches
    const Route* unrouted = nullptr;             // of the innermost mounted router, if no route matches
    std::vector<std::string_view> allowed = {};  // methods at this path, if no route matches
  };
  // One search, which ends at the first matching route. `path`: with encoded slashes as NULs.
  [[nodiscard]] Found find(std::string_view method, std::string_view path, bool is_upgrade) const;
  // The route without parameters that matches, without a search; otherwise null.
  [[nodiscard]] const Route* find_exact(std::string_view method, std::string_view path) const noexcept;

 private:
  struct Node {
    std::vector<std::pair<std::string, std::unique_ptr<Node>>> literals;
    std::unique_ptr<Node> integer;
    std::unique_ptr<Node> any;
    std::vector<const Route*> routes;  // whose patterns end here
    std::vector<const Route*> rest;    // whose patterns have {name:path} here
  };
  // Routes without parameters: they are the most specific ones, and most requests are for them.
  struct Exact {
    std::string path;
    const Route* route;
  };
  struct Walk;
  static bool visit(const Node& node, std::string_view path, Walk& walk);
  static bool look_at(const std::vector<const Route*>& routes, Walk& walk);
  Node root_;
  std::vector<Exact> exact_;  // the shortest paths first
};

class Site {
 public:
  explicit Site(App app);

  [[nodiscard]] const AppOptions& options() const noexcept { return options_; }
  // The limits of a parser before the route is known.
  [[nodiscard]] const http1::Limits& parser_limits() const noexcept { return parser_limits_; }
  // The headers of the options, serialized.
  [[nodiscard]] const std::string& fixed_fields() const noexcept { return fixed_fields_; }
  [[nodiscard]] std::size_t body_bytes_max(const Route& route) const noexcept {
    return route.options.body_bytes_max.value_or(options_.message.body_bytes_max);
  }
  [[nodiscard]] bool has_websockets() const noexcept { return has_websockets_; }
  [[nodiscard]] const SiteFacts& facts() const noexcept { return facts_; }

  // Fills in the parameters. When no route answers, `refusal` is the response.
  // Returns: then a route whose middleware it goes through: that of another method at the path, or one for the whole
  // app; null when there is no middleware.
  const Route* find(Request& request, bool is_upgrade, std::optional<Response>& refusal) const;

  // Whether a body of that length would fit beside those in memory. Thread: any.
  [[nodiscard]] bool has_room_for_body(std::uint64_t bytes) const noexcept {
    const std::size_t held = bodies_bytes_.load(std::memory_order_relaxed);
    return held <= options_.bodies_bytes_max && bytes <= options_.bodies_bytes_max - held;
  }
  // Reserves memory for a part of a body; false: bodies_bytes_max is reached. Thread: any.
  [[nodiscard]] bool reserve_body(std::size_t bytes) const noexcept;
  void release_body(std::size_t bytes) const noexcept { bodies_bytes_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  [[nodiscard]] bool is_for_us(const Request& request) const {
    return options_.hosts.empty() || names_our_host(request);
  }
  [[nodiscard]] bool names_our_host(const Request& request) const;
  RouteTree& tree_of(const std::string& host);
  [[nodiscard]] const RouteTree& tree_for(const Request& request) const;
  [[nodiscard]] Response allowed_methods(Request& request, const RouteTree::Found& found) const;
  [[nodiscard]] std::optional<Response> other_slash(const Request& request, const RouteTree& tree) const;

  AppOptions options_;
  http1::Limits parser_limits_;
  mutable std::atomic<std::size_t> bodies_bytes_ = 0;
  std::string fixed_fields_;
  std::vector<std::unique_ptr<Route>> routes_;
  std::unique_ptr<Route> unrouted_;  // for paths without a route, where the app has middleware
  SiteFacts facts_;
  RouteTree tree_;                                           // of the routes without a host
  std::vector<std::pair<std::string, RouteTree>> of_hosts_;  // the longest names first
  bool has_websockets_ = false;
};

// The HTTP connection, as the handler of a request needs it.
class RequestSource {
 public:
  virtual BodyReader& body_reader() noexcept = 0;
  // Reads the body to its end into Request::body().
  virtual Task<> read_body() = 0;
  // Throws: StatusError when the head has shown already that the body is refused.
  virtual void require_acceptable() = 0;
  virtual Response accept_websocket() = 0;
  // Within a catch block: the response to the exception of a handler. Throws it again when no response is possible.
  virtual Response failure_response() = 0;

 protected:
  ~RequestSource() = default;
};

// The path of a request through middleware to its handler.
class Dispatch {
 public:
  // `refusal`: the response instead of the handler's.
  Dispatch(const Route& route, RequestSource& source, std::optional<Response> refusal)
      : route_(route), source_(source), refusal_(std::move(refusal)) {}
  Task<Response> run(Request& request) const;
  // The response that next() would return instead of the handler's; null: the handler is called.
  static const Response* refusal(const Next& next) noexcept {
    const std::optional<Response>& response = next.dispatch_->refusal_;
    return response ? &*response : nullptr;
  }

 private:
  friend class Next;
  Task<Response> handle(Request& request) const;
  Task<Response> read_and_handle(Request& request) const;

  const Route& route_;
  RequestSource& source_;
  mutable std::optional<Response> refusal_;
};

// The response to an error: that of App::errors(), or by what the client prefers.
Response error_response(Request& request, const StatusError& error);
inline Response error_response(Request& request, int status) { return error_response(request, StatusError(status)); }
// Logs why a request is refused: as part of its line in the access log, if it has one there, otherwise by itself.
void log_refusal(Request& request, int status, std::string_view reason);
// Both: the response to a request whose handler or middleware threw the error.
Response refusal_of(const StatusError& error, Request& request);

// For readers of a body, which decode none.
// Throws: StatusError(415) for a Content-Encoding; the response has Accept-Encoding: identity (RFC 9110, section
// 12.5.3).
void require_no_content_coding(const Request& request, std::string_view operation);
// Within a catch block: the text of the exception, for the log.
std::string reason_of_exception();

// AppOptions::development: the response to a request whose handler threw this.
Response development_page(Request& request, std::string_view reason);

// Whether the origin, "http://a.example", is the one that the request was sent to.
bool is_own_origin(const Request& request, std::string_view origin);

// Whether a page of this origin may open a WebSocket here, by the request's Origin.
bool is_allowed_origin(const Request& request, const std::vector<std::string>& origins);

}  // namespace coax::http
