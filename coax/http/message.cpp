// The content of a request: its target (RFC 9112, section 3.2), query and parameters.
#include "coax/http/message.hpp"

#include <algorithm>

#include "coax/base/error.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/http1.hpp"
#include "coax/codec/url.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

std::string_view Request::query(std::string_view name) const noexcept {
  for (const auto& [key, value] : query_) {
    if (key == name) return value;
  }
  return {};
}

// The path has the segments of the pattern, since the route matched.
std::optional<std::string_view> Request::find_parameter(std::string_view name) const noexcept {
  std::string_view rest = segments_;
  if (route_ == nullptr) return std::nullopt;
  for (const Segment& segment : route_->segments) {
    rest.remove_prefix(1);  // '/'
    const bool is_rest = segment.kind == Segment::Kind::rest;
    const std::size_t size = is_rest ? rest.size() : std::min(rest.find('/'), rest.size());
    if (segment.is_parameter() && segment.text == name) {
      return values_.substr(segments_.size() - rest.size(), size);
    }
    rest.remove_prefix(size);
  }
  return std::nullopt;
}

namespace {

[[noreturn]] void refuse_parameter(std::string_view name, const Route* route, std::string_view kind) {
  const std::string wanted = "{" + std::string(name) + std::string(kind) + "}";
  if (route == nullptr || route->segments.empty()) {
    throw Error(ErrorKind::invalid, "read the parameter", wanted,
                "the request has no route; for middleware there is find_parameter()");
  }
  throw Error(ErrorKind::invalid, "read the parameter", wanted, "the pattern of the route is " + pattern_of(*route));
}

}  // namespace

std::string_view Request::parameter(std::string_view name) const {
  const auto found = find_parameter(name);
  if (!found) refuse_parameter(name, route_, "");
  return *found;
}

std::int64_t Request::int_parameter(std::string_view name) const {
  const auto found = find_parameter(name);
  const auto is_this = [name](const Segment& segment) {
    return segment.kind == Segment::Kind::integer && segment.text == name;
  };
  if (!found || std::ranges::none_of(route_->segments, is_this)) refuse_parameter(name, route_, ":int");
  return parse_int_parameter(*found).value_or(0);
}

std::string Request::pattern() const {
  return route_ == nullptr || route_->segments.empty() ? "" : pattern_of(*route_);
}

std::string Request::url_for(std::string_view name, const Pairs& values) const {
  if (site_ == nullptr) refuse_name(name);
  const auto found = site_->names.find(name);
  if (found == site_->names.end()) refuse_name(name);
  return url_of(*found->second, values);
}

Task<> Request::send_early_hints(Pairs headers) {
  if (protocol() == "HTTP/1.0") co_return;
  std::vector<Field> fields;
  for (const auto& [name, value] : headers) {
    if (equal_ignoring_case(name, "Content-Length") || equal_ignoring_case(name, "Transfer-Encoding")) {
      throw Error(ErrorKind::invalid, "send the early hint", name, "it would frame a body, and hints have none");
    }
    fields.push_back({name, value});
  }
  std::string head;
  http1::append_response_head(head, 103, fields);
  co_await connection_.stream().send(head);
}

Response Response::redirect(std::string_view location, int status) {
  const auto is_control = [](char c) { return (c >= '\0' && c < ' ') || c == '\x7F'; };
  if (std::ranges::any_of(location, is_control)) {
    throw Error(ErrorKind::invalid, "redirect to", location,
                "a URL has no control characters; encode the values in it");
  }
  return Response{.status = status}.header("Location", encode_url(location));
}

Response& Response::header(std::string name, std::string value) & {
  headers.emplace_back(std::move(name), std::move(value));
  return *this;
}

// The four forms of a target. The authority form belongs to CONNECT, which is not supported.
bool RequestAccess::parse(Request& request) {
  std::string_view target = request.head_.target;
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

BodyTooLarge::BodyTooLarge(std::size_t bytes_max)
    : Error(ErrorKind::overloaded, "read", "a body", "it is longer than " + format_size(bytes_max)),
      bytes_max_(bytes_max) {}

Task<std::string> BodyReader::read_all(std::size_t bytes_max) {
  std::string all;
  while (const BytesView bytes = co_await recv()) {
    if (bytes.size() > bytes_max - all.size()) throw BodyTooLarge(bytes_max);
    all.append(bytes.text());
  }
  co_return all;
}

}  // namespace coax::http
