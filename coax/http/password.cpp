// Argon2id of libsodium, with its parameters for interactive use.
#include "coax/http/password.hpp"

#include <sodium.h>

#include <array>
#include <new>

#include "coax/base/error.hpp"
#include "coax/task/offload.hpp"

namespace coax::http {

namespace {

constexpr unsigned long long passes = crypto_pwhash_OPSLIMIT_INTERACTIVE;
constexpr std::size_t memory_bytes = crypto_pwhash_MEMLIMIT_INTERACTIVE;

void require_libsodium() {
  static const bool is_ready = sodium_init() >= 0;  // it may be called several times
  if (!is_ready) throw Error(ErrorKind::other, "hash", "a password", "libsodium cannot be initialized");
}

// Cleared at the end, on the thread that has used it.
class Secret {
 public:
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(Secret&&) = default;
  Secret& operator=(Secret&&) = delete;
  ~Secret() { sodium_memzero(text_.data(), text_.size()); }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

std::string hash_now(const std::string& password) {
  require_libsodium();
  std::array<char, crypto_pwhash_STRBYTES> out{};
  if (crypto_pwhash_str_alg(out.data(), password.data(), password.size(), passes, memory_bytes,
                            crypto_pwhash_ALG_ARGON2ID13) != 0) {
    throw std::bad_alloc();
  }
  return out.data();
}

// For unknown users, with the same parameters.
const std::string& decoy_hash() {
  static const std::string hash = hash_now("no user has this password");
  return hash;
}

bool verify_now(const std::string& password, const std::string& hash) {
  require_libsodium();
  const bool is_known = !hash.empty();
  const std::string& used = is_known ? hash : decoy_hash();
  return crypto_pwhash_str_verify(used.c_str(), password.data(), password.size()) == 0 && is_known;
}

}  // namespace

Task<std::string> hash_password(std::string password) {
  if (password.size() > password_bytes_max)
    throw Error(ErrorKind::invalid, "hash", "a password", "it has more than 1,024 bytes");
  auto work = [secret = Secret(std::move(password))] { return hash_now(secret.text()); };
  co_return co_await offload(std::move(work));
}

Task<bool> verify_password(std::string password, std::string hash) {
  if (password.size() > password_bytes_max) co_return false;
  auto work = [secret = Secret(std::move(password)), hash = std::move(hash)] {
    return verify_now(secret.text(), hash);
  };
  co_return co_await offload(std::move(work));
}

bool should_rehash_password(const std::string& hash) {
  require_libsodium();
  return crypto_pwhash_str_needs_rehash(hash.c_str(), passes, memory_bytes) != 0;
}

}  // namespace coax::http
