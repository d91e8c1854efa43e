// Random numbers of a generator for each thread; persons by the SHA-256 of their secret.
#include "services/chat/identity.hpp"

#include <charconv>
#include <random>
#include <string>

#include "coax/http/sha256.hpp"

namespace coax::chat {

std::uint64_t new_id() {
  thread_local std::random_device device;
  std::uint64_t id = 0;
  while (id == 0) id = (std::uint64_t{device()} << 32U) | device();
  return id;
}

std::uint64_t person_of(std::string_view secret) {
  http::Sha256 hash;
  hash.update("coax person ");
  hash.update(secret);
  const std::string digits = hash.hexadecimal().substr(0, 16);
  std::uint64_t person = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), person, 16);
  return person == 0 ? 1 : person;
}

}  // namespace coax::chat
