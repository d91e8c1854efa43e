// A token is a mask, and the visitor's secret XOR this mask. The secret is a value of the session. While a visitor has
// none, it is in a cookie of its own, so that a page with a form needs no session: an attacker who can set that cookie
// could set the cookie of a session, too. It is not signed: an attacker could get a signed one here, and set that.
#include "coax/http/csrf.hpp"

#include <algorithm>

#include "coax/http/crypto_private.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/session.hpp"
#include "coax/http/site_private.hpp"
#include "coax/http/status_error.hpp"

namespace coax::http {

namespace {

constexpr std::string_view secret_name = "_csrf";
constexpr std::size_t secret_bytes = 32;

bool is_safe_method(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

bool is_from_here(const Request& request, const CsrfOptions& options) {
  if (request.fields().count("Origin") != 0) {
    const auto origin = request.fields().find_only("Origin");
    if (origin && std::ranges::count(options.origins, *origin) != 0) return true;
  }
  if (request.fields().count("Sec-Fetch-Site") != 0) {
    const auto site = request.fields().find_only("Sec-Fetch-Site");
    return site == "same-origin" || site == "none";  // none: the user's own doing
  }
  return is_allowed_origin(request, {});
}

}  // namespace

class CsrfSecret {
 public:
  explicit CsrfSecret(Request& request) : session_(session(request)) {}

  // In base64url; empty: there is none.
  [[nodiscard]] std::string find() const { return has_session() ? session_.text(secret_name) : session_.csrf_; }
  [[nodiscard]] std::string find_or_make() {
    if (find().empty()) {
      std::string secret = encode_base64url(random_bytes(secret_bytes));
      if (has_session()) {
        session_.set(secret_name, std::move(secret));
      } else {
        session_.csrf_ = std::move(secret);
        session_.is_csrf_new_ = true;
      }
    }
    return find();
  }

 private:
  [[nodiscard]] bool has_session() const noexcept { return !session_.id_.empty() && !session_.is_ended_; }

  Session& session_;
};

namespace {

std::string xored(std::string_view left, std::string_view right) {
  std::string out(left);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(out[i] ^ right[i]);
  return out;
}

// `missing`: what to say without a token; in development mode with `remedy`.
void require_token(Request& request, std::string_view text, std::string_view missing, std::string_view remedy) {
  if (text.empty()) {
    const std::string reason = std::string(missing).append(RequestAccess::is_development(request) ? remedy : "");
    throw StatusError(403, "check", "the token of the form", reason);
  }
  const auto secret = decode_base64url(CsrfSecret(request).find());
  const auto token = decode_base64url(text);
  const bool is_whole = secret && secret->size() == secret_bytes && token && token->size() == 2 * secret_bytes;
  if (is_whole) {
    const std::string_view bytes = *token;
    const std::string given = xored(bytes.substr(0, secret_bytes), bytes.substr(secret_bytes));
    if (is_equal_in_constant_time(given, *secret)) return;
  }
  throw StatusError(403, "check", "the token of the form", "the form has expired: reload the page and try again");
}

}  // namespace

Middleware csrf_protection(CsrfOptions options) {
  return [options = std::move(options)](Request& request, Next next) -> Task<Response> {
    if (is_safe_method(request.method()) || is_from_here(request, options)) co_return co_await next.answered(request);
    const StatusError refusal(403, "answer", "", "the request is from a page of another site");
    co_return refusal_of(refusal, request);
  };
}

std::string csrf_token(Request& request) {
  const auto secret = decode_base64url(CsrfSecret(request).find_or_make());
  const std::string mask = random_bytes(secret_bytes);
  return encode_base64url(mask + xored(*secret, mask));
}

void check_csrf(Request& request) {
  require_token(request, request.header("X-CSRF-Token"), "the request has no X-CSRF-Token",
                ": let the script of the page send this header, with the value of http::csrf_token()");
}

void check_csrf(Request& request, const Form& form) {
  const std::string_view field = form.value(secret_name);
  require_token(
      request, field.empty() ? request.header("X-CSRF-Token") : field,
      "the form has no token: its field _csrf is missing or empty",
      ": put <input type=\"hidden\" name=\"_csrf\" value=\"{{ token }}\"> into it, with http::csrf_token() as token");
}

}  // namespace coax::http
