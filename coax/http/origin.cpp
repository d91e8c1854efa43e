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

bool is_allowed_origin(const Request& request, const std::vector<std::string>& origins) {
  if (request.fields().count("Origin") == 0) return true;
  const auto origin = request.fields().find_only("Origin");
  const auto page = origin ? authority_of(*origin) : std::nullopt;
  if (!page) return false;
  const auto is_at = [&](std::string_view host, std::string_view scheme) {
    const auto ours = authority_of(fmt::format("{}://{}", scheme, host));
    return ours && equal_ignoring_case(ours->first, page->first);
  };
  const bool is_https = request.is_secure();
  if (page->second == is_https && is_at(request.host(), is_https ? "https" : "http")) return true;
  return std::ranges::any_of(origins,
                             [&](const std::string& host) { return is_at(host, page->second ? "https" : "http"); });
}

}  // namespace coax::http
