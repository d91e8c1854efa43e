// Each use has a key of its own, derived from the secret (HKDF-SHA256, RFC 5869): a signature can never be taken for a
// part of a sealed value. A change of a format changes its label.
#include "coax/http/secret_cookie.hpp"

#include <fmt/core.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <new>

#include "coax/base/error.hpp"
#include "coax/codec/token.hpp"
#include "coax/http/crypto_private.hpp"

namespace coax::http {

namespace {

constexpr std::size_t secret_bytes_min = 32;
constexpr std::size_t text_bytes_max = 16 * 1024;  // no cookie is as long
constexpr std::int64_t clock_skew_seconds = 300;   // of the servers of one site
using Digest = std::array<std::uint8_t, 32>;
using Time = CookieKeys::Time;

Digest hmac(std::span<const std::uint8_t> key, std::string_view text) {
  Digest digest{};
  const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, text.size(), digest.data(), nullptr) ==
      nullptr) {
    throw std::bad_alloc();
  }
  return digest;
}

// HKDF without a salt, and with one block of output.
Digest derive(std::string_view secret, std::string_view label) {
  const Digest extracted = hmac(Digest{}, secret);
  return hmac(extracted, std::string(label) + '\x01');
}

// --- times ---

std::int64_t seconds_of(Time time) { return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count(); }

bool is_valid_at(std::int64_t now, std::int64_t made, std::int64_t max_age) noexcept {
  if (made < 0 || max_age < 0 || made > now + clock_skew_seconds) return false;
  return now - made <= max_age;
}

std::optional<std::int64_t> parse_number(std::string_view text) noexcept {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

void check_name(std::string_view name) {
  if (!http1::is_token(name))
    throw Error(ErrorKind::invalid, "sign the cookie", name, "that is not a name of a cookie");
}

// The part before the last dot, and the part behind it, which are separated.
std::optional<std::string_view> pop_part(std::string_view& text) noexcept {
  const std::size_t dot = text.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view part = text.substr(dot + 1);
  text = text.substr(0, dot);
  return part;
}

// The name is a token, thus "=" ends it.
std::string signed_text(std::string_view name, std::string_view payload) { return fmt::format("{}={}", name, payload); }

std::string_view text_of(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

// --- AES-256-GCM (NIST SP 800-38D) ---

constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;
constexpr std::size_t times_bytes = 16;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

unsigned char* octets(char* text) noexcept { return reinterpret_cast<unsigned char*>(text); }
const unsigned char* octets(const char* text) noexcept { return reinterpret_cast<const unsigned char*>(text); }
int length(std::size_t size) noexcept { return static_cast<int>(size); }

[[noreturn]] void fail_to_seal(std::string_view name) {
  throw Error(ErrorKind::other, "seal the cookie", name, "libcrypto cannot encrypt it");
}

// nonce, ciphertext, tag
std::string encrypt(const Digest& key, std::string_view name, std::string_view plain) {
  std::string out(nonce_bytes + plain.size() + tag_bytes, '\0');
  char* const body = out.data() + nonce_bytes;
  if (RAND_bytes(octets(out.data()), nonce_bytes) != 1) fail_to_seal(name);
  const Cipher cipher(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int done = 0;
  const bool is_good =
      cipher && EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), octets(out.data())) == 1 &&
      EVP_EncryptUpdate(cipher.get(), nullptr, &done, octets(name.data()), length(name.size())) == 1 &&
      EVP_EncryptUpdate(cipher.get(), octets(body), &done, octets(plain.data()), length(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), octets(body) + done, &done) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, tag_bytes, body + plain.size()) == 1;
  if (!is_good) fail_to_seal(name);
  return out;
}

std::optional<std::string> decrypt(const Digest& key, std::string_view name, std::string_view sealed) {
  if (sealed.size() < nonce_bytes + times_bytes + tag_bytes) return std::nullopt;
  const std::string_view body = sealed.substr(nonce_bytes, sealed.size() - nonce_bytes - tag_bytes);
  std::array<char, tag_bytes> tag{};
  std::ranges::copy(sealed.substr(sealed.size() - tag_bytes), tag.begin());
  std::string plain(body.size(), '\0');
  const Cipher cipher(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int done = 0;
  const bool is_good =
      cipher && EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), octets(sealed.data())) == 1 &&
      EVP_DecryptUpdate(cipher.get(), nullptr, &done, octets(name.data()), length(name.size())) == 1 &&
      EVP_DecryptUpdate(cipher.get(), octets(plain.data()), &done, octets(body.data()), length(body.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, tag_bytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), octets(plain.data()) + done, &done) == 1;
  if (!is_good) return std::nullopt;
  return plain;
}

void append_number(std::string& out, std::int64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(static_cast<std::uint64_t>(number) >> shift);
}

std::int64_t number_of(std::string_view eight_bytes) {
  std::uint64_t number = 0;
  for (const char c : eight_bytes) number = number << 8 | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(number);
}

}  // namespace

CookieKeys::CookieKeys(std::span<const std::string> secrets) {
  const auto refuse = [](std::string_view reason) {
    throw Error(ErrorKind::invalid, "use", "the secrets of cookies", reason);
  };
  if (secrets.empty()) refuse("there is none");
  for (const std::string& secret : secrets) {
    if (secret.size() < secret_bytes_min) refuse("one has less than 32 bytes: make them with `openssl rand -hex 32`");
    keys_.push_back(
        {.signing = derive(secret, "coax cookie signature 1"), .sealing = derive(secret, "coax cookie seal 1")});
  }
}

std::string CookieKeys::new_secret() { return encode_hexadecimal(random_bytes(32)); }

CookieKeys::~CookieKeys() { OPENSSL_cleanse(keys_.data(), keys_.size() * sizeof(Pair)); }

std::string CookieKeys::sign(std::string_view name, std::string_view value, std::chrono::seconds max_age,
                             Time now) const {
  check_name(name);
  std::string payload = fmt::format("{}.{}.{}", encode_base64url(value), seconds_of(now), max_age.count());
  const Digest code = hmac(keys_.front().signing, signed_text(name, payload));
  return payload.append(".").append(encode_base64url(text_of(code)));
}

std::optional<std::string> CookieKeys::verify(std::string_view name, std::string_view text, Time now) const {
  if (text.size() > text_bytes_max || !http1::is_token(name)) return std::nullopt;
  const auto code = pop_part(text);
  if (!code) return std::nullopt;
  const auto digest = decode_base64url(*code);
  if (!digest || digest->size() != Digest().size()) return std::nullopt;
  const std::string covered = signed_text(name, text);
  bool is_ours = false;
  for (const Pair& key : keys_) {
    const Digest own = hmac(key.signing, covered);
    is_ours = CRYPTO_memcmp(own.data(), digest->data(), own.size()) == 0 || is_ours;
  }
  if (!is_ours) return std::nullopt;
  const auto max_age = parse_number(pop_part(text).value_or(""));
  const auto made = parse_number(pop_part(text).value_or(""));
  if (!made || !max_age || !is_valid_at(seconds_of(now), *made, *max_age)) return std::nullopt;
  return decode_base64url(text);
}

std::string CookieKeys::seal(std::string_view name, std::string_view value, std::chrono::seconds max_age,
                             Time now) const {
  check_name(name);
  std::string plain;
  append_number(plain, seconds_of(now));
  append_number(plain, max_age.count());
  plain += value;
  return encode_base64url(encrypt(keys_.front().sealing, name, plain));
}

std::optional<std::string> CookieKeys::open(std::string_view name, std::string_view text, Time now) const {
  if (text.size() > text_bytes_max || !http1::is_token(name)) return std::nullopt;
  const auto sealed = decode_base64url(text);
  if (!sealed) return std::nullopt;
  for (const Pair& key : keys_) {
    const auto plain = decrypt(key.sealing, name, *sealed);
    if (!plain) continue;
    const std::string_view times = *plain;
    if (!is_valid_at(seconds_of(now), number_of(times.substr(0, 8)), number_of(times.substr(8, 8))))
      return std::nullopt;
    return plain->substr(times_bytes);
  }
  return std::nullopt;
}

}  // namespace coax::http
