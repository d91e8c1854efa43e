// Options of WebSockets, for servers and clients.
#pragma once

#include <cstddef>

#include "coax/base/units.hpp"
#include "coax/codec/websocket_deflate.hpp"

namespace coax::ws {

// permessage-deflate (RFC 7692). A server accepts it by default, and a client offers it: without context takeover it
// costs a WebSocket no memory between two messages.
struct DeflateOptions {
  bool enabled = true;
  // The most that this side agrees to, for its own messages and those of the peer.
  DeflateParameters parameters = {};
  std::size_t message_bytes_min = 1_KiB;  // shorter messages are sent as they are
  int level = 1;                          // 1: the fastest, to 9: the smallest
  // The total of contexts that are kept between messages, in this process. Above: new WebSockets get none.
  std::size_t contexts_bytes_max = 64_MiB;
};

struct Options {
  std::size_t message_bytes_max = 1_MiB;              // also of a message that arrives compressed
  Duration ping_interval = std::chrono::seconds(15);  // a peer that has sent nothing for this long is pinged
  Duration silence_max = std::chrono::seconds(30);    // and disconnected when it has sent nothing for this long
  DeflateOptions deflate = {};
};

// Throws: Error(invalid) when a window is not 8 to 15 bits, or the level is not 1 to 9.
void check(const DeflateOptions& options);

}  // namespace coax::ws
