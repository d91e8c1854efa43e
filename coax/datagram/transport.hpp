// DatagramTransport: datagrams on the loop, over UDP and Unix sockets. Each is a whole message that may be lost,
// duplicated or reordered (RFC 768). Each has a call of its own, while one system call moves many.
//
// One task receives at a time; several may send.
// Thread: the loop's.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "coax/loop/loop.hpp"
#include "coax/net/datagram_options.hpp"
#include "coax/net/multicast.hpp"
#include "coax/socket/socket.hpp"
#include "coax/task/task.hpp"

namespace coax {

class DatagramSender;

// A datagram to send, or a flush, as a value: the state of DatagramTransport::Send.
struct DatagramSendOp : Completion {
  enum class What : std::uint8_t { send_to, send, flush };
  enum class State : std::uint8_t { pending, complete };
  What what;
  State state = State::pending;
  int error = 0;  // 0, or an errno value
  BytesView datagram;
  const Address* to;  // null: to the connected peer
  Endpoint from;      // without a family: the system chooses
};

class DatagramTransport {
 public:
  // Binds a socket on the current loop: "127.0.0.1:5353", "[::]:5353", ":5353" (the wildcard of both families),
  // "unix:/path", "unix:@abstract"; port 0 is any free port. Names are not resolved, since that would block. close()
  // does not remove the file of a path.
  // Throws: Error that says what to do when the port is in use or not permitted.
  explicit DatagramTransport(std::string_view at, const DatagramOptions& options = {});
  explicit DatagramTransport(const Address& at, const DatagramOptions& options = {});
  // Connects a socket (connect(2)): only datagrams of that peer are received. An absent peer is noticed after a send.
  // Throws: Error when there is no route to the peer.
  static DatagramTransport connect(const Address& to, const DatagramOptions& options = {});
  DatagramTransport(const DatagramTransport&) = delete;
  DatagramTransport& operator=(const DatagramTransport&) = delete;
  ~DatagramTransport();

  class Recv;
  class Send;

  // Waits for a datagram. It is truncated to `bytes_max`, and over a Unix socket to 64 KiB.
  // Throws: on a connected transport, the error of an earlier send: Error(refused) when no socket is bound there.
  // Cancelled: no datagram was received.
  // Lifetime: valid until the next call of recv_from() or close().
  [[nodiscard]] Recv recv_from(std::size_t bytes_max = 64_KiB) noexcept;

  // Copies and queues the datagram; all are sent together at the end of the loop's turn. Waits while the queue is full,
  // which is 128 KiB or 64 messages (of up to 64 datagrams of the same size to the same peer), and the socket is, too.
  // A socket of both families reaches IPv4 addresses as well.
  // Throws: Error for a datagram that can never be sent: too long (65,507 bytes over IPv4, 65,527 over IPv6, 64 KiB
  // over Unix sockets), or to another address family. A later error of one peer (no route, not permitted, not bound)
  // does not fail sends to others: such datagrams are counted, see undelivered() and flush(). Neither does a Unix peer
  // with a full queue delay them; its datagram counts as undelivered.
  // Cancelled: it was not sent.
  // Lifetime: `datagram` and `to` must live until it returns.
  [[nodiscard]] Send send_to(BytesView datagram, const Address& to) noexcept;
  // Sends to the sender of a datagram, from the local address at which that arrived. On a socket bound to a wildcard,
  // the system would otherwise choose the source address, and the peer may not accept it. All else as send_to().
  // Lifetime: `received` and `datagram`, which may be the bytes of `received`, must live until it returns.
  [[nodiscard]] Send reply(const Datagram& received, BytesView datagram) noexcept;
  // Sends to the connected peer. Waits for a Unix peer whose queue is full.
  // Throws: the error of an earlier datagram, each once; this datagram is then not sent.
  [[nodiscard]] Send send(BytesView datagram) noexcept;
  // Waits until the kernel has all datagrams that were queued before.
  // Throws: the last error since the previous flush(), with the name of the peer.
  // Cancelled: the datagrams stay queued.
  [[nodiscard]] Send flush() noexcept;
  // How many datagrams could not be sent.
  [[nodiscard]] std::uint64_t undelivered() const noexcept { return undelivered_; }

  // Multicast (RFC 3376, RFC 3810): receives datagrams to the group, from any source or from one, on that interface
  // (interface_index() returns its number; 0: the system chooses). Ports are ignored. Throws: Error.
  void join(const Endpoint& group, unsigned interface = 0, const std::optional<Endpoint>& source = {});
  void leave(const Endpoint& group, unsigned interface = 0, const std::optional<Endpoint>& source = {});
  // The outgoing interface for multicast.
  void set_multicast_interface(unsigned interface);
  // options::multicast_ttl, options::multicast_loop, options::ttl, options::broadcast, ... Throws: Error.
  void set(const options::Flag& option, bool value);
  void set(const options::Number& option, int value);

  [[nodiscard]] Address local() const noexcept { return loop_.backend().local(descriptor_); }
  [[nodiscard]] const Address& peer() const noexcept { return peer_; }  // without a family: not connected
  // Closes now. Queued datagrams are tried once more without waiting. Waiting tasks and later calls get Error(EBADF).
  void close() noexcept;

  // The interface of a DatagramSender to its transport.
  class SendReports {
   public:
    [[nodiscard]] bool is_connected() const noexcept { return transport_->is_connected(); }
    [[nodiscard]] const Address& peer() const noexcept { return transport_->peer_; }
    // Longer datagrams are not joined.
    [[nodiscard]] std::size_t join_bytes_max() const noexcept { return transport_->join_bytes_max_; }
    void lower_join_bytes_max(std::size_t bytes) noexcept { transport_->join_bytes_max_ = bytes; }
    void record_failure(int reason, const Address& to) noexcept { transport_->note_failure(reason, to); }
    void record_undelivered(std::size_t datagrams) noexcept { transport_->undelivered_ += datagrams; }
    // The error to throw next, or 0; it is thrown once.
    int take_failure() noexcept { return std::exchange(transport_->failure_, 0); }
    // The last call of the sender.
    void release_if_idle() noexcept { transport_->release_idle_sender(); }

   private:
    friend class DatagramTransport;
    explicit SendReports(DatagramTransport& transport) noexcept : transport_(&transport) {}
    DatagramTransport* transport_;
  };

 private:
  DatagramTransport(const Address& at, const Address& peer, const DatagramOptions& options);

  // Receiving.
  bool start(Recv& op) noexcept;
  void settle(Recv& op) noexcept;
  bool load() noexcept;
  Datagram take(std::size_t bytes_max) noexcept;
  void give_back_batch() noexcept;
  // Sending.
  bool start(Send& op) noexcept;
  [[nodiscard]] int refusal(const DatagramSendOp& op) const noexcept;
  void release_idle_sender() noexcept;
  void note_failure(int reason, const Address& to) noexcept;
  void apply(int level, int name, std::span<const std::byte> value, const char* operation);
  [[nodiscard]] bool is_connected() const noexcept { return peer_.family() != Family::none; }

  Loop& loop_;
  Descriptor descriptor_;
  Family family_;
  Address peer_;
  // Received messages that no call has returned yet: the batch, the next message, and the rest of that message.
  ReceiveBatch* batch_ = nullptr;
  std::size_t next_ = 0;
  std::size_t messages_ = 0;
  bool loaded_ = false;
  const char* data_ = nullptr;
  std::size_t left_ = 0;
  std::size_t segment_ = 0;
  std::size_t length_ = 0;
  std::span<const std::byte> from_;
  Endpoint to_;
  TimePoint batch_turn_;
  Recv* receiving_ = nullptr;
  // Sending.
  std::unique_ptr<DatagramSender> sender_;  // only while something is unsent
  std::size_t join_bytes_max_;              // longer datagrams are not joined: some route refused them
  std::uint64_t undelivered_ = 0;
  int failure_ = 0;  // errno, not thrown yet
  Address failed_to_;
};

// Connects to "host:port" or "unix:/path". A name is resolved on a thread of offload(), for at most 30 s; the first
// address with a route is used.
// Throws: Error.
// Cancelled: it waits for no name server.
Task<std::unique_ptr<DatagramTransport>> connect_datagrams(std::string_view where, DatagramOptions options = {});

class [[nodiscard("it does nothing until it is awaited")]] DatagramTransport::Recv : public Operation<Recv>, public Op {
 public:
  Recv(DatagramTransport& transport, std::size_t bytes_max) noexcept;
  bool start() noexcept { return transport_.start(*this); }
  Datagram finish() const;

 private:
  DatagramTransport& transport_;
  std::size_t bytes_max_;
};

class [[nodiscard("it does nothing until it is awaited")]] DatagramTransport::Send : public Operation<Send>,
                                                                                     public DatagramSendOp {
 public:
  Send(DatagramTransport& transport, What what, BytesView datagram = {}, const Address* to = nullptr,
       const Endpoint& from = {}) noexcept;
  bool start() noexcept { return transport_.start(*this); }
  void finish() const {
    if (error != 0) fail();
  }

 private:
  [[noreturn]] void fail() const;

  DatagramTransport& transport_;
};

inline DatagramTransport::Recv DatagramTransport::recv_from(std::size_t bytes_max) noexcept {
  return {*this, bytes_max};
}
inline DatagramTransport::Send DatagramTransport::send_to(BytesView datagram, const Address& to) noexcept {
  return {*this, Send::What::send_to, datagram, &to};
}
inline DatagramTransport::Send DatagramTransport::reply(const Datagram& received, BytesView datagram) noexcept {
  return {*this, is_connected() ? Send::What::send : Send::What::send_to, datagram,
          is_connected() ? nullptr : &received.from, received.to};
}
inline DatagramTransport::Send DatagramTransport::send(BytesView datagram) noexcept {
  return {*this, Send::What::send, datagram};
}
inline DatagramTransport::Send DatagramTransport::flush() noexcept { return {*this, Send::What::flush}; }

}  // namespace coax
