// Ancillary data of a message: descriptors, credentials, and any other control message of the kernel (cmsg(3)).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/net/address.hpp"
#include "coax/net/credentials.hpp"
#include "coax/net/file_descriptor.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

// Of the process that connected a Unix socket or created the pair.
Credentials peer_credentials(const Socket& socket);

struct ControlMessage {
  int level;
  int type;
  std::string bytes;
};

struct MessageExtras {
  std::span<const int> descriptors = {};  // still owned by the caller; the receiver gets duplicates
  std::optional<Credentials> credentials = {};
  std::vector<ControlMessage> others = {};
  std::optional<Address> to = {};
};
// One sendmsg(2), which gathers the pieces. With descriptors, a stream needs at least one byte.
// Returns: the count of bytes that the kernel accepted.
std::size_t send_message(Socket& socket, std::span<const BytesView> pieces, const MessageExtras& extras = {},
                         int flags = 0);

struct ReceivedMessage {
  std::size_t bytes = 0;                    // 0 on a stream: the peer has shut down its side
  std::vector<FileDescriptor> descriptors;  // not inherited by programs that this process starts
  std::optional<Credentials> credentials;
  std::vector<ControlMessage> others;
  Address from;
  bool truncated = false;    // the datagram was longer than the buffers
  bool control_cut = false;  // there was more than control_bytes_max; descriptors without room are closed
  int flags = 0;             // MSG_... of the kernel
};
// One recvmsg(2), which scatters into the buffers, in their order.
ReceivedMessage recv_message(Socket& socket, std::span<const std::span<char>> into, std::size_t control_bytes_max = 0,
                             int flags = 0);

// Descriptors over a Unix socket, together with bytes.
std::size_t send_descriptors(Socket& socket, BytesView bytes, std::span<const int> descriptors);
ReceivedMessage recv_descriptors(Socket& socket, std::span<char> into, std::size_t count_max, int flags = 0);

}  // namespace coax
