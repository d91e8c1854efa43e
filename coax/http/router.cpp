// Routes as registered, and as a tree whose edges are segments of paths.
#include "coax/http/router.hpp"

#include <algorithm>

#include "coax/base/error.hpp"
#include "coax/codec/token.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

bool is_parameter(std::string_view segment) noexcept {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}
bool is_rest(std::string_view segment) noexcept { return is_parameter(segment) && segment.ends_with("...}"); }
std::string_view parameter_name(std::string_view segment) noexcept {
  const std::string_view name = segment.substr(1, segment.size() - 2);
  return is_rest(segment) ? name.substr(0, name.size() - 3) : name;
}

namespace {

[[noreturn]] void refuse(std::string_view pattern, std::string_view reason) {
  throw Error(ErrorKind::invalid, "add the route", pattern, reason);
}

std::vector<std::string> split_pattern(std::string_view pattern) {
  if (pattern == "*") return {};
  if (!pattern.starts_with('/')) refuse(pattern, "a pattern begins with a slash");
  if (pattern.find_first_of("?#") != std::string_view::npos) refuse(pattern, "a pattern has no query and no fragment");
  std::vector<std::string> segments;
  std::size_t begin = 1;
  while (begin <= pattern.size()) {
    const std::size_t end = std::min(pattern.find('/', begin), pattern.size());
    segments.emplace_back(pattern.substr(begin, end - begin));
    begin = end + 1;
  }
  return segments;
}

void check_pattern(std::string_view pattern, const std::vector<std::string>& segments) {
  for (auto segment = segments.begin(); segment != segments.end(); ++segment) {
    if (segment->starts_with(':') || *segment == "*" || (segment->starts_with('<') && segment->ends_with('>'))) {
      refuse(pattern, "a parameter is written {name}, or {name...} for all remaining segments");
    }
    if (*segment == "." || *segment == "..") refuse(pattern, "clients resolve . and .. before they ask");
    if (segment->empty() && segment + 1 != segments.end()) refuse(pattern, "empty segments are left out of a path");
    if (is_parameter(*segment)) {
      const auto has_this_name = [&](const std::string& other) {
        return is_parameter(other) && parameter_name(other) == parameter_name(*segment);
      };
      const std::string_view name = parameter_name(*segment);
      if (name.empty()) refuse(pattern, "a parameter has a name");
      if (name.find_first_of("{}") != std::string_view::npos)
        refuse(pattern, "a parameter is a whole segment: /of/{name}");
      if (std::ranges::count_if(segments, has_this_name) > 1) refuse(pattern, "two parameters have the same name");
      if (is_rest(*segment) && segment + 1 != segments.end()) refuse(pattern, "{name...} is the last segment");
    } else if (segment->find_first_of("{}") != std::string::npos) {
      refuse(pattern, "a parameter is a whole segment: /of/{name}");
    }
  }
}

std::string pattern_of(const Route& route) {
  std::string pattern;
  for (const std::string& segment : route.segments) pattern.append("/").append(segment);
  return pattern;
}

// They match the same requests, whatever the names of their parameters are.
bool is_same(const Route& left, const Route& right) {
  const auto kind = [](const std::string& segment) {
    return is_rest(segment) ? std::string("{...}") : is_parameter(segment) ? std::string("{}") : segment;
  };
  return left.method == right.method && left.is_websocket() == right.is_websocket() &&
         std::ranges::equal(left.segments, right.segments, {}, kind, kind);
}

}  // namespace

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
  auto route = std::make_unique<Route>(Route{.method = std::string(method),
                                             .segments = split_pattern(pattern),
                                             .handler = std::move(handler),
                                             .options = options});
  insert(std::move(route));
  return *this;
}

void Router::insert(std::unique_ptr<Route> route) {
  const std::string pattern = pattern_of(*route);
  check_pattern(pattern, route->segments);
  const auto is_again = [&](const auto& other) { return is_same(*other, *route); };
  if (std::ranges::any_of(routes_->list, is_again))
    refuse(route->method + " " + pattern, "another route answers the same requests");
  routes_->list.push_back(std::move(route));
}

void Router::use_middleware(Middleware middleware) {
  if (!middleware) throw Error(ErrorKind::invalid, "use", "a middleware", "its function is empty");
  routes_->middleware.push_back(std::make_shared<const Middleware>(std::move(middleware)));
}

Router& Router::mount(std::string_view prefix, Router router) {
  if (prefix == "*") refuse(prefix, "a prefix begins with a slash");
  std::vector<std::string> before = split_pattern(prefix);
  if (before.back().empty()) before.pop_back();  // "/" and "/api/" mean "" and "/api"
  for (auto& route : router.routes_->list) {
    route->segments.insert(route->segments.begin(), before.begin(), before.end());
    const MiddlewareList& outer = router.routes_->middleware;
    route->middleware.insert(route->middleware.begin(), outer.begin(), outer.end());
    insert(std::move(route));
  }
  return *this;
}

// --- the tree ---

void RouteTree::add(const Route& route) {
  Node* node = &root_;
  for (const std::string& segment : route.segments) {
    if (is_rest(segment)) return node->rest.push_back(&route);
    std::unique_ptr<Node>* next = nullptr;
    if (is_parameter(segment)) {
      next = &node->parameter;
    } else {
      const auto found =
          std::ranges::find(node->literals, segment, &std::pair<std::string, std::unique_ptr<Node>>::first);
      next = found == node->literals.end() ? &node->literals.emplace_back(segment, nullptr).second : &found->second;
    }
    if (!*next) *next = std::make_unique<Node>();
    node = next->get();
  }
  node->routes.push_back(&route);
  if (route.is_websocket() || std::ranges::any_of(route.segments, is_parameter)) return;
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
    } else if (route->method == walk.method) {
      answers = route;
    } else if (route->method == "*") {
      if (answers == nullptr) answers = route;
    } else {
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
  if (node.parameter && !segment.empty() && visit(*node.parameter, after, walk)) return true;
  return look_at(node.rest, walk);
}

RouteTree::Found RouteTree::find(std::string_view method, std::string_view path, bool is_upgrade) const {
  Walk walk{.method = method == "HEAD" ? "GET" : method, .is_upgrade = is_upgrade, .found = {}};
  visit(root_, path, walk);
  return std::move(walk.found);
}

}  // namespace coax::http
