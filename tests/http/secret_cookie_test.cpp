// Signed and sealed values. The literals were made by an independent program: Python's hmac, and AES-GCM written after
// NIST SP 800-38D.
#include "coax/http/secret_cookie.hpp"

#include <gtest/gtest.h>

#include <set>

#include "coax/base/error.hpp"

namespace coax::secret_cookie_test {
namespace {

using http::CookieKeys;
using namespace std::chrono_literals;

constexpr const char* secret = "0123456789abcdef0123456789abcdef";
constexpr const char* old_secret = "fedcba9876543210fedcba9876543210";
const auto now = std::chrono::system_clock::from_time_t(1'700'000'000);

constexpr std::string_view signed_ann = "YW5u.1700000000.3600.LaJONSRQF-kmCdflaUbisre0nDMeWh85IPvKEhtGKdA";
constexpr std::string_view signed_ann_by_old = "YW5u.1700000000.3600.N1ywt_DkYSaNIZit6aD3LsD2r0J-aJnxuekrLIKxYdI";
constexpr std::string_view signed_nothing = ".1700000000.3600.QoXdoJpVk_Jwqpc8H8CaBviOORbX1Xzd5KEr3loJwCA";
constexpr std::string_view signed_bytes = "AP_-Oz0.1700000000.3600.yNRXQyhgxG_b38RdM2gMl-HGDvAd0npz-U28uw540qg";
constexpr std::string_view sealed_ann = "AAECAwQFBgcICQoLtw4UXVfsRpQJX7spYH9E_-AFIEbuQYvi7bNc9wFl1qTQFiA";
constexpr std::string_view sealed_ann_by_old = "AAECAwQFBgcICQoLVPeCfDDcfpqjBNafsuu5RGXJ9TBz39PkOb7CUJLRyk48Vdc";

const std::string bytes("\0\xFF\xFE;=", 5);

std::string kind_of_error(std::initializer_list<std::string> secrets) {
  try {
    const CookieKeys keys(secrets);
    return "none";
  } catch (const Error& error) {
    return std::string(to_string(error.kind()));
  }
}

// No other text is accepted: each one with a bit changed, cut short, or extended.
template <class Accept>
void expect_only(std::string_view good, Accept accept) {
  EXPECT_TRUE(accept(good));
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string changed(good);
    for (int bit = 0; bit < 8; ++bit) {
      changed[at] = static_cast<char>(good[at] ^ (1 << bit));
      EXPECT_FALSE(accept(changed)) << changed;
    }
    EXPECT_FALSE(accept(good.substr(0, at)));
    EXPECT_FALSE(accept(good.substr(at + 1)));
  }
  for (const char c : {'A', '=', '.', ' '}) EXPECT_FALSE(accept(std::string(good) + c));
}

}  // namespace

TEST(SecretCookie, signs_as_other_programs_do) {
  const CookieKeys keys({secret});
  EXPECT_EQ(keys.sign("user", "ann", 1h, now), signed_ann);
  EXPECT_EQ(keys.sign("user", "", 1h, now), signed_nothing);
  EXPECT_EQ(keys.sign("user", bytes, 1h, now), signed_bytes);
  EXPECT_EQ(keys.verify("user", signed_ann, now), "ann");
  EXPECT_EQ(keys.verify("user", signed_nothing, now), "");
  EXPECT_EQ(keys.verify("user", signed_bytes, now), bytes);
}

TEST(SecretCookie, opens_what_other_programs_seal) {
  const CookieKeys keys({secret});
  EXPECT_EQ(keys.open("user", sealed_ann, now), "ann");
  for (const std::string& value : {std::string(), std::string("ann"), bytes, std::string(3000, 'x')}) {
    EXPECT_EQ(keys.open("user", keys.seal("user", value, 1h, now), now), value);
  }
}

TEST(SecretCookie, accepts_no_other_text) {
  const CookieKeys keys({secret, old_secret});
  expect_only(signed_ann, [&](std::string_view text) { return keys.verify("user", text, now).has_value(); });
  expect_only(sealed_ann, [&](std::string_view text) { return keys.open("user", text, now).has_value(); });
  for (const std::string_view text : {"", ".", "...", "....", "a.b.c.d", "YW5u", "AAAA"}) {
    EXPECT_EQ(keys.verify("user", text, now), std::nullopt) << text;
    EXPECT_EQ(keys.open("user", text, now), std::nullopt) << text;
  }
  EXPECT_EQ(keys.verify("user", sealed_ann, now), std::nullopt);
  EXPECT_EQ(keys.open("user", signed_ann, now), std::nullopt);
  EXPECT_EQ(keys.open("user", std::string(100'000, 'A'), now), std::nullopt);
}

TEST(SecretCookie, belongs_to_its_name) {
  const CookieKeys keys({secret});
  for (const std::string_view name : {"User", "use", "user2", "", "user=YW5u"}) {
    EXPECT_EQ(keys.verify(name, signed_ann, now), std::nullopt) << name;
    EXPECT_EQ(keys.open(name, sealed_ann, now), std::nullopt) << name;
  }
  EXPECT_THROW(static_cast<void>(keys.sign("a=b", "", 1h)), Error);
  EXPECT_THROW(static_cast<void>(keys.seal("", "", 1h)), Error);
}

TEST(SecretCookie, expires) {
  const CookieKeys keys({secret});
  for (const auto& [time, is_good] :
       {std::pair(0s, true), {3600s, true}, {3601s, false}, {-300s, true}, {-301s, false}}) {
    EXPECT_EQ(keys.verify("user", signed_ann, now + time).has_value(), is_good) << time.count();
    EXPECT_EQ(keys.open("user", sealed_ann, now + time).has_value(), is_good) << time.count();
  }
  EXPECT_EQ(keys.verify("a", keys.sign("a", "x", -1s, now), now), std::nullopt);
  EXPECT_EQ(keys.open("a", keys.seal("a", "x", -1s, now), now), std::nullopt);
  EXPECT_EQ(keys.verify("a", keys.sign("a", "x", std::chrono::seconds::max(), now), now), "x");
}

TEST(SecretCookie, secrets_are_rotated) {
  const CookieKeys keys({secret, old_secret});
  EXPECT_EQ(keys.verify("user", signed_ann_by_old, now), "ann");
  EXPECT_EQ(keys.open("user", sealed_ann_by_old, now), "ann");
  EXPECT_EQ(keys.sign("user", "ann", 1h, now), signed_ann);
  const CookieKeys only_new({secret});
  EXPECT_EQ(only_new.verify("user", signed_ann_by_old, now), std::nullopt);
  EXPECT_EQ(only_new.open("user", sealed_ann_by_old, now), std::nullopt);
  EXPECT_EQ(only_new.open("user", keys.seal("user", "x", 1h, now), now), "x");
}

TEST(SecretCookie, no_two_sealed_values_are_alike) {
  const CookieKeys keys({secret});
  std::set<std::string> all;
  for (int round = 0; round < 100; ++round) all.insert(keys.seal("user", "ann", 1h, now).substr(0, 16));
  EXPECT_EQ(all.size(), 100U);
}

TEST(SecretCookie, needs_long_secrets) {
  EXPECT_EQ(kind_of_error({}), "invalid");
  EXPECT_EQ(kind_of_error({"password"}), "invalid");
  EXPECT_EQ(kind_of_error({secret, std::string(31, 'x')}), "invalid");
  EXPECT_EQ(kind_of_error({std::string(32, 'x')}), "none");
}

}  // namespace coax::secret_cookie_test
