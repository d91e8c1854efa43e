// Cookies (RFC 6265, and its successor draft-ietf-httpbis-rfc6265bis): those of a request, and Set-Cookie.
//
//   const auto theme = http::cookie(request, "theme");
//   return Response::text("Hello").cookie({.name = "theme", .value = "dark", .max_age = 720h});
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coax/http/message.hpp"

namespace coax::http {

// All cookies of a request in their order, of several with the same name only the first, which has the most specific
// path (RFC 6265, section 5.4). Pairs without '=' or whose name is no token are skipped. Values are without quotes
// around them, and decoded: SetCookie encodes as %XX what a cookie cannot have. They may contain any bytes.
Pairs parse_cookies(const Fields& fields);
// Returns: the value of the cookie of that name, as parse_cookies() has it.
std::optional<std::string> cookie(const Request& request, std::string_view name);

// To which requests from pages of other sites a browser adds the cookie.
enum class SameSite : std::uint8_t {
  lax,     // only when the user follows a link to here
  strict,  // none
  none,    // all; only with `secure`
};

struct SetCookie {
  std::string name;
  std::string value = {};   // any bytes; encoded where a cookie cannot have them
  std::string path = "/";   // requests for this path and below
  std::string domain = {};  // and for its subdomains; empty: only for the host of the request, which is safer
  // Whichever is set ends it, max_age first; neither: it ends with the browser. Not positive: the browser drops it.
  std::optional<std::chrono::seconds> max_age = {};
  std::optional<std::chrono::system_clock::time_point> expires = {};
  bool secure = false;    // only over TLS; set it wherever the site has TLS
  bool http_only = true;  // no script can read it
  SameSite same_site = SameSite::lax;
  bool partitioned = false;  // one for each site whose pages embed ours (CHIPS); only with `secure`
};

// The value of a field Set-Cookie.
// Throws: Error(invalid) for what browsers would ignore or misread: a name that is no token, a path or domain with
// other characters than they have, more than 4,096 bytes of name and value, `none` or `partitioned` without `secure`,
// a name "__Secure-..." without `secure`, and "__Host-..." without it, with a domain, or with another path than "/".
std::string format_set_cookie(const SetCookie& cookie);

}  // namespace coax::http
