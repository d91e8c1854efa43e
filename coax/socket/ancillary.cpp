// Control messages (cmsg(3)): packing and unpacking.
#include "coax/socket/ancillary.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "coax/base/error.hpp"

namespace coax {

namespace {

void append(std::vector<char>& control, int level, int type, std::span<const std::byte> bytes) {
  const std::size_t begin = control.size();
  control.resize(begin + CMSG_SPACE(bytes.size()));
  cmsghdr header{};
  header.cmsg_level = level;
  header.cmsg_type = type;
  header.cmsg_len = CMSG_LEN(bytes.size());
  std::memcpy(control.data() + begin, &header, sizeof header);
  if (!bytes.empty()) std::memcpy(control.data() + begin + CMSG_LEN(0), bytes.data(), bytes.size());
}

std::vector<char> control_of(const MessageExtras& extras) {
  std::vector<char> control;
  if (!extras.descriptors.empty()) append(control, SOL_SOCKET, SCM_RIGHTS, std::as_bytes(extras.descriptors));
  if (extras.credentials) {
    const ucred credentials{
        .pid = extras.credentials->pid, .uid = extras.credentials->uid, .gid = extras.credentials->gid};
    append(control, SOL_SOCKET, SCM_CREDENTIALS, std::as_bytes(std::span(&credentials, 1)));
  }
  for (const ControlMessage& other : extras.others) {
    append(control, other.level, other.type, std::as_bytes(std::span(other.bytes)));
  }
  return control;
}

void take(ReceivedMessage& message, const cmsghdr& header, std::span<const unsigned char> bytes) {
  if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_RIGHTS) {
    for (; bytes.size() >= sizeof(int); bytes = bytes.subspan(sizeof(int))) {
      int native = -1;
      std::memcpy(&native, bytes.data(), sizeof native);
      message.descriptors.emplace_back(native);
    }
  } else if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_CREDENTIALS && bytes.size() >= sizeof(ucred)) {
    ucred credentials{};
    std::memcpy(&credentials, bytes.data(), sizeof credentials);
    message.credentials = {.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
  } else {
    message.others.push_back(
        {.level = header.cmsg_level, .type = header.cmsg_type, .bytes = std::string(bytes.begin(), bytes.end())});
  }
}

}  // namespace

Credentials peer_credentials(const Socket& socket) {
  const std::string bytes = socket.get_option(SOL_SOCKET, SO_PEERCRED, sizeof(ucred));
  ucred credentials{};
  std::memcpy(&credentials, bytes.data(), std::min(bytes.size(), sizeof credentials));
  return {.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
}

std::size_t send_message(Socket& socket, std::span<const BytesView> pieces, const MessageExtras& extras, int flags) {
  std::vector<iovec> list;
  list.reserve(pieces.size());
  for (const BytesView& piece : pieces)
    list.push_back({.iov_base = const_cast<char*>(piece.data()), .iov_len = piece.size()});
  std::vector<char> control = control_of(extras);
  ::msghdr message{};
  if (extras.to) {
    message.msg_name = const_cast<sockaddr*>(extras.to->get());
    message.msg_namelen = static_cast<socklen_t>(extras.to->native().size());
  }
  message.msg_iov = list.data();
  message.msg_iovlen = list.size();
  message.msg_control = control.empty() ? nullptr : control.data();
  message.msg_controllen = control.size();
  return socket.send_native(message, flags);
}

ReceivedMessage recv_message(Socket& socket, std::span<const std::span<char>> into, std::size_t control_bytes_max,
                             int flags) {
  std::vector<iovec> list;
  list.reserve(into.size());
  for (const std::span<char> piece : into) list.push_back({.iov_base = piece.data(), .iov_len = piece.size()});
  std::vector<char> control(control_bytes_max);
  sockaddr_storage from{};
  ::msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = list.data();
  message.msg_iovlen = list.size();
  message.msg_control = control.empty() ? nullptr : control.data();
  message.msg_controllen = control.size();
  ReceivedMessage received;
  received.bytes = socket.recv_native(message, flags | MSG_CMSG_CLOEXEC);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    take(received, *header, std::span(CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0)));
  }
  const auto name = std::as_bytes(std::span(&from, 1));
  received.from = Address::from_native(name.first(std::min<std::size_t>(message.msg_namelen, name.size())));
  received.truncated = (message.msg_flags & MSG_TRUNC) != 0;
  received.control_cut = (message.msg_flags & MSG_CTRUNC) != 0;
  received.flags = message.msg_flags;
  return received;
}

std::size_t send_descriptors(Socket& socket, BytesView bytes, std::span<const int> descriptors) {
  return send_message(socket, std::span(&bytes, 1), {.descriptors = descriptors});
}

ReceivedMessage recv_descriptors(Socket& socket, std::span<char> into, std::size_t count_max, int flags) {
  // Not CMSG_SPACE: its padding would have room for one more descriptor.
  return recv_message(socket, std::span(&into, 1), CMSG_LEN(count_max * sizeof(int)), flags);
}

}  // namespace coax
