// Batches of datagrams: what one system call receives or sends, on the kernel or on the simulated network.
//
// Theory of operation. A call costs as much as moving one or two datagrams, so as many as possible are moved by
// recvmmsg(2) and sendmmsg(2). Besides, one message may carry several datagrams of equal size to the same peer, the
// last perhaps shorter: they pass the kernel as one (UDP_SEGMENT, "GSO"), and arrive as one where no other came between
// (UDP_GRO). Kernel facts that this relies on:
// - A message of several has at most 64 datagrams and 65,507 bytes.
// - A call that fails at a message after the first returns how many were sent before it, and not the reason.
// - A receive call that returns fewer messages than there was room for has emptied the socket.
// - Memory behind the buffers is touched only when long datagrams arrive.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <expected>
#include <memory>
#include <span>

#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"
#include "coax/loop/op.hpp"
#include "coax/net/address.hpp"
#include "coax/net/datagram_options.hpp"
#include "coax/net/packet_info.hpp"

namespace coax {

// Received messages. Each thread keeps a few unused batches; the most recently returned one, still in the cache, is
// reused first.
class ReceiveBatch {
 public:
  static constexpr std::size_t messages_max = 32;
  static constexpr std::size_t message_bytes_max = 64_KiB;

  static ReceiveBatch* take();
  static void give_back(ReceiveBatch* batch) noexcept;

  struct Message {
    const char* data;
    std::size_t size;
    std::size_t length;   // its length on the wire, even if truncated
    std::size_t segment;  // several datagrams of that many bytes, the last perhaps shorter; 0: one datagram
    std::span<const std::byte> from;
    Endpoint to;  // the local address that it was sent to, if the socket asks the kernel for it
  };
  [[nodiscard]] Message message(std::size_t index) const noexcept;

  // For back-ends: the headers to be filled by recvmmsg(2); and one of them filled by hand.
  std::span<mmsghdr> prepare(bool may_be_joined) noexcept;
  void put(std::size_t index, BytesView datagram, const Address& from, const Endpoint& to) noexcept;

 private:
  // Not a power of two: otherwise all buffers would share a few lines of the processor's cache.
  static constexpr std::size_t stride = message_bytes_max + 4096 + 64;
  using Control = std::array<char, CMSG_SPACE(sizeof(int)) + packet_info::space>;

  ReceiveBatch();
  void reset(std::size_t index, bool may_be_joined) noexcept;

  std::unique_ptr<char[]> bytes_;
  bool may_be_joined_ = false;
  std::array<mmsghdr, messages_max> headers_{};
  std::array<iovec, messages_max> pieces_{};
  std::array<sockaddr_storage, messages_max> names_{};
  alignas(cmsghdr) std::array<Control, messages_max> controls_{};
};

// Datagrams to be sent: copies, in the order of add().
class SendBatch {
 public:
  static constexpr std::size_t messages_max = 64;
  static constexpr std::size_t bytes_max = 128_KiB;
  static constexpr std::size_t joined_max = 64;           // datagrams in one message
  static constexpr std::size_t joined_bytes_max = 65507;  // of all of them

  SendBatch() noexcept;
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  // Appends a datagram; as a part of the last message if it fits there and has at most `join_bytes_max` bytes. An empty
  // address means the connected peer. False: there is no room. `from`: the local source address; without a family the
  // system chooses.
  bool add(BytesView datagram, std::span<const std::byte> to, const Endpoint& from,
           std::size_t join_bytes_max) noexcept;

  // For back-ends: the messages to be sent next.
  [[nodiscard]] std::span<mmsghdr> headers() noexcept {
    return std::span(headers_).subspan(begin_, parts_ ? 1 : end_ - begin_);
  }
  // The bytes of each datagram in that message, counted as in headers(); 0: it is one datagram.
  [[nodiscard]] std::size_t segment(std::size_t index) const noexcept {
    return parts_ || infos_[begin_ + index].count == 1 ? 0 : infos_[begin_ + index].segment;
  }
  // Removes that many messages, sent or given up.
  void pop(std::size_t count) noexcept;
  // Splits the next message: each of its datagrams is sent as a message.
  void take_apart() noexcept;
  // Of the next message, as it is now.
  [[nodiscard]] std::size_t datagrams() const noexcept { return parts_ ? 1 : infos_[begin_].count; }
  [[nodiscard]] std::size_t segment_bytes() const noexcept { return infos_[begin_].segment; }
  [[nodiscard]] std::span<const std::byte> to() const noexcept;
  // The local source address of a message, counted as in headers(); without a family: any.
  [[nodiscard]] const Endpoint& from(std::size_t index) const noexcept { return infos_[begin_ + index].from; }
  [[nodiscard]] bool is_apart() const noexcept { return parts_; }
  // Whether an operation waits for room. Otherwise a message without room fails with ENOBUFS.
  void set_waits(bool waits) noexcept { waits_ = waits; }
  [[nodiscard]] bool waits() const noexcept { return waits_; }
  void clear() noexcept;

 private:
  struct Info {
    std::uint32_t segment;  // bytes of its first datagram
    std::uint32_t count;    // datagrams
    Endpoint from;
    std::size_t source_bytes;  // of its control message with `from`
  };
  using Control = std::array<char, packet_info::space + CMSG_SPACE(sizeof(std::uint16_t))>;

  [[nodiscard]] bool joins(BytesView datagram, std::span<const std::byte> to, const Endpoint& from,
                           std::size_t join_bytes_max) const noexcept;
  void join(BytesView datagram) noexcept;

  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t bytes_end_ = 0;
  bool waits_ = true;
  bool parts_ = false;           // the next message was split
  std::size_t parts_bytes_ = 0;  // its bytes that remain
  std::array<Info, messages_max> infos_;
  std::array<mmsghdr, messages_max> headers_;
  std::array<iovec, messages_max> pieces_;
  std::array<sockaddr_storage, messages_max> names_;
  alignas(cmsghdr) std::array<Control, messages_max> controls_;
  std::array<char, bytes_max> bytes_;
};

// --- the system calls, for back-ends on a kernel; failures are errno values ---

// `flags` go to socket(2) beside SOCK_CLOEXEC.
std::expected<int, int> make_datagram_socket(const Address& at, const Address& peer, const DatagramOptions& options,
                                             int flags);
// Without waiting: the count of messages, or -errno. Only with messages is a batch lent.
std::int32_t receive_batch(int native, Op::Incoming& incoming) noexcept;
std::int32_t send_batch(int native, SendBatch& batch) noexcept;

}  // namespace coax
