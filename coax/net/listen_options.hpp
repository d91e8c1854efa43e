// Options for listening, the same for blocking sockets and for those of a loop.
#pragma once

#include <optional>

#include "coax/base/compiler.hpp"

namespace coax {

struct ListenOptions {
  int backlog = 4096;         // the kernel caps it at net.core.somaxconn
  bool dual_stack = true;     // a listener on the IPv6 wildcard accepts IPv4 clients, too
  bool keep_alive = true;     // keep-alive: probes a peer after 60 s of silence, and gives up after another 60 s
  bool reuse_address = true;  // despite connections of that port in TIME_WAIT
  bool reuse_port = false;    // several listeners share the port; all must set it
  // Permissions of the file of a path, such as 0660, set before the first client can connect. A client needs write
  // permission. Empty: by the umask.
  std::optional<unsigned> mode = {};
};

}  // namespace coax
