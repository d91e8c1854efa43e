// A page of another origin must not use a visitor's browser to connect. Clients other than browsers send no Origin. An
// origin is scheme, host and port (RFC 6454, section 4). The host names of a TLS proxy in front of this server are in
// the options.
#include <fmt/core.h>

#include <algorithm>

#include "coax/base/text.hpp"
#include "coax/codec/url.hpp"
#include "coax/http/site_private.hpp"

namespace coax::http {

namespace {

// Of an origin "http://a.example": "a.example:80", and whether it is https; nothing for other schemes.
std::optional<std::pair<std::string, bool>> authority_of(std::string_view origin) {
  const auto parts = parse_absolute_target(origin);
  if (!parts || !parts->rest.empty()) return std::nullopt;
  const bool is_https = origin.size() > 4 && (origin[4] == 's' || origin[4] == 'S');
  const auto target = parse_host_port(parts->authority);
  if (!target) return std::nullopt;
  return std::pair(fmt::format("{}:{}", target->host, target->port.value_or(is_https ? 443 : 80)), is_https);
}

}  // namespace

bool is_own_origin(const Request& request, std::string_view origin) {
  const auto page = authority_of(origin);
  const auto ours = authority_of(fmt::format("{}://{}", request.is_secure() ? "https" : "http", request.host()));
  return page && ours && page->second == ours->second && equal_ignoring_case(page->first, ours->first);
}

bool is_allowed_origin(const Request& request, const std::vector<std::string>& origins) {
  if (request.fields().count("Origin") == 0) return true;
  const auto origin = request.fields().find_only("Origin");
  const auto page = origin ? authority_of(*origin) : std::nullopt;
  if (!page) return false;
  if (is_own_origin(request, *origin)) return true;
  return std::ranges::any_of(origins, [&](const std::string& host) {
    const auto other = authority_of(fmt::format("{}://{}", page->second ? "https" : "http", host));
    return other && equal_ignoring_case(other->first, page->first);
  });
}

}  // namespace coax::http
