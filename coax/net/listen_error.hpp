// A name may have addresses that this machine lacks: `localhost` includes ::1 even where IPv6 is disabled. Listening on
// all addresses of a name skips those.
#pragma once

#include <cerrno>

#include "coax/base/compiler.hpp"

namespace coax {

// Source: bind(2), "a nonexistent interface was requested"; socket(2), "the address family is not supported".
constexpr bool lacks_address(int errno_value) noexcept {
  return errno_value == EADDRNOTAVAIL || errno_value == EAFNOSUPPORT;
}

}  // namespace coax
