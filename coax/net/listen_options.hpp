// How to listen: the same for blocking sockets and for those of a loop.
#pragma once

#include <optional>

#include "coax/base/compiler.hpp"

namespace coax {

struct ListenOptions {
  int backlog = 4096;      // the kernel caps it at net.core.somaxconn
  bool dual_stack = true;  // a listener on an IPv6 wildcard takes IPv4 clients too
  bool keep_alive =
      true;  // the kernel asks a peer that is silent for 60 s whether it is there, and gives up after 60 s
  bool reuse_address = true;  // although old connections of that port still fade away
  bool reuse_port = false;    // several listeners share the port; all must ask for it
  // Of a path: its permissions, such as 0660, from before anybody can connect; to connect one must be allowed to write.
  // Nothing: as the umask has it.
  std::optional<unsigned> mode = {};
};

}  // namespace coax
