// Options for the creation of a datagram socket, the same for every back-end of the loop.
#pragma once

#include <cstddef>
#include <optional>

#include "coax/base/compiler.hpp"

namespace coax {

struct DatagramOptions {
  bool dual_stack = true;      // on the IPv6 wildcard: IPv4, too
  bool reuse_address = false;  // several receivers of a group share its port
  bool reuse_port = false;     // several sockets share the port and the peers are spread over them; all must set it
  bool broadcast = false;      // it may send to broadcast addresses
  // SO_RCVBUF in bytes; the kernel doubles and caps it. Datagrams that arrive while it is full are lost. Empty: the
  // system's default.
  std::optional<std::size_t> receive_buffer = {};
  std::optional<std::size_t> send_buffer = {};
};

}  // namespace coax
