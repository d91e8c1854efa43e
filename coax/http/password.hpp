// Passwords: kept as hashes of Argon2id (RFC 9106), and a limit of the attempts to guess one.
//
//   if (!attempts.attempt(name)) throw http::StatusError(429, "log in", name, "too many attempts, wait a while");
//   if (!co_await http::verify_password(password, hash_of(name))) co_return ...;
//   attempts.succeeded(name);
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "coax/base/units.hpp"
#include "coax/task/task.hpp"

namespace coax::http {

inline constexpr std::size_t password_bytes_max = 1024;

// Of this process, running and waiting.
inline constexpr std::size_t password_hashes_max = 32;

// Hashes with a random salt: 64 MiB and about 0.1 s on a thread of offload(as_cpu_work), so that at most half of the
// processors, and at most 8, hash at once.
// Returns: a text with the algorithm, its parameters and the salt: "$argon2id$v=19$...".
// Throws: StatusError(503) when password_hashes_max run or wait already; Error(invalid) for a password that is longer
// than password_bytes_max; std::bad_alloc.
// Cancelled: before its turn, it is not hashed; then the thread completes its work.
Task<std::string> hash_password(std::string password);

// Returns: whether the hash is of this password. For an unknown user, give it an empty hash: it is false after the same
// time, so that a stranger does not learn which names exist.
// Throws: StatusError(503), as above.
// Cancelled: as above.
Task<bool> verify_password(std::string password, std::string hash);

// Whether the hash has other parameters than hash_password() has now: hash the password again after it was verified.
[[nodiscard]] bool should_rehash_password(const std::string& hash);

// How many attempts to log in each key may make in any period of that length. A key is the name of an account, an
// address, or both.
// Thread: any thread with a loop.
class AttemptLimit {
 public:
  // Above keys_max keys, the one unused for longest is forgotten.
  // Throws: Error(invalid) when a number is zero.
  explicit AttemptLimit(std::size_t attempts = 10, Duration period = std::chrono::minutes(15),
                        std::size_t keys_max = 100'000);
  AttemptLimit(const AttemptLimit&) = delete;
  AttemptLimit& operator=(const AttemptLimit&) = delete;
  ~AttemptLimit();

  // Counts it as a failure. Call it before the password is verified, so that attempts at the same time count, too.
  // Returns: false when there were too many.
  [[nodiscard]] bool attempt(std::string_view key);
  // Forgets the attempts of the key. Only for the key of an account: an attacker may have an account, too, so the
  // failures of an address are kept. For an address, call take_back(), which forgets the last attempt.
  void succeeded(std::string_view key);
  void take_back(std::string_view key);
  // Returns: the time until the key may try again, for the header Retry-After; 0 when it may now.
  [[nodiscard]] std::chrono::seconds retry_after(std::string_view key);

 private:
  struct Table;
  std::unique_ptr<Table> table_;
};

}  // namespace coax::http
