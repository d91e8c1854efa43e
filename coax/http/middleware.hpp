// Middleware ready to use, for Router::use(). The first one used is the outermost: it gets a request before all others,
// and its response after them. A usual order:
//
//   app.use(http::trusted_proxies({.networks = {Network::parse("10.0.0.0/8")}}));
//   app.use(http::access_log());
//   app.use(http::request_id());
//   app.use(http::security_headers());
//   app.use(http::rate_limit({.requests = 100, .period = 1min}));
//
// All of them turn an exception of a handler into its response, so that it gets their headers, too.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/http/password.hpp"
#include "coax/http/router.hpp"
#include "coax/net/network.hpp"

namespace coax::http {

struct RequestIdOptions {
  // Takes X-Request-Id from the request, if it is 1 to 128 letters, digits and "-._+/=:". Only behind a proxy that sets
  // it: otherwise clients choose what is in the log.
  bool from_request = false;
};
// Gives each request an id: Request::id(), the header X-Request-Id of the response, and the log line of an exception.
// 128 random bits in hexadecimal digits.
Middleware request_id(RequestIdOptions options = {});

struct AccessLogOptions {
  enum class Format : std::uint8_t {
    common,    // that of NCSA: 192.0.2.1 - ada [27/Nov/2026:18:30:00 +0000] "GET / HTTP/1.1" 200 12 0.001
    combined,  // and behind it "Referer" and "User-Agent", as Apache and nginx write it
    json,      // an object
  };
  Format format = Format::combined;
  // Called with each line, without a line end. Control characters are escaped. Empty: the log, at level info.
  // Thread: each loop calls it.
  std::function<void(std::string_view line)> sink = {};
};
// Logs each request with its status, the bytes of the response's body ("-" for a stream without a length; 0 where none
// is sent: HEAD, 204, 304), and at the end the seconds until the response was there. A streamed body is not waited for.
// 499, as in nginx: the client has left before the end of its body, and there was no response. Without a sink, and in
// JSON, the line of a refusal ends with its reason; otherwise the reason has a line in the log, as every request
// without a valid head.
Middleware access_log(AccessLogOptions options = {});

// Answers 503 when the response is not there in that time. The handler is cancelled. Streamed bodies and WebSockets are
// not limited.
Middleware timeout(Duration limit);

struct CorsOptions {
  // "https://app.example", exactly; {"*"}: any, but not with credentials. "null", which every sandboxed page may send,
  // only when it is listed.
  std::vector<std::string> origins = {};
  std::vector<std::string> methods = {"GET", "HEAD", "POST"};
  std::vector<std::string> headers = {};                    // that a page may send, besides the harmless ones
  std::vector<std::string> exposed = {};                    // headers of responses that a page may read
  bool credentials = false;                                 // with cookies and logins
  std::chrono::seconds max_age = std::chrono::minutes(10);  // of the answer to a preflight
};
// Lets pages of other origins read responses (Cross-Origin Resource Sharing: WHATWG Fetch, section 3.3). It answers
// preflights by itself, with those of `methods` that have a route at the path; where there is no route, or it answers
// OPTIONS, with all. Use it before middleware that refuses requests: a page cannot read refusals that do not pass
// through it. It protects from nothing: for that see csrf.hpp.
// Throws: Error(invalid) for any origin with credentials, and for texts that are no origin, method or name.
Middleware cors(CorsOptions options);

// An empty text: without that header. A header that the handler has set is kept.
struct SecurityHeaders {
  std::string content_security_policy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'";
  std::string referrer_policy = "strict-origin-when-cross-origin";
  // Strict-Transport-Security (RFC 6797), only over TLS: browsers use nothing else for that long.
  std::optional<std::chrono::seconds> hsts_max_age = {};
  bool hsts_subdomains = false;
};
// X-Content-Type-Options: nosniff is in AppOptions::headers already.
// Throws: Error(invalid) for a text that no header can have.
Middleware security_headers(SecurityHeaders options = {});

struct RateLimitOptions {
  std::size_t requests = 100;  // at once, and on average in each period
  Duration period = std::chrono::minutes(1);
  std::size_t addresses_max = 100'000;  // remembered; above, the one unused for longest is forgotten
};
// Answers 429 with Retry-After to an address, or an IPv6 /64, that sends more. Clients without an address (those of
// Unix sockets) count as one. Behind a proxy it needs trusted_proxies() before it.
// Throws: Error(invalid) when a number is zero.
Middleware rate_limit(RateLimitOptions options = {});

// Verifies a name and a password, both in UTF-8. Returns: nothing for wrong ones.
using VerifyPassword = std::function<Task<std::optional<Principal>>(std::string name, std::string password)>;
// HTTP Basic authentication (RFC 7617); over TLS only, since the password is sent with each request. 401 without a
// valid name and password, otherwise `verify` sets Request::principal().
// attempts: those of each address, or IPv6 /64; only wrong ones count. Above them 429 with Retry-After, whether the
// password is right or not. Null: no limit.
Middleware basic_auth(VerifyPassword verify, std::string realm = "Login",
                      std::shared_ptr<AttemptLimit> attempts = nullptr);
// For `verify`: one user. Both are compared in constant time.
VerifyPassword only_user(std::string name, std::string password);

// HTTP Digest authentication (RFC 7616) with SHA-256 and qop "auth", for clients that cannot do better: the password is
// not sent, but `secret_of` has to return a secret that is worth as much in this realm, digest_secret(), or nothing for
// an unknown name. A request is accepted once (section 3.4.6): nonces are valid for 5 minutes, and each counts the
// requests. 401 without a valid response.
using DigestSecretOf = std::function<Task<std::optional<std::string>>(std::string name)>;
Middleware digest_auth(DigestSecretOf secret_of, std::string realm = "Login");
// SHA-256 of name, realm and password, in hexadecimal.
std::string digest_secret(std::string_view name, std::string_view realm, std::string_view password);

// Returns: nothing for a wrong token.
using VerifyToken = std::function<Task<std::optional<Principal>>(std::string token)>;
// Bearer tokens (RFC 6750), in the Authorization header only. 401 without a valid one, 400 for a malformed header.
Middleware bearer_auth(VerifyToken verify, std::string realm = "API");

struct ProxyOptions {
  std::vector<Network> networks = {};  // of the proxies
  bool local_sockets = false;          // trusts peers without an address: those of Unix sockets
  // The one that the proxies set. A client may send the other one, which proxies pass on as it is.
  enum class Header : std::uint8_t {
    x_forwarded,  // X-Forwarded-For, -Proto and -Host
    forwarded,    // Forwarded (RFC 7239)
  } header = Header::x_forwarded;
  // Takes the host, too: only when the proxies set it or remove it from requests.
  bool host = false;
};
// Behind proxies: the client's address, scheme and host become Request::peer(), is_secure() and host(). The address is
// the right-most one that is not a proxy's; those left of it are the client's own claim. Unknown and obfuscated
// addresses end the search: then it is that of the last proxy. 400 for a malformed Forwarded.
Middleware trusted_proxies(ProxyOptions options);

// For pages that need a login: redirects anonymous visitors (303) to `url` with ?next= and the page that they wanted.
// After another method than GET and HEAD, whose body is lost, that is the page with the form: the Referer, if it is one
// of this site; otherwise there is no ?next=.
// Throws: Error(invalid) when the url is no local path.
Middleware login_required(std::string url);

// A path of this site to redirect to, such as that of ?next=.
// Returns: the text if it is a path with or without a query: begins with one '/', has only printable ASCII, no
// backslash, no dot segments and no empty ones, none of them encoded either; otherwise "/".
std::string safe_redirect_target(std::string_view text);

}  // namespace coax::http
