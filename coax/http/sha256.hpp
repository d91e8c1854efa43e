// SHA-256 (FIPS 180-4) of bytes as they come: of an upload, of a script for a Content-Security-Policy.
#pragma once

#include <memory>
#include <string>

#include "coax/base/bytes.hpp"

namespace coax::http {

class Sha256 {
 public:
  // Throws: Error(other) when libcrypto has no SHA-256.
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(BytesView bytes);
  // Of all bytes so far; more may follow.
  [[nodiscard]] std::string hexadecimal() const;
  [[nodiscard]] std::string base64() const;  // with padding (RFC 4648, section 4)

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coax::http
