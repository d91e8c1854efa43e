// An app that is served: prepared state, and responses without a route.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/url.hpp"
#include "coax/http/exchange_private.hpp"
#include "coax/http/middleware.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

App::App(AppOptions options) : options_(std::move(options)) {
  for (const auto& [name, value] : options_.headers) http1::require_safe({name, value});
  ws::check(options_.websocket.deflate);
  if (options_.body_rate_min == 0) {
    throw Error(ErrorKind::invalid, "make an app with", "body_rate_min", "it is 0; no least rate is std::nullopt");
  }
}

App& App::errors(ErrorHandler handler) {
  if (!handler) throw Error(ErrorKind::invalid, "use", "a handler of errors", "its function is empty");
  errors_ = std::move(handler);
  return *this;
}

Site::Site(App app)
    : options_(std::move(app.options_)), parser_limits_(options_.message), routes_(std::move(app.routes_->list)) {
  for (const auto& [name, value] : options_.headers) fixed_fields_ += fmt::format("{}: {}\r\n", name, value);
  facts_.errors = std::move(app.errors_);
  facts_.is_development = options_.development;
  MiddlewareList& outer = app.routes_->middleware;
  if (options_.development) outer.insert(outer.begin(), std::make_shared<const Middleware>(access_log()));
  for (const auto& route : routes_) {
    if (!route->options.name.empty()) facts_.names.emplace(route->options.name, route.get());
    route->middleware.insert(route->middleware.begin(), outer.begin(), outer.end());
    has_websockets_ = has_websockets_ || route->is_websocket();
    parser_limits_.body_bytes_max = std::max(parser_limits_.body_bytes_max, body_bytes_max(*route));
    tree_of(route->host).add(*route);
  }
  if (outer.empty()) return;
  unrouted_ = std::make_unique<Route>(Route{.method = "*", .segments = {}, .handler = {}, .middleware = outer});
}

RouteTree& Site::tree_of(const std::string& host) {
  if (host.empty()) return tree_;
  const auto found = std::ranges::find(of_hosts_, host, &std::pair<std::string, RouteTree>::first);
  if (found != of_hosts_.end()) return found->second;
  const auto size_of = [](const auto& each) { return each.first.size(); };
  const auto place = std::ranges::find_if(of_hosts_, [&](const auto& each) { return size_of(each) < host.size(); });
  return of_hosts_.emplace(place, host, RouteTree())->second;
}

namespace {

// "*.example.org" is "a.example.org", but neither "example.org" nor "a.b.example.org".
bool is_host(std::string_view name, std::string_view pattern) {
  if (!pattern.starts_with('*')) return equal_ignoring_case(name, pattern);
  const std::size_t dot = name.find('.');
  return dot != 0 && dot != std::string_view::npos && equal_ignoring_case(name.substr(dot), pattern.substr(1));
}

}  // namespace

std::string encode_segments(std::string_view segments) {
  std::string path;
  for (const char c : segments) {
    if (c == '/') {
      path += c;
    } else {
      path += c == '\0' ? "%2F" : percent_encode(std::string_view(&c, 1));
    }
  }
  return path;
}

namespace {

// The port may be empty: "a:" (RFC 3986, section 3.2.3).
std::optional<HostPort> host_of(const Request& request) {
  const std::string_view host = request.host();
  return parse_host_port(host.substr(0, host.size() - host.ends_with(':')));
}

}  // namespace

const RouteTree& Site::tree_for(const Request& request) const {
  if (of_hosts_.empty()) return tree_;
  const auto parts = host_of(request);
  if (!parts) return tree_;
  const std::string_view host =
      std::string_view(parts->host).substr(0, parts->host.size() - parts->host.ends_with('.'));
  const auto found = std::ranges::find_if(of_hosts_, [&](const auto& each) { return is_host(host, each.first); });
  return found != of_hosts_.end() ? found->second : tree_;
}

// A redirect, when only the path with the other ending has a route.
std::optional<Response> Site::other_slash(const Request& request, const RouteTree& tree) const {
  std::string path(RequestAccess::segments(request));
  if (options_.trailing_slash == TrailingSlash::strict || path.size() < 2) return std::nullopt;
  path.ends_with('/') ? path.pop_back() : path.push_back('/');
  if (tree.find(request.method(), path, false).route == nullptr) return std::nullopt;
  const std::string_view target = request.target();
  const std::size_t query = std::min(target.find('?'), target.size());
  return Response::text("308 Permanent Redirect\n", 308)
      .header("Location", encode_segments(path) + std::string(target.substr(query)));
}

bool Site::reserve_body(std::size_t bytes) const noexcept {
  const std::size_t before = bodies_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  if (before + bytes <= options_.bodies_bytes_max && before + bytes >= before) return true;
  release_body(bytes);
  return false;
}

bool Site::names_our_host(const Request& request) const {
  if (request.host().empty() && request.protocol() == "HTTP/1.0") return true;  // no browser sends that
  const auto parts = host_of(request);
  if (!parts) return false;
  if (Endpoint::from_ip(parts->host, 0)) return true;
  return std::ranges::any_of(options_.hosts,
                             [&](const std::string& name) { return equal_ignoring_case(name, parts->host); });
}

const Route* Site::find(Request& request, bool is_upgrade, std::optional<Response>& refusal) const {
  if (!is_for_us(request)) {
    refusal = error_response(request, StatusError(421, "this server has no such host"));
    return unrouted_.get();
  }
  const RouteTree& tree = tree_for(request);
  if (!is_upgrade) {
    if (const Route* const exact = tree.find_exact(request.method(), RequestAccess::segments(request))) {
      RequestAccess::set_route(request, *exact);
      return exact;
    }
  }
  const RouteTree::Found found = tree.find(request.method(), RequestAccess::segments(request), is_upgrade);
  const Route* const route = is_upgrade && found.websocket != nullptr ? found.websocket : found.route;
  if (route != nullptr) {
    RequestAccess::set_route(request, *route);
    return route;
  }
  const Route* const other = found.other != nullptr ? found.other : found.websocket;
  if (other != nullptr || request.path() == "*") {
    refusal = allowed_methods(request, found);
  } else {
    refusal = other_slash(request, tree);
    if (!refusal) refusal = error_response(request, 404);
  }
  if (other != nullptr && !other->middleware.empty()) return other;
  return found.unrouted != nullptr ? found.unrouted : unrouted_.get();
}

// RFC 9110, section 10.2.1: Allow lists what the resource, or the server as a whole, has.
Response Site::allowed_methods(Request& request, const RouteTree::Found& found) const {
  const bool is_for_server = request.path() == "*";
  std::set<std::string_view> methods(found.allowed.begin(), found.allowed.end());
  if (methods.contains("GET")) methods.insert("HEAD");
  if (found.websocket != nullptr) methods.insert("GET");
  methods.insert("OPTIONS");
  if (is_for_server) {
    for (const auto& route : routes_) {
      if (!route->is_unrouted()) methods.insert(route->method);
    }
    for (const auto& route : routes_) {
      if (route->method == "GET" && !route->is_websocket()) methods.insert("HEAD");
    }
    methods.erase("*");
  }
  if (!is_for_server && found.websocket != nullptr && request.method() == "GET") {
    return error_response(request, 426).header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13");
  }
  std::string allow;
  for (const std::string_view method : methods) allow.append(allow.empty() ? "" : ", ").append(method);
  if (is_for_server || request.method() == "OPTIONS") return Response{.status = 204}.header("Allow", allow);
  return error_response(request, 405).header("Allow", allow);
}

// --- Dispatch ---

Task<Response> Dispatch::run(Request& request) const {
  Next next;
  next.dispatch_ = this;
  return next(request);
}

Task<Response> Next::operator()(Request& request) const {
  const Dispatch& dispatch = *dispatch_;
  if (index_ == dispatch.route_.middleware.size()) return dispatch.handle(request);
  Next next = *this;
  ++next.index_;
  return (*dispatch.route_.middleware[index_])(request, next);
}

Task<Response> Next::answered(Request& request) const {
  try {
    Response response = co_await (*this)(request);
    if (!std::holds_alternative<Upgrade>(response.body)) require_writable(response);
    co_return response;
  } catch (const Cancelled&) {
    throw;
  } catch (...) {
    co_return dispatch_->source_.failure_response();
  }
}

namespace {

Task<Response> ready(Response response) { co_return response; }

}  // namespace

Task<Response> Dispatch::handle(Request& request) const {
  if (refusal_) return ready(std::move(*refusal_));
  source_.require_acceptable();
  if (auto* const streaming = std::get_if<detail::StreamingHandler>(&route_.handler)) {
    return (*streaming)(request, source_.body_reader());
  }
  if (route_.is_websocket()) return ready(source_.accept_websocket());
  auto* const async = std::get_if<detail::AsyncHandler>(&route_.handler);
  if (async != nullptr && route_.middleware.empty()) return (*async)(request);  // its body is read already
  return read_and_handle(request);
}

Task<Response> Dispatch::read_and_handle(Request& request) const {
  co_await source_.read_body();
  if (auto* const sync = std::get_if<detail::SyncHandler>(&route_.handler)) co_return (*sync)(request);
  co_return co_await std::get<detail::AsyncHandler>(route_.handler)(request);
}

}  // namespace coax::http
