// DatagramTransport: datagrams on the loop, over UDP and Unix sockets: whole messages, each of which may be lost,
// doubled or overtaken on its way (RFC 768), and a simple call for each, while the system calls behind it move many.
//
// One task receives at a time; several may send. All calls belong to the loop's thread.
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
  Endpoint from;      // of no family: the system chooses
};

class DatagramTransport {
 public:
  // Bound, on the current loop: "127.0.0.1:5353", "[::]:5353", ":5353" (everybody, as "[::]:5353"), "unix:/path",
  // "unix:@abstract"; port 0 is any free one. No name is looked up, since that would block. The file of a path stays
  // when it is closed. Throws Error that says what to do when the port is taken or not permitted.
  explicit DatagramTransport(std::string_view at, const DatagramOptions& options = {});
  explicit DatagramTransport(const Address& at, const DatagramOptions& options = {});
  // Connected: only what comes from that peer is received. Throws Error when there is no way to it; that nobody is
  // there cannot be known before something was sent.
  static DatagramTransport connect(const Address& to, const DatagramOptions& options = {});
  DatagramTransport(const DatagramTransport&) = delete;
  DatagramTransport& operator=(const DatagramTransport&) = delete;
  ~DatagramTransport();

  class Recv;
  class Send;

  // One datagram, lent until the next call of recv_from() or close(). It is cut when it is longer than that, or, over a
  // Unix socket, than 64 KiB. On a connected transport throws what was told about something sent before: Error(refused)
  // when nobody listens there. Cancelled: nothing was taken.
  [[nodiscard]] Recv recv_from(std::size_t bytes_max = 64_KiB) noexcept;

  // Copied, queued, and sent with the others at the end of the loop's turn; waits while 128 KiB or 64 messages (of up
  // to 64 datagrams of the same size to the same peer) are queued and the socket is full. `datagram` and `to` must live
  // until it returns. Cancelled: it was not sent. An IPv4 address is reached from a socket of both families, too.
  //
  // Throws Error at once for what can never be sent: too long (65,507 bytes over IPv4, 65,527 over IPv6, 64 KiB over
  // Unix sockets), or to another family. What the kernel says about one peer later (no route, not permitted, not there)
  // is not told to whoever sends to another one: such datagrams are counted, see undelivered() and flush(). A Unix peer
  // whose queue is full is not waited for either: that would hold up all others.
  [[nodiscard]] Send send_to(BytesView datagram, const Address& to) noexcept;
  // To the sender of a datagram, from the local address that it reached: on a socket bound to a wildcard the system
  // would else choose one, which a peer may not accept an answer from. Else as send_to(). `received` and `datagram`,
  // which may be the bytes of `received`, must live until it returns.
  [[nodiscard]] Send reply(const Datagram& received, BytesView datagram) noexcept;
  // To the connected peer. Throws what was told about an earlier one, each time once; this one is not sent then. A Unix
  // peer whose queue is full is waited for.
  [[nodiscard]] Send send(BytesView datagram) noexcept;
  // Until the kernel has all that was queued before. Throws the last error since flush() was last asked, if there was
  // one, with the name of the peer. Cancelled: all goes on.
  [[nodiscard]] Send flush() noexcept;
  // How many datagrams could not be handed to the network.
  [[nodiscard]] std::uint64_t undelivered() const noexcept { return undelivered_; }

  // Multicast (RFC 3376, RFC 3810): receives what is sent to the group, from anybody or from one source, on that
  // interface (interface_index() gives its number; 0: the system chooses). The ports do not matter. Throw Error.
  void join(const Endpoint& group, unsigned interface = 0, const std::optional<Endpoint>& source = {});
  void leave(const Endpoint& group, unsigned interface = 0, const std::optional<Endpoint>& source = {});
  // Through which interface it sends to groups.
  void set_multicast_interface(unsigned interface);
  // options::multicast_ttl, options::multicast_loop, options::ttl, options::broadcast, ... Throw Error.
  void set(const options::Flag& option, bool value);
  void set(const options::Number& option, int value);

  [[nodiscard]] Address local() const noexcept { return loop_.backend().local(descriptor_); }
  [[nodiscard]] const Address& peer() const noexcept { return peer_; }  // of no family: it is not connected
  // Now. What is queued is tried once more without waiting. Who waits, and further calls, get Error(EBADF).
  void close() noexcept;

  // All that a DatagramSender may ask and tell its transport.
  class SendReports {
   public:
    [[nodiscard]] bool is_connected() const noexcept { return transport_->is_connected(); }
    [[nodiscard]] const Address& peer() const noexcept { return transport_->peer_; }
    // Longer datagrams are not joined.
    [[nodiscard]] std::size_t join_bytes_max() const noexcept { return transport_->join_bytes_max_; }
    void lower_join_bytes_max(std::size_t bytes) noexcept { transport_->join_bytes_max_ = bytes; }
    void record_failure(int reason, const Address& to) noexcept { transport_->note_failure(reason, to); }
    void record_undelivered(std::size_t datagrams) noexcept { transport_->undelivered_ += datagrams; }
    // The failure to report next, or 0; it is reported once.
    int take_failure() noexcept { return std::exchange(transport_->failure_, 0); }
    // The sender's last call.
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
  // What was received and not yet taken: of the batch the message that is next, and what is left of it.
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
  std::size_t join_bytes_max_;              // longer datagrams are not joined: the way to somebody did not take it
  std::uint64_t undelivered_ = 0;
  int failure_ = 0;  // errno, not yet told
  Address failed_to_;
};

// To "host:port" or "unix:/path". A name is looked up on a thread of offload(), for 30 s at most; the first of its
// addresses to which there is a way is taken. Throws Error. Cancelled: it waits for no name server.
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
