// Argon2id of libsodium, with its parameters for interactive use.
#include "coax/http/password.hpp"

#include <fmt/core.h>
#include <sodium.h>

#include <array>
#include <atomic>
#include <new>

#include "coax/base/error.hpp"
#include "coax/http/status_error.hpp"
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

// So that a flood of logins costs seconds of waiting, not minutes, and little memory.
class Turn {
 public:
  explicit Turn(const char* operation) {
    if (waiting_.fetch_add(1, std::memory_order_relaxed) < password_hashes_max) return;
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    throw StatusError(503, operation, "a password",
                      fmt::format("{} others wait for their turn; try again in a few seconds", password_hashes_max));
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { waiting_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  static inline std::atomic<std::size_t> waiting_ = 0;
};

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
  const Turn turn("hash");
  co_return co_await offload(std::move(work), as_cpu_work);
}

Task<bool> verify_password(std::string password, std::string hash) {
  if (password.size() > password_bytes_max) co_return false;
  auto work = [secret = Secret(std::move(password)), hash = std::move(hash)] {
    return verify_now(secret.text(), hash);
  };
  const Turn turn("verify");
  co_return co_await offload(std::move(work), as_cpu_work);
}

bool should_rehash_password(const std::string& hash) {
  require_libsodium();
  return crypto_pwhash_str_needs_rehash(hash.c_str(), passes, memory_bytes) != 0;
}

}  // namespace coax::http
