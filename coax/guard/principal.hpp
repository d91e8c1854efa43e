// Principal: the identity of a peer, as far as it has been verified.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/compiler.hpp"

namespace coax {

struct Principal {
  enum class Kind : std::uint8_t {
    anonymous,    // nothing is known
    certificate,  // `name` is the subject of a client's certificate
    user,         // `name` has logged in
  };
  Kind kind = Kind::anonymous;
  std::string name = {};
  std::vector<std::string> roles = {};

  [[nodiscard]] bool is_anonymous() const noexcept { return kind == Kind::anonymous; }
  [[nodiscard]] bool has_role(std::string_view role) const noexcept { return std::ranges::count(roles, role) != 0; }
};

}  // namespace coax
