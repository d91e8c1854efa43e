// How to make a socket for datagrams: the same for every back-end of the loop.
#pragma once

#include <cstddef>
#include <optional>

#include "coax/base/compiler.hpp"

namespace coax {

struct DatagramOptions {
  bool dual_stack = true;      // on an IPv6 address: IPv4 too, where the address is the wildcard
  bool reuse_address = false;  // several receivers of a group share its port
  bool reuse_port = false;     // several sockets share the port, the peers are spread over them; all must ask for it
  bool broadcast = false;      // it may send to broadcast addresses
  // Bytes; the kernel doubles and caps them. What comes while the first is full is lost. Nothing: the system's own.
  std::optional<std::size_t> receive_buffer = {};
  std::optional<std::size_t> send_buffer = {};
};

}  // namespace coax
