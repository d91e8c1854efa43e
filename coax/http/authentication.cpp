// Logins by the Authorization header (RFC 9110, section 11): Basic (RFC 7617) and Bearer (RFC 6750). Redirects to the
// login page.
#include <fmt/core.h>

#include <algorithm>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"
#include "coax/codec/url.hpp"
#include "coax/http/crypto_private.hpp"
#include "coax/http/middleware.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/site_private.hpp"
#include "coax/http/status_error.hpp"

namespace coax::http {

Response challenge(Request& request, int status, std::string_view reason, std::string header) {
  const StatusError refusal(status, "log in", "", reason);
  return refusal_of(refusal, request).header("WWW-Authenticate", std::move(header));
}

void require_realm(std::string_view realm) {
  require_field_value("WWW-Authenticate", realm);
  if (realm.find_first_of("\"\\") != std::string_view::npos)
    throw Error(ErrorKind::invalid, "use the realm", realm, "it has a quote or a backslash");
}

namespace {

// The credentials behind the scheme, which is compared without regard to case; nothing for another scheme.
std::optional<std::string_view> credentials_of(std::string_view value, std::string_view scheme) {
  const std::size_t space = std::min(value.find(' '), value.size());
  if (!equal_ignoring_case(value.substr(0, space), scheme)) return std::nullopt;
  return trim(value.substr(space));
}

Response too_many_attempts(Request& request, std::chrono::seconds wait) {
  const StatusError refusal(429, "log in", "", "too many wrong logins from your address");
  return refusal_of(refusal, request).header("Retry-After", std::to_string(wait.count()));
}

struct Login {
  std::string name;
  std::string password;
};

std::optional<Login> login_of(const Request& request) {
  const auto header = request.fields().find_only("Authorization");
  const auto credentials = header ? credentials_of(*header, "Basic") : std::nullopt;
  const auto text = credentials ? decode_base64(*credentials) : std::nullopt;
  const std::size_t colon = text ? text->find(':') : std::string::npos;
  if (colon == std::string::npos || !is_utf8(*text) || has_control(*text)) return std::nullopt;
  return Login{.name = text->substr(0, colon), .password = text->substr(colon + 1)};
}

}  // namespace

Middleware basic_auth(VerifyPassword verify, std::string realm, std::shared_ptr<AttemptLimit> attempts) {
  require_realm(realm);
  const std::string header = fmt::format("Basic realm=\"{}\", charset=\"UTF-8\"", realm);
  return [verify = std::move(verify), header, attempts = std::move(attempts)](Request& request,
                                                                              Next next) -> Task<Response> {
    std::optional<Login> login = login_of(request);
    std::optional<Principal> principal;
    if (login) {
      const std::string key = attempts ? address_key(request.peer()) : std::string();
      if (attempts && !attempts->attempt(key)) co_return too_many_attempts(request, attempts->retry_after(key));
      Task<std::optional<Principal>> verifying = verify(std::move(login->name), std::move(login->password));
      principal = co_await std::move(verifying);
      if (attempts && principal) attempts->take_back(key);
    }
    if (!principal) co_return challenge(request, 401, "a name and a password are needed", header);
    request.set_principal(std::move(*principal));
    co_return co_await next.answered(request);
  };
}

VerifyPassword only_user(std::string name, std::string password) {
  return [wanted_name = sha256(name), wanted = sha256(password)](std::string given_name,
                                                                 std::string given) -> Task<std::optional<Principal>> {
    const bool is_name = is_equal_in_constant_time(sha256(given_name), wanted_name);
    const bool is_password = is_equal_in_constant_time(sha256(given), wanted);
    if (!is_name || !is_password) co_return std::nullopt;
    co_return Principal{.kind = Principal::Kind::user, .name = std::move(given_name)};
  };
}

Middleware bearer_auth(VerifyToken verify, std::string realm) {
  require_realm(realm);
  const std::string header = fmt::format("Bearer realm=\"{}\"", realm);
  return [verify = std::move(verify), header](Request& request, Next next) -> Task<Response> {
    static constexpr http1::WordChars is_token_char("-._~+/=");
    const auto field = request.fields().find_only("Authorization");
    const auto token = field ? credentials_of(*field, "Bearer") : std::nullopt;
    if (!token) co_return challenge(request, 401, "a token is needed", header);
    if (token->empty() || !std::ranges::all_of(*token, is_token_char)) {
      co_return challenge(request, 400, "the token is malformed", header + ", error=\"invalid_request\"");
    }
    Task<std::optional<Principal>> verifying = verify(std::string(*token));
    std::optional<Principal> principal = co_await std::move(verifying);
    if (!principal) co_return challenge(request, 401, "the token is not valid", header + ", error=\"invalid_token\"");
    request.set_principal(std::move(*principal));
    co_return co_await next.answered(request);
  };
}

// --- redirects to pages of this site ---

namespace {

// Decoded once, as the server will read it. Browsers drop tabs and line ends, and read '\' as '/'.
bool is_harmless_path(std::string_view path) {
  const auto is_printable = [](char c) { return c > ' ' && c < '\x7F' && c != '\\'; };
  if (!path.starts_with('/') || path.contains("//") || !std::ranges::all_of(path, is_printable)) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment == "." || segment == "..") return false;
    path.remove_prefix(segment.size());
  }
  return true;
}

std::optional<int> hexadecimal_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

// Bytes above ASCII become 'x': an encoded path may have them.
std::optional<std::string> decode_path(std::string_view path) {
  std::string out;
  for (std::size_t at = 0; at < path.size(); ++at) {
    if (path[at] != '%') {
      out += path[at];
      continue;
    }
    if (path.size() - at < 3) return std::nullopt;
    const auto high = hexadecimal_digit(path[at + 1]);
    const auto low = hexadecimal_digit(path[at + 2]);
    if (!high || !low) return std::nullopt;
    const int byte = *high * 16 + *low;
    out += byte > 0x7F || byte == ' ' ? 'x' : static_cast<char>(byte);
    at += 2;
  }
  return out;
}

}  // namespace

std::string safe_redirect_target(std::string_view text) {
  constexpr std::size_t target_bytes_max = 2048;
  const std::string_view path = text.substr(0, text.find_first_of("?#"));
  const auto is_printable = [](char c) { return c > ' ' && c < '\x7F' && c != '\\'; };
  const auto decoded = decode_path(path);
  const bool is_safe = text.size() <= target_bytes_max && std::ranges::all_of(text, is_printable) && decoded &&
                       is_harmless_path(path) && is_harmless_path(*decoded);
  return is_safe ? std::string(text) : "/";
}

namespace {

// The target as the router has read it: a path of this site, without the empty segments of "//a".
std::string own_path(const Request& request) {
  const std::string_view target = request.target();
  const std::size_t query = std::min(target.find('?'), target.size());
  return encode_segments(RequestAccess::segments(request)).append(target.substr(query));
}

std::string wanted_page(const Request& request) {
  const std::string target = safe_redirect_target(request.target());
  return target != "/" ? target : safe_redirect_target(own_path(request));
}

// What a form sends cannot be sent again after the login, and its action may have no page: the visitor returns to the
// page with the form, by Referer (RFC 9110, section 10.1.3), if it is one of this site. Nothing for the login page.
std::optional<std::string> page_of_form(const Request& request, std::string_view login) {
  const auto referer = request.fields().find_only("Referer");
  const auto page = referer ? parse_absolute_target(*referer) : std::nullopt;
  if (!page || !is_own_origin(request, referer->substr(0, referer->size() - page->rest.size()))) return std::nullopt;
  std::string target = safe_redirect_target(page->rest);
  if (std::string_view(target).substr(0, target.find('?')) == login) return std::nullopt;
  return target;
}

}  // namespace

Middleware login_required(std::string url) {
  if (url.contains('?') || safe_redirect_target(url) != url)
    throw Error(ErrorKind::invalid, "redirect to", url, "the login page is a path of this site");
  return [url = std::move(url)](Request& request, Next next) -> Task<Response> {
    if (!request.principal().is_anonymous() || request.path() == url) co_return co_await next.answered(request);
    const bool is_page = request.method() == "GET" || request.method() == "HEAD";
    const std::optional<std::string> target = is_page ? wanted_page(request) : page_of_form(request, url);
    Response response{.status = 303};
    response.header("Location", target ? url + "?next=" + percent_encode(*target) : url);
    response.header("Cache-Control", "no-store");
    co_return response;
  };
}

}  // namespace coax::http
