// Routing, and the answers that need no route.
#include "coax/http/app.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"
#include "coax/codec/url.hpp"

namespace coax::http {

namespace {

Response plain(int status) {
  return Response::text(fmt::format("{} {}\n", status, http1::reason_phrase(status)), status);
}

// FNV-1a: it only has to tell one build's page from another's.
std::string etag_of(std::string_view body) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : body) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return fmt::format("\"{:016x}\"", hash);
}

// If-Match and If-None-Match (RFC 9110, section 13.1): a list, compared strongly or weakly; "*" is whatever there is.
enum class Compare : std::uint8_t { strongly, weakly };
bool names_etag(std::string_view list, std::string_view etag, Compare compare) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view each = trim(list.substr(0, comma));
    if (compare == Compare::weakly && each.starts_with("W/")) each.remove_prefix(2);
    if (each == etag || each == "*") return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

}  // namespace

App::App(AppOptions options) : options_(std::move(options)), parser_limits_(options_.message) {
  std::vector<http1::Field> fields;
  for (const auto& [name, value] : options_.headers) fields.push_back({name, value});
  http1::append_response_head(fixed_fields_, 200, fields);
  fixed_fields_.erase(0, fixed_fields_.find("\r\n") + 2);
  fixed_fields_.resize(fixed_fields_.size() - 2);
}

std::vector<std::string> App::split_path(std::string_view path) {
  const auto refuse = [path](std::string_view reason) {
    throw Error(ErrorKind::invalid, "add the route", std::string(path), reason);
  };
  if (!path.starts_with('/')) refuse("a pattern begins with a slash");
  if (path.find_first_of("?#") != std::string_view::npos) refuse("a pattern has no query and no fragment");
  std::vector<std::string> segments;
  std::size_t begin = 1;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string& segment = segments.emplace_back(path.substr(begin, end - begin));
    begin = end + 1;
    if (segment == "." || segment == "..") refuse("clients resolve . and .. before they ask");
    if (Request::is_parameter(segment)) {
      if (std::ranges::count(segments, segment) > 1) refuse("two parameters have the same name");
    } else if (segment.find_first_of("{}") != std::string::npos) {
      refuse("a parameter is a whole segment: /of/{name}");
    }
  }
  return segments;
}

// RFC 9112, section 3.2: the four forms of a target. The authority form belongs to CONNECT, which is not spoken here.
bool App::parse(Request& request) {
  std::string_view target = request.head_.target;
  request.host_ = request.header("Host");
  if (is_plain_path(target)) {
    request.path_ = request.segments_ = request.values_ = target;
    return true;
  }
  if (target == "*" && request.method() == "OPTIONS") {
    request.path_ = target;
    return true;
  }
  std::string origin_form;
  if (const auto absolute = parse_absolute_target(target)) {
    request.host_ = absolute->authority;
    origin_form = (absolute->rest.starts_with('/') ? "" : "/") + std::string(absolute->rest);
    target = origin_form;
  }
  auto parsed = parse_target(target);
  if (!parsed) return false;
  request.query_ = std::move(parsed->query);
  request.decoded_ = std::move(parsed->path);
  if (request.decoded_.contains('\0')) {
    auto& [segments, values] = *(request.with_slashes_ = std::make_unique<std::array<std::string, 2>>());
    segments = values = request.decoded_;
    std::ranges::replace(values, '\0', '/');
    request.decoded_.clear();
    for (const char c : segments) c == '\0' ? request.decoded_.append("%2F") : request.decoded_.append(1, c);
    request.segments_ = segments;
    request.values_ = values;
    request.path_ = request.decoded_;
  } else {
    request.path_ = request.segments_ = request.values_ = request.decoded_;
  }
  return true;
}

bool App::reserve_body(std::size_t bytes) const noexcept {
  const std::size_t before = bodies_bytes_->fetch_add(bytes, std::memory_order_relaxed);
  if (before + bytes <= options_.bodies_bytes_max) return true;
  release_body(bytes);
  return false;
}

App& App::add(Route route) {
  if (!http1::is_token(route.method)) {
    throw Error(ErrorKind::invalid, "add a route for", route.method, "that is no method");
  }
  if (std::ranges::none_of(route.segments, Request::is_parameter)) {
    for (const std::string& segment : route.segments) route.path.append("/").append(segment);
  }
  has_websockets_ = has_websockets_ || route.socket != nullptr;
  parser_limits_.body_bytes_max = std::max(parser_limits_.body_bytes_max, body_bytes_max(route));
  routes_.push_back(std::move(route));
  return *this;
}

App& App::websocket(std::string_view pattern, SocketAction function) {
  if (!function) throw Error(ErrorKind::invalid, "add the route", std::string(pattern), "its function is empty");
  return add({.method = "GET", .segments = split_path(pattern), .socket = std::move(function)});
}

App& App::file(const MemoryFile& file) {
  return get(file.path, [file, etag = etag_of(file.body)](Request& request) {
    Response response{.headers = {{"Cache-Control", "no-cache"}, {"ETag", etag}}};
    const std::string_view wanted = request.header("If-Match");
    if (!wanted.empty() && !names_etag(wanted, etag, Compare::strongly)) return plain(412);  // RFC 9110, section 13.1.1
    if (names_etag(request.header("If-None-Match"), etag, Compare::weakly)) {
      response.status = 304;
      return response;
    }
    response.content_type = file.content_type;
    response.lasting = file.body;
    return response;
  });
}

bool App::matches(const Route& route, std::string_view path) noexcept {
  if (!route.path.empty()) return route.path == path;
  for (const std::string& expected : route.segments) {
    if (path.empty()) return false;
    path.remove_prefix(1);  // '/'
    const std::string_view segment = path.substr(0, path.find('/'));
    if (Request::is_parameter(expected) ? segment.empty() : segment != expected) return false;
    path.remove_prefix(segment.size());
  }
  return path.empty();
}

bool App::names_our_host(const Request& request) const {
  if (request.host().empty() && request.head().version_minor == 0) return true;  // no browser sends that
  const auto parts = parse_host_port(request.host());
  if (!parts) return false;
  if (Endpoint::from_ip(parts->host, 0)) return true;
  return std::ranges::any_of(options_.hosts,
                             [&](const std::string& name) { return equal_ignoring_case(name, parts->host); });
}

App::SocketAction* App::find_websocket(Request& request) const {
  if (!is_for_us(request)) return nullptr;
  for (const Route& route : routes_) {
    if (!route.socket || !matches(route, request.segments_)) continue;
    request.pattern_ = route.segments;
    return &route.socket;
  }
  return nullptr;
}

const App::Route* App::find(Request& request) const {
  if (!is_for_us(request)) return nullptr;
  const std::string_view method = request.method() == "HEAD" ? "GET" : request.method();
  for (const Route& route : routes_) {
    if (!matches(route, request.segments_) || route.method != method || route.socket) continue;
    request.pattern_ = route.segments;
    return &route;
  }
  return nullptr;
}

// It is not for us, there is no such path, or it is there for other methods.
Response App::refusal(Request& request) const {
  if (!is_for_us(request)) return plain(421);
  return allowed_methods(request);
}

// RFC 9110, section 10.2.1: Allow lists what the resource, or the server as a whole, has.
Response App::allowed_methods(const Request& request) const {
  const bool is_for_server = request.path() == "*";
  std::set<std::string> methods;
  bool is_socket = false;
  for (const Route& route : routes_) {
    if (!is_for_server && !matches(route, request.segments_)) continue;
    is_socket = is_socket || route.socket != nullptr;
    methods.insert(route.method);
    if (route.method == "GET" && route.socket == nullptr) methods.insert("HEAD");
  }
  if (!is_for_server && methods.empty()) return plain(404);
  if (!is_for_server && is_socket && request.method() == "GET") {
    return plain(426).header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13");
  }
  std::string allow;
  for (const std::string& method : methods) allow += (allow.empty() ? "" : ", ") + method;
  if (is_for_server) return Response{.status = 204}.header("Allow", allow);
  return plain(405).header("Allow", allow);
}

}  // namespace coax::http
