// Paths of routes with a name.
#include <algorithm>
#include <charconv>

#include "coax/base/error.hpp"
#include "coax/codec/url.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

std::optional<std::int64_t> parse_int_parameter(std::string_view digits) noexcept {
  std::int64_t number = 0;
  const char* const end = digits.data() + digits.size();
  if (digits.empty() || digits.front() == '-') return std::nullopt;
  const auto [stop, failure] = std::from_chars(digits.data(), end, number);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return number;
}

void refuse_name(std::string_view name) {
  throw Error(ErrorKind::invalid, "make the URL of", name, "no route has this name (RouteOptions::name)");
}

namespace {

void append_value(std::string& path, const Segment& segment, std::string_view value, std::string_view name) {
  const auto refuse = [&](std::string_view reason) {
    throw Error(ErrorKind::invalid, "make the URL of", name, "{" + segment.text + "} " + std::string(reason));
  };
  const bool is_rest = segment.kind == Segment::Kind::rest;
  if (segment.kind == Segment::Kind::integer && !parse_int_parameter(value)) refuse("is no number");
  if (value.empty() && !is_rest) refuse("is empty");
  for (std::size_t begin = 0; begin <= value.size();) {  // clients would resolve these
    const std::size_t end = is_rest ? std::min(value.find('/', begin), value.size()) : value.size();
    const std::string_view part = value.substr(begin, end - begin);
    if (part == "." || part == "..") refuse("has a segment of dots");
    if (part.empty() && end != value.size()) refuse("has an empty segment");
    path += (begin == 0 ? "" : "/") + percent_encode(part);
    begin = end + 1;
  }
}

}  // namespace

std::string url_of(const Route& route, const Pairs& values) {
  std::string path;
  for (const Segment& segment : route.segments) {
    path += '/';
    if (!segment.is_parameter()) {
      path += percent_encode(segment.text);
      continue;
    }
    const auto value = std::ranges::find(values, segment.text, &Pairs::value_type::first);
    if (value == values.end()) {
      throw Error(ErrorKind::invalid, "make the URL of", route.options.name, "{" + segment.text + "} has no value");
    }
    append_value(path, segment, value->second, route.options.name);
  }
  char separator = '?';
  for (const auto& [name, value] : values) {
    const auto is_this = [&](const Segment& segment) { return segment.is_parameter() && segment.text == name; };
    if (std::ranges::any_of(route.segments, is_this)) continue;
    path += separator + percent_encode(name) + '=' + percent_encode(value);
    separator = '&';
  }
  return path;
}

std::string Router::url_for(std::string_view name, const Pairs& values) const {
  const auto has_this_name = [&](const auto& route) { return !name.empty() && route->options.name == name; };
  const auto found = std::ranges::find_if(routes_->list, has_this_name);
  if (found == routes_->list.end()) refuse_name(name);
  return url_of(**found, values);
}

}  // namespace coax::http
