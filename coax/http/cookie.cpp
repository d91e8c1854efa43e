// Reading is lenient, as cookies are set by many programs of a site; writing is strict.
#include "coax/http/cookie.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/http_date.hpp"
#include "coax/codec/token.hpp"
#include "coax/codec/urlencoded.hpp"

namespace coax::http {

namespace {

// --- reading ---

// Calls f(name, value) for each well-formed pair of all fields Cookie; stops when f returns false.
template <class F>
void for_each_cookie(const Fields& fields, F f) {
  for (const Field& field : fields) {
    if (!equal_ignoring_case(field.name, "Cookie")) continue;
    std::string_view pairs = field.value;
    while (!pairs.empty()) {
      const std::string_view pair = trim(pairs.substr(0, pairs.find(';')));
      pairs.remove_prefix(std::min(pairs.find(';'), pairs.size() - 1) + 1);
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos) continue;
      const std::string_view name = trim(pair.substr(0, equals));
      if (http1::is_token(name) && !f(name, trim(pair.substr(equals + 1)))) return;
    }
  }
}

std::string decode_value(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  return percent_decode(value);
}

// --- writing ---

constexpr std::size_t cookie_bytes_max = 4096;     // of name and value (6265bis, section 5.6)
constexpr std::size_t attribute_bytes_max = 1024;  // of a path or a domain
// cookie-octet of RFC 6265, section 4.1.1, without '%'.
constexpr http1::WordChars is_plain_cookie_char("!#$&'()*+-./:<=>?@[]^_`{|}~");
constexpr http1::WordChars is_path_char("-._~!$&'()*+,=:@/%");  // RFC 3986, section 3.3, without ';'
constexpr http1::WordChars is_domain_char("-.");

std::string encode_value(std::string_view value) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_plain_cookie_char(c)) {
      out += c;
    } else {
      out += {'%', digits[byte >> 4U], digits[byte & 15U]};
    }
  }
  return out;
}

// Browsers ignore the case of prefixes (6265bis, section 4.1.3).
bool has_prefix(std::string_view name, std::string_view prefix) noexcept {
  return equal_ignoring_case(name.substr(0, prefix.size()), prefix);
}

[[noreturn]] void refuse(const SetCookie& cookie, std::string_view reason) {
  throw Error(ErrorKind::invalid, "set the cookie", cookie.name, reason);
}

// Also "__Host-Http-" (the successor of 6265bis).
bool is_for_host(std::string_view name) noexcept { return has_prefix(name, "__Host-"); }
bool is_for_servers(std::string_view name) noexcept {
  return has_prefix(name, "__Http-") || has_prefix(name, "__Host-Http-");
}
bool is_for_secure(std::string_view name) noexcept {
  return is_for_host(name) || is_for_servers(name) || has_prefix(name, "__Secure-");
}

void check(const SetCookie& cookie) {
  if (!http1::is_token(cookie.name)) refuse(cookie, "its name is not of letters, digits, and !#$%&'*+-.^_`|~");
  if (cookie.path.size() > attribute_bytes_max || cookie.domain.size() > attribute_bytes_max) {
    refuse(cookie, "its path or domain is longer than 1024 bytes, and browsers would ignore that");
  }
  if (!cookie.path.starts_with('/') || !std::ranges::all_of(cookie.path, is_path_char)) {
    refuse(cookie, "its path is not one of a URL");
  }
  if (!std::ranges::all_of(cookie.domain, is_domain_char)) refuse(cookie, "its domain is not the name of a host");
  if (!cookie.secure) {
    if (is_for_secure(cookie.name)) refuse(cookie, "one of that prefix is secure");
    if (cookie.same_site == SameSite::none) refuse(cookie, "one for all sites is secure");
    if (cookie.partitioned) refuse(cookie, "a partitioned one is secure");
  }
  if (is_for_servers(cookie.name) && !cookie.http_only) refuse(cookie, "one of that prefix is for HTTP only");
  if (is_for_host(cookie.name) && (!cookie.domain.empty() || cookie.path != "/")) {
    refuse(cookie, "one with the prefix __Host- has no domain, and the path /");
  }
}

std::string_view to_string(SameSite same_site) noexcept {
  return same_site == SameSite::none ? "None" : same_site == SameSite::strict ? "Strict" : "Lax";
}

}  // namespace

Pairs parse_cookies(const Fields& fields) {
  Pairs cookies;
  std::set<std::string_view> names;
  for_each_cookie(fields, [&](std::string_view name, std::string_view value) {
    if (names.insert(name).second) cookies.emplace_back(name, decode_value(value));
    return true;
  });
  return cookies;
}

std::optional<std::string> cookie(const Request& request, std::string_view name) {
  std::optional<std::string> result;
  for_each_cookie(request.fields(), [&](std::string_view key, std::string_view value) {
    if (key == name) result = decode_value(value);
    return !result;
  });
  return result;
}

std::string format_set_cookie(const SetCookie& cookie) {
  check(cookie);
  std::string out = cookie.name + "=" + encode_value(cookie.value);
  if (out.size() - 1 > cookie_bytes_max) {
    refuse(cookie, "it has more than 4096 bytes, and browsers would ignore it: keep its data on the server");
  }
  out += "; Path=" + cookie.path;
  if (!cookie.domain.empty()) out += "; Domain=" + cookie.domain;
  if (cookie.max_age) out += fmt::format("; Max-Age={}", std::max<std::int64_t>(cookie.max_age->count(), 0));
  if (cookie.expires) out += "; Expires=" + format_date(std::chrono::floor<std::chrono::seconds>(*cookie.expires));
  if (cookie.secure) out += "; Secure";
  if (cookie.http_only) out += "; HttpOnly";
  out.append("; SameSite=").append(to_string(cookie.same_site));
  if (cookie.partitioned) out += "; Partitioned";
  return out;
}

Response& Response::cookie(const SetCookie& cookie) & { return header("Set-Cookie", format_set_cookie(cookie)); }

Response& Response::forget_cookie(std::string_view name, std::string_view path, std::string_view domain) & {
  return cookie({.name = std::string(name),
                 .path = std::string(path),
                 .domain = std::string(domain),
                 .max_age = std::chrono::seconds(0),
                 .expires = std::chrono::system_clock::time_point(),
                 .secure = is_for_secure(name)});
}

}  // namespace coax::http
