// Values for cookies that only this site can have made: signed ones, which the user can read, and sealed ones, which
// are encrypted as well.
//
//   const http::CookieKeys keys({secret});  // of 32 random bytes, such as `openssl rand -hex 32` prints
//   response.cookie({.name = "user", .value = keys.sign("user", "ann", 24h), .max_age = 24h});
//   const auto user = keys.verify("user", *http::cookie(request, "user"));
//
// A value belongs to the name of its cookie and to its time: it means nothing in another cookie, and nothing later. It
// can be sent again until then: what must end at once (a session after its logout) is looked up on the server.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/compiler.hpp"

namespace coax::http {

// Thread: any; a copy or a reference may be shared.
class CookieKeys {
 public:
  using Time = std::chrono::system_clock::time_point;

  // The first secret makes values; values of the others are accepted as well. To rotate secrets, put a new one in
  // front, and remove the last one when its values have expired.
  // Throws: Error(invalid) without a secret, and for one of less than 32 bytes.
  explicit CookieKeys(std::span<const std::string> secrets);
  explicit CookieKeys(std::initializer_list<std::string> secrets)
      : CookieKeys(std::span(secrets.begin(), secrets.size())) {}
  // Returns: 32 random bytes in hexadecimal, for a program that keeps no secret: its cookies are void after a restart.
  // Throws: Error without random bytes.
  [[nodiscard]] static std::string new_secret();
  CookieKeys(const CookieKeys&) = default;
  CookieKeys& operator=(const CookieKeys&) = default;
  ~CookieKeys();

  // HMAC-SHA256 of the cookie's name, the value, the time and max_age. The result is the value in base64url, the times
  // and the code, separated by dots.
  // Throws: Error(invalid) for a name that is no token.
  [[nodiscard]] std::string sign(std::string_view name, std::string_view value, std::chrono::seconds max_age,
                                 Time now = std::chrono::system_clock::now()) const;
  // Returns: the signed value; nothing when it was changed, was made for another cookie or with another secret, or is
  // older than its max_age. In constant time for each secret.
  [[nodiscard]] std::optional<std::string> verify(std::string_view name, std::string_view text,
                                                  Time now = std::chrono::system_clock::now()) const;

  // AES-256-GCM with a random nonce; the cookie's name is authenticated, too. One secret is for at most 2^32 values
  // (NIST SP 800-38D, section 8.3). The length of the value can be seen.
  // Throws: Error(invalid) for a name that is no token; Error without random bytes.
  [[nodiscard]] std::string seal(std::string_view name, std::string_view value, std::chrono::seconds max_age,
                                 Time now = std::chrono::system_clock::now()) const;
  // Returns: the sealed value; nothing as verify().
  [[nodiscard]] std::optional<std::string> open(std::string_view name, std::string_view text,
                                                Time now = std::chrono::system_clock::now()) const;

 private:
  using Key = std::array<std::uint8_t, 32>;
  struct Pair {
    Key signing;
    Key sealing;
  };
  std::vector<Pair> keys_;
};

}  // namespace coax::http
