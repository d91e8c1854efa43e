// What travels beside the bytes of a message: descriptors, credentials, and whatever else the kernel has (cmsg(3)).
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

// Of who connected a Unix socket, or made the pair.
Credentials peer_credentials(const Socket& socket);

struct ControlMessage {
  int level;
  int type;
  std::string bytes;
};

struct MessageExtras {
  std::span<const int> descriptors = {};  // stay the caller's; the receiver gets copies
  std::optional<Credentials> credentials = {};
  std::vector<ControlMessage> others = {};
  std::optional<Address> to = {};
};
// One call: gathers the pieces; returns the count of bytes that the kernel took. With descriptors a stream needs at
// least one byte.
std::size_t send_message(Socket& socket, std::span<const BytesView> pieces, const MessageExtras& extras = {},
                         int flags = 0);

struct ReceivedMessage {
  std::size_t bytes = 0;                    // 0 on a stream: the peer has finished
  std::vector<FileDescriptor> descriptors;  // not inherited by programs that this process starts
  std::optional<Credentials> credentials;
  std::vector<ControlMessage> others;
  Address from;
  bool truncated = false;    // the datagram was longer than the buffers
  bool control_cut = false;  // there was more than control_bytes_max; descriptors that did not fit are closed
  int flags = 0;             // the kernel's
};
// One call: scatters into the buffers, in their order.
ReceivedMessage recv_message(Socket& socket, std::span<const std::span<char>> into, std::size_t control_bytes_max = 0,
                             int flags = 0);

// Descriptors over a Unix socket, with the bytes that they come with.
std::size_t send_descriptors(Socket& socket, BytesView bytes, std::span<const int> descriptors);
ReceivedMessage recv_descriptors(Socket& socket, std::span<char> into, std::size_t count_max, int flags = 0);

}  // namespace coax
