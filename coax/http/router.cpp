// Routes as registered, and as a tree whose edges are segments of paths.
#include "coax/http/router.hpp"

#include <algorithm>

#include "coax/base/error.hpp"
#include "coax/codec/token.hpp"
#include "coax/http/site_private.hpp"
#include "coax/net/endpoint.hpp"

namespace coax::http {

namespace {

[[noreturn]] void refuse(std::string_view pattern, std::string_view reason) {
  throw Error(ErrorKind::invalid, "add the route", pattern, reason);
}

Segment parse_parameter(std::string_view pattern, std::string_view text) {
  const std::string_view inside = text.substr(1, text.size() - 2);
  const std::string_view name = inside.substr(0, inside.find(':'));
  const std::string_view type = inside.substr(std::min(name.size() + 1, inside.size()));
  if (inside.find_first_of("{}") != std::string_view::npos)
    refuse(pattern, "a parameter is a whole segment: /of/{name}");
  if (name.empty()) refuse(pattern, "a parameter has a name");
  if (name.ends_with("...")) refuse(pattern, "a parameter for all remaining segments is written {name:path}");
  Segment segment{.kind = Segment::Kind::any, .text = std::string(name)};
  if (type == "int") segment.kind = Segment::Kind::integer;
  if (type == "path") segment.kind = Segment::Kind::rest;
  const bool is_known = inside == name || type == "int" || type == "path";
  if (!is_known) refuse(pattern, "a parameter is {name}, {name:int} or {name:path}");
  return segment;
}

Segment parse_segment(std::string_view pattern, std::string_view text) {
  if (text.starts_with(':') || text == "*" || (text.starts_with('<') && text.ends_with('>'))) {
    refuse(pattern, "a parameter is written {name}, or {name:path} for all remaining segments");
  }
  if (text == "." || text == "..") refuse(pattern, "clients resolve . and .. before they ask");
  if (text.size() > 2 && text.front() == '{' && text.back() == '}') return parse_parameter(pattern, text);
  if (text.find_first_of("{}") != std::string::npos) refuse(pattern, "a parameter is a whole segment: /of/{name}");
  return {.kind = Segment::Kind::literal, .text = std::string(text)};
}

std::vector<Segment> parse_pattern(std::string_view pattern) {
  if (pattern == "*") return {};
  if (!pattern.starts_with('/')) refuse(pattern, "a pattern begins with a slash");
  if (pattern.find_first_of("?#") != std::string_view::npos) refuse(pattern, "a pattern has no query and no fragment");
  std::vector<Segment> segments;
  std::size_t begin = 1;
  while (begin <= pattern.size()) {
    const std::size_t end = std::min(pattern.find('/', begin), pattern.size());
    segments.push_back(parse_segment(pattern, pattern.substr(begin, end - begin)));
    begin = end + 1;
  }
  return segments;
}

// What is wrong with a segment among the others; also after a prefix was put in front of them.
void check_segments(const Route& route) {
  const std::string pattern = pattern_of(route);
  for (auto segment = route.segments.begin(); segment != route.segments.end(); ++segment) {
    const bool is_last = segment + 1 == route.segments.end();
    if (segment->kind == Segment::Kind::literal) {
      if (segment->text.empty() && !is_last) refuse(pattern, "empty segments are left out of a path");
      continue;
    }
    if (segment->kind == Segment::Kind::rest && !is_last) refuse(pattern, "{name:path} is the last segment");
    const auto has_this_name = [&](const Segment& other) {
      return other.is_parameter() && other.text == segment->text;
    };
    if (std::ranges::count_if(route.segments, has_this_name) > 1) refuse(pattern, "two parameters have the same name");
  }
}

// They match the same requests, whatever the names of their parameters are.
bool is_same(const Route& left, const Route& right) {
  const auto is_alike = [](const Segment& one, const Segment& other) {
    return one.kind == other.kind && (one.is_parameter() || one.text == other.text);
  };
  return left.method == right.method && left.host == right.host && left.is_websocket() == right.is_websocket() &&
         std::ranges::equal(left.segments, right.segments, is_alike);
}

}  // namespace

std::string pattern_of(const Route& route) {
  std::string pattern;
  for (const Segment& segment : route.segments) {
    pattern += '/';
    if (segment.is_parameter()) pattern += '{';
    pattern += segment.text;
    if (segment.kind == Segment::Kind::integer) pattern += ":int";
    if (segment.kind == Segment::Kind::rest) pattern += ":path";
    if (segment.is_parameter()) pattern += '}';
  }
  return pattern;
}

Router::Router() : routes_(std::make_unique<Routes>()) {}
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;
Router::~Router() = default;

Router& Router::add(std::string_view method, std::string_view pattern, detail::AnyHandler handler, RouteOptions options,
                    bool is_empty) {
  if (is_empty) refuse(pattern, "its function is empty");
  if (method != "*" && !http1::is_token(method)) {
    throw Error(ErrorKind::invalid, "add a route for", method, "that is no method");
  }
  for (const std::string& protocol : options.protocols) {
    if (!http1::is_token(protocol)) refuse(pattern, "the subprotocol \"" + protocol + "\" is not a token");
  }
  auto route = std::make_unique<Route>(Route{.method = std::string(method),
                                             .segments = parse_pattern(pattern),
                                             .handler = std::move(handler),
                                             .options = std::move(options)});
  insert(std::move(route));
  return *this;
}

void Router::insert(std::unique_ptr<Route> route) {
  check_segments(*route);
  const auto is_again = [&](const auto& other) { return is_same(*other, *route); };
  if (std::ranges::any_of(routes_->list, is_again)) {
    refuse(route->method + " " + pattern_of(*route), "another route answers the same requests");
  }
  const std::string& name = route->options.name;
  const auto has_this_name = [&](const auto& other) { return other->options.name == name; };
  if (!name.empty() && std::ranges::any_of(routes_->list, has_this_name)) {
    refuse(pattern_of(*route), "another route has the name " + name);
  }
  routes_->list.push_back(std::move(route));
}

void Router::use_middleware(Middleware middleware) {
  if (!middleware) throw Error(ErrorKind::invalid, "use", "a middleware", "its function is empty");
  routes_->middleware.push_back(std::make_shared<const Middleware>(std::move(middleware)));
}

Router& Router::mount(std::string_view prefix, Router router) {
  if (prefix == "*") refuse(prefix, "a prefix begins with a slash");
  std::vector<Segment> before = parse_pattern(prefix);
  const Segment& last = before.back();
  if (!last.is_parameter() && last.text.empty()) before.pop_back();  // "/" and "/api/" mean "" and "/api"
  for (auto& route : router.routes_->list) {
    route->segments.insert(route->segments.begin(), before.begin(), before.end());
    adopt(*router.routes_, std::move(route));
  }
  // Without a prefix, the paths that have no route belong to no router.
  if (!before.empty() && !router.routes_->middleware.empty()) add_unrouted(*router.routes_, std::move(before));
  return *this;
}

// A 404 below the prefix passes the middleware of the mounted router.
void Router::add_unrouted(const Routes& from, std::vector<Segment> prefix) {
  for (const bool has_rest : {false, true}) {
    if (has_rest) prefix.push_back({.kind = Segment::Kind::rest, .text = "rest"});
    routes_->list.push_back(
        std::make_unique<Route>(Route{.method = {}, .segments = prefix, .handler = {}, .middleware = from.middleware}));
  }
}

Router& Router::host(std::string_view host, Router router) {
  const auto parts = parse_host_port(host);
  const std::string_view labels = host.starts_with("*.") ? host.substr(2) : host;
  if (!parts || parts->port || labels.empty() || labels.contains('*')) {
    throw Error(ErrorKind::invalid, "add the host", host,
                "a host is \"example.org\" or \"*.example.org\", without a port");
  }
  for (auto& route : router.routes_->list) {
    if (!route->host.empty()) throw Error(ErrorKind::invalid, "add the host", host, "its routes have a host already");
    route->host = host;
    adopt(*router.routes_, std::move(route));
  }
  return *this;
}

void Router::adopt(const Routes& from, std::unique_ptr<Route> route) {
  route->middleware.insert(route->middleware.begin(), from.middleware.begin(), from.middleware.end());
  insert(std::move(route));
}

// --- the tree ---

void RouteTree::add(const Route& route) {
  Node* node = &root_;
  for (const Segment& segment : route.segments) {
    if (segment.kind == Segment::Kind::rest) return node->rest.push_back(&route);
    std::unique_ptr<Node>* next = segment.kind == Segment::Kind::integer ? &node->integer : &node->any;
    if (segment.kind == Segment::Kind::literal) {
      const std::string& text = segment.text;
      const auto found = std::ranges::find(node->literals, text, &std::pair<std::string, std::unique_ptr<Node>>::first);
      next = found == node->literals.end() ? &node->literals.emplace_back(text, nullptr).second : &found->second;
    }
    if (!*next) *next = std::make_unique<Node>();
    node = next->get();
  }
  node->routes.push_back(&route);
  if (route.is_websocket() || std::ranges::any_of(route.segments, &Segment::is_parameter)) return;
  std::string path = pattern_of(route);
  const auto size_of = [](const Exact& exact) { return exact.path.size(); };
  const auto place = std::ranges::upper_bound(exact_, path.size(), {}, size_of);
  exact_.insert(place, {std::move(path), &route});
}

const Route* RouteTree::find_exact(std::string_view method, std::string_view path) const noexcept {
  const auto size_of = [](const Exact& exact) { return exact.path.size(); };
  auto exact = exact_.begin();
  if (exact_.size() > 8) exact = std::ranges::lower_bound(exact_, path.size(), {}, size_of);
  for (; exact != exact_.end() && exact->path.size() <= path.size(); ++exact) {
    if (exact->path == path && exact->route->method == method) return exact->route;
  }
  return nullptr;
}

struct RouteTree::Walk {
  std::string_view method;
  bool is_upgrade;
  Found found;
};

// True: the search is over. For an upgrade it continues to a WebSocket; other routes are used when there is none.
bool RouteTree::look_at(const std::vector<const Route*>& routes, Walk& walk) {
  const Route* answers = nullptr;
  for (const Route* route : routes) {
    if (route->is_websocket()) {
      if (walk.found.websocket == nullptr) walk.found.websocket = route;
    } else if (route->is_unrouted()) {
      if (walk.found.unrouted == nullptr) walk.found.unrouted = route;
    } else if (route->method == walk.method) {
      answers = route;
    } else if (route->method == "*") {
      if (answers == nullptr) answers = route;
    } else {
      if (walk.found.other == nullptr) walk.found.other = route;
      walk.found.allowed.push_back(route->method);
    }
  }
  if (walk.found.route == nullptr) walk.found.route = answers;
  return walk.is_upgrade ? walk.found.websocket != nullptr : walk.found.route != nullptr;
}

// `path` begins with the slash of the next segment, or is empty.
bool RouteTree::visit(const Node& node, std::string_view path, Walk& walk) {
  if (path.empty()) return look_at(node.routes, walk);
  const std::string_view rest = path.substr(1);
  const std::string_view segment = rest.substr(0, rest.find('/'));
  const std::string_view after = rest.substr(segment.size());
  for (const auto& [literal, next] : node.literals) {
    if (literal == segment && visit(*next, after, walk)) return true;
  }
  if (node.integer && parse_int_parameter(segment) && visit(*node.integer, after, walk)) return true;
  if (node.any && !segment.empty() && visit(*node.any, after, walk)) return true;
  return look_at(node.rest, walk);
}

RouteTree::Found RouteTree::find(std::string_view method, std::string_view path, bool is_upgrade) const {
  Walk walk{.method = method == "HEAD" ? "GET" : method, .is_upgrade = is_upgrade, .found = {}};
  visit(root_, path, walk);
  return std::move(walk.found);
}

}  // namespace coax::http
