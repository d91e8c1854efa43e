// Credentials: process, user and group of a peer, which the kernel attests across Unix sockets (unix(7)).
#pragma once

#include <cstdint>

#include "coax/base/compiler.hpp"

namespace coax {

struct Credentials {
  int pid = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

}  // namespace coax
