// Digest authentication (RFC 7616): challenges whose nonces are signed, and a window of counts for each nonce in use.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <mutex>

#include "coax/codec/parameters.hpp"
#include "coax/http/crypto_private.hpp"
#include "coax/http/middleware.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/recent_keys_private.hpp"
#include "coax/http/secret_cookie.hpp"
#include "coax/loop/loop.hpp"

namespace coax::http {

namespace {

constexpr std::chrono::seconds nonce_lifetime = std::chrono::minutes(5);
constexpr std::size_t nonces_max = 100'000;

std::string hash(std::string_view text) { return encode_hexadecimal(sha256(text)); }

// The counts that were used with a nonce. A browser sends requests on several connections, so they come out of order.
class Counts {
 public:
  [[nodiscard]] bool is_over(TimePoint now) const noexcept { return over_at_ <= now; }
  // Returns: false when it was used before, or is too old to tell.
  bool use(std::uint32_t count, TimePoint now) {
    constexpr std::uint32_t window = 64;
    over_at_ = now + nonce_lifetime;
    if (count > highest_) {
      const std::uint32_t shift = count - highest_;
      seen_ = shift >= window ? 0 : seen_ << shift;
      highest_ = count;
    }
    const std::uint32_t age = highest_ - count;
    if (age >= window || (seen_ >> age & 1) != 0) return false;
    seen_ |= std::uint64_t{1} << age;
    return true;
  }

 private:
  TimePoint over_at_;
  std::uint32_t highest_ = 0;
  std::uint64_t seen_ = 0;  // the last bit is for the highest one
};

// What the client has sent; the views are of `parameters`.
struct Credentials {
  ParameterizedValue parameters;
  std::string name;
  std::string_view nonce;
  std::string_view uri;
  std::string_view response;
  std::string_view count;  // hexadecimal
  std::string_view client_nonce;
};

std::optional<Credentials> credentials_of(const Request& request, std::string_view realm) {
  const auto field = request.fields().find_only("Authorization");
  auto parsed = field ? parse_credentials(*field) : std::nullopt;
  if (!parsed || parsed->value != "digest") return std::nullopt;
  std::optional<Credentials> found(Credentials{.parameters = std::move(*parsed)});
  const auto get = [&](std::string_view name) { return found->parameters.find(name).value_or(""); };
  if (get("realm") != realm || get("qop") != "auth" || get("algorithm") != "SHA-256") return std::nullopt;
  if (get("uri") != request.target() || get("nc").size() != 8) return std::nullopt;
  // Beyond ASCII (RFC 7616, section 3.4): never both.
  const auto extended = found->parameters.find("username*");
  if (extended && found->parameters.find("username")) return std::nullopt;
  const auto name = extended ? decode_extended_value(*extended) : std::optional<std::string>(get("username"));
  if (!name) return std::nullopt;
  found->name = *name;
  found->nonce = get("nonce");
  found->uri = get("uri");
  found->response = get("response");
  found->count = get("nc");
  found->client_nonce = get("cnonce");
  return found;
}

std::string expected_response(const Credentials& sent, std::string_view secret, std::string_view method) {
  return hash(fmt::format("{}:{}:{}:{}:auth:{}", secret, sent.nonce, sent.count, sent.client_nonce,
                          hash(fmt::format("{}:{}", method, sent.uri))));
}

class Digests {
 public:
  Digests(DigestSecretOf secret_of, std::string realm) : secret_of_(std::move(secret_of)), realm_(std::move(realm)) {}

  Task<Response> answer(Request& request, Next next) const {
    const std::optional<Credentials> sent = credentials_of(request, realm_);
    if (!sent) co_return refuse(request, "a name and a password are needed", false);
    std::string name = sent->name;
    Task<std::optional<std::string>> looking = secret_of_(name);
    const std::optional<std::string> secret = co_await std::move(looking);
    const std::string expected = expected_response(*sent, secret.value_or(""), request.method());
    const bool is_right = is_equal_in_constant_time(expected, sent->response);
    if (!secret || !is_right) co_return refuse(request, "the name or the password is wrong", false);
    // The client has the password: it may try again with another nonce.
    if (!use(*sent)) co_return refuse(request, "the nonce is not valid any more", true);
    request.set_principal({.kind = Principal::Kind::user, .name = std::move(name)});
    co_return co_await next.answered(request);
  }

 private:
  [[nodiscard]] bool use(const Credentials& sent) const {
    std::uint32_t count = 0;
    const auto [end, error] = std::from_chars(sent.count.data(), sent.count.data() + sent.count.size(), count, 16);
    const bool is_number = error == std::errc() && end == sent.count.data() + sent.count.size() && count != 0;
    if (!is_number || !keys_.verify("nonce", sent.nonce)) return false;
    const TimePoint now = Loop::current().backend().now();
    const std::scoped_lock lock(mutex_);
    return used_.find_or_add(sent.nonce, now).use(count, now);
  }

  [[nodiscard]] Response refuse(Request& request, std::string_view reason, bool is_stale) const {
    const std::string nonce = keys_.sign("nonce", random_bytes(16), nonce_lifetime);
    return challenge(request, 401, reason,
                     fmt::format("Digest realm=\"{}\", qop=\"auth\", algorithm=SHA-256, nonce=\"{}\", charset=UTF-8{}",
                                 realm_, nonce, is_stale ? ", stale=true" : ""));
  }

  DigestSecretOf secret_of_;
  std::string realm_;
  CookieKeys keys_{CookieKeys::new_secret()};
  mutable std::mutex mutex_;
  mutable RecentKeys<Counts> used_{nonces_max};
};

}  // namespace

Middleware digest_auth(DigestSecretOf secret_of, std::string realm) {
  require_realm(realm);
  return [digests = std::make_unique<const Digests>(std::move(secret_of), std::move(realm))](
             Request& request, Next next) { return digests->answer(request, next); };
}

std::string digest_secret(std::string_view name, std::string_view realm, std::string_view password) {
  return hash(fmt::format("{}:{}:{}", name, realm, password));
}

}  // namespace coax::http
