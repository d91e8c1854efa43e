// Batches of datagrams: their content, and the system calls.
#include "coax/loop/datagrams.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <cerrno>
#include <vector>

#include "coax/base/error.hpp"
#include "coax/base/free_list.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

// --- receiving ---

namespace {

FreeList<ReceiveBatch, 8>& spare_batches() {
  static thread_local FreeList<ReceiveBatch, 8> spare;
  return spare;
}

}  // namespace

ReceiveBatch::ReceiveBatch() : bytes_(std::make_unique_for_overwrite<char[]>(messages_max * stride)) {
  for (std::size_t index = 0; index < messages_max; ++index) {
    pieces_[index] = {.iov_base = bytes_.get() + index * stride, .iov_len = message_bytes_max};
    msghdr& header = headers_[index].msg_hdr;
    header.msg_name = &names_[index];
    header.msg_iov = &pieces_[index];
    header.msg_iovlen = 1;
    reset(index, false);
  }
}

ReceiveBatch* ReceiveBatch::take() {
  if (auto spare = spare_batches().acquire()) return spare.release();
  return new ReceiveBatch;
}

void ReceiveBatch::give_back(ReceiveBatch* batch) noexcept {
  spare_batches().release(std::unique_ptr<ReceiveBatch>(batch));
}

// Without room for control messages, a Unix socket passes no descriptors, which would never be closed.
void ReceiveBatch::reset(std::size_t index, bool may_be_joined) noexcept {
  msghdr& header = headers_[index].msg_hdr;
  headers_[index].msg_len = 0;
  header.msg_namelen = sizeof names_[index];
  header.msg_control = may_be_joined ? controls_[index].data() : nullptr;
  header.msg_controllen = may_be_joined ? controls_[index].size() : 0;
}

std::span<mmsghdr> ReceiveBatch::prepare(bool may_be_joined) noexcept {
  const bool all = std::exchange(may_be_joined_, may_be_joined) != may_be_joined;
  for (std::size_t index = 0; index < messages_max; ++index) {
    // A header that an earlier call filled has a shorter name length than its buffer.
    if (!all && headers_[index].msg_hdr.msg_namelen == sizeof names_[index]) break;
    reset(index, may_be_joined);
  }
  return headers_;
}

void ReceiveBatch::put(std::size_t index, BytesView datagram, const Address& from, const Endpoint& to) noexcept {
  std::memcpy(pieces_[index].iov_base, datagram.data(), std::min(datagram.size(), message_bytes_max));
  std::memcpy(&names_[index], from.native().data(), from.native().size());
  headers_[index].msg_len = static_cast<unsigned>(datagram.size());
  headers_[index].msg_hdr.msg_namelen = static_cast<socklen_t>(from.native().size());
  headers_[index].msg_hdr.msg_control = controls_[index].data();
  headers_[index].msg_hdr.msg_controllen = packet_info::write(controls_[index], to);
}

ReceiveBatch::Message ReceiveBatch::message(std::size_t index) const noexcept {
  const mmsghdr& header = headers_[index];
  Message message{.data = static_cast<const char*>(pieces_[index].iov_base),
                  .size = std::min<std::size_t>(header.msg_len, message_bytes_max),
                  .length = header.msg_len,
                  .segment = 0,
                  .from = std::as_bytes(std::span(&names_[index], 1)).first(header.msg_hdr.msg_namelen),
                  .to = {}};
  if (header.msg_hdr.msg_controllen == 0) return message;
  message.to = packet_info::read(header.msg_hdr);
  auto* const all = const_cast<msghdr*>(&header.msg_hdr);  // the macros expect a pointer that is not const
  for (cmsghdr* control = CMSG_FIRSTHDR(all); control != nullptr; control = CMSG_NXTHDR(all, control)) {
    if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != UDP_GRO) continue;
    int segment = 0;
    std::memcpy(&segment, CMSG_DATA(control), sizeof segment);
    if (segment > 0 && static_cast<std::size_t>(segment) < message.size) {
      message.segment = static_cast<std::size_t>(segment);
    }
  }
  return message;
}

// --- sending ---

SendBatch::SendBatch() noexcept {
  for (std::size_t index = 0; index < messages_max; ++index) {
    headers_[index] = {};
    msghdr& header = headers_[index].msg_hdr;
    header.msg_name = &names_[index];
    header.msg_iov = &pieces_[index];
    header.msg_iovlen = 1;
    header.msg_control = controls_[index].data();
  }
}

bool SendBatch::joins(BytesView datagram, std::span<const std::byte> to, const Endpoint& from,
                      std::size_t join_bytes_max) const noexcept {
  if (empty() || (parts_ && end_ - begin_ == 1)) return false;
  const std::size_t last = end_ - 1;
  const Info& info = infos_[last];
  const std::size_t bytes = pieces_[last].iov_len;
  const msghdr& header = headers_[last].msg_hdr;
  return !datagram.empty() && datagram.size() <= info.segment && info.segment <= join_bytes_max &&
         bytes == std::size_t{info.segment} * info.count &&  // the last is not shorter
         info.count < joined_max && bytes + datagram.size() <= joined_bytes_max && header.msg_namelen == to.size() &&
         (to.empty() || std::memcmp(header.msg_name, to.data(), to.size()) == 0) && info.from == from;
}

void SendBatch::join(BytesView datagram) noexcept {
  const std::size_t last = end_ - 1;
  pieces_[last].iov_len += datagram.size();
  if (infos_[last].count++ != 1) return;
  auto* const control = reinterpret_cast<cmsghdr*>(controls_[last].data() + infos_[last].source_bytes);
  const auto segment = static_cast<std::uint16_t>(infos_[last].segment);
  control->cmsg_level = IPPROTO_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN(sizeof segment);
  std::memcpy(CMSG_DATA(control), &segment, sizeof segment);
  headers_[last].msg_hdr.msg_controllen = infos_[last].source_bytes + CMSG_SPACE(sizeof segment);
}

bool SendBatch::add(BytesView datagram, std::span<const std::byte> to, const Endpoint& from,
                    std::size_t join_bytes_max) noexcept {
  if (datagram.size() > bytes_max - bytes_end_) return false;
  const bool joined = joins(datagram, to, from, join_bytes_max);
  if (!joined && end_ == messages_max) return false;
  char* const copy = bytes_.data() + bytes_end_;
  if (!datagram.empty()) std::memcpy(copy, datagram.data(), datagram.size());
  bytes_end_ += datagram.size();
  if (joined) {
    join(datagram);
    return true;
  }
  if (!to.empty()) std::memcpy(&names_[end_], to.data(), to.size());
  infos_[end_] = {.segment = static_cast<std::uint32_t>(datagram.size()),
                  .count = 1,
                  .from = from,
                  .source_bytes = packet_info::write(controls_[end_], from)};
  pieces_[end_] = {.iov_base = copy, .iov_len = datagram.size()};
  msghdr& header = headers_[end_].msg_hdr;
  header.msg_namelen = static_cast<socklen_t>(to.size());  // 0: the connected peer
  header.msg_controllen = infos_[end_++].source_bytes;
  return true;
}

void SendBatch::pop(std::size_t count) noexcept {
  if (parts_) {
    iovec& piece = pieces_[begin_];
    parts_bytes_ -= piece.iov_len;
    piece.iov_base = static_cast<char*>(piece.iov_base) + piece.iov_len;
    piece.iov_len = std::min<std::size_t>(infos_[begin_].segment, parts_bytes_);
    if (parts_bytes_ != 0) return;
    parts_ = false;
  }
  begin_ += count;
  if (begin_ == end_) clear();
}

void SendBatch::take_apart() noexcept {
  parts_ = true;
  parts_bytes_ = std::exchange(pieces_[begin_].iov_len, infos_[begin_].segment);
  headers_[begin_].msg_hdr.msg_controllen = infos_[begin_].source_bytes;
}

std::span<const std::byte> SendBatch::to() const noexcept {
  return std::as_bytes(std::span(&names_[begin_], 1)).first(headers_[begin_].msg_hdr.msg_namelen);
}

void SendBatch::clear() noexcept {
  begin_ = end_ = bytes_end_ = 0;
  parts_ = false;
}

// --- the system calls ---

namespace {

void configure(Socket& socket, Family family, const DatagramOptions& options) {
  if (options.reuse_address) socket.set(options::reuse_address, true);
  if (options.reuse_port) socket.set(options::reuse_port, true);
  if (options.broadcast) socket.set(options::broadcast, true);
  if (options.receive_buffer) socket.set(options::receive_buffer, *options.receive_buffer);
  if (options.send_buffer) socket.set(options::send_buffer, *options.send_buffer);
  if (family == Family::v6) socket.set(options::v6_only, !options.dual_stack);
  if (family != Family::v4 && family != Family::v6) return;
  const int on = 1;  // an old kernel may refuse: then each datagram arrives alone
  ::setsockopt(socket.native(), IPPROTO_UDP, UDP_GRO, &on, sizeof on);
}

}  // namespace

std::expected<int, int> make_datagram_socket(const Address& at, const Address& peer, const DatagramOptions& options,
                                             int flags) {
  try {
    const Family family = at.family() != Family::none ? at.family() : peer.family();
    Socket socket(family, SocketType::datagram | static_cast<SocketType>(flags));
    configure(socket, family, options);
    if (at.family() != Family::none) socket.bind(at);
    packet_info::enable(socket.native(), at);
    // otherwise the peer cannot reply
    if (at.family() == Family::none && family == Family::local) socket.bind(UnixName(""));
    if (peer.family() != Family::none) socket.connect(peer);
    return socket.detach();
  } catch (const Error& error) {
    return std::unexpected(error.code().value());
  }
}

std::int32_t receive_batch(int native, Op::Incoming& incoming) noexcept {
  ReceiveBatch* const batch = ReceiveBatch::take();
  const std::span<mmsghdr> headers = batch->prepare(incoming.may_be_joined);
  const auto room = static_cast<unsigned>(headers.size());
  const int count = ::recvmmsg(native, headers.data(), room, MSG_DONTWAIT | MSG_TRUNC, nullptr);
  const int reason = errno;
  incoming.lent = count > 0 ? batch : nullptr;
  if (incoming.lent == nullptr) ReceiveBatch::give_back(batch);
  return count >= 0 ? count : -reason;
}

std::int32_t send_batch(int native, SendBatch& batch) noexcept {
  const std::span<mmsghdr> headers = batch.headers();
  const auto count = static_cast<unsigned>(headers.size());
  const int sent = ::sendmmsg(native, headers.data(), count, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) return sent;
  return errno == EAGAIN && !batch.waits() ? -ENOBUFS : -errno;
}

}  // namespace coax
