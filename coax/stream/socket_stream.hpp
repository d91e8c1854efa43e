// Sockets of the loop that carry streams, TCP and Unix: connecting, listening, and the stream itself.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "coax/loop/loop.hpp"
#include "coax/net/credentials.hpp"
#include "coax/net/unix_path.hpp"
#include "coax/stream/stream.hpp"

namespace coax {

class SocketWriter;

class SocketStream final : public BufferedStream {
 public:
  // Takes over a connected descriptor of the current loop. Errors name the peer, also when the kernel has forgotten it;
  // of no family: it is a Unix socket's.
  SocketStream(Descriptor descriptor, const Endpoint& peer);
  // A connected socket from elsewhere (another loop's accept); owns it, on failure too. Throws Error.
  static std::unique_ptr<SocketStream> adopt(int native);
  ~SocketStream() override;

  bool queue(BytesView bytes) noexcept override;
  void close() noexcept override;
  void abort() noexcept override;
  void end_input() noexcept override;
  void limit_unsent(std::size_t bytes) noexcept override;
  [[nodiscard]] std::string peer_name() const override;
  [[nodiscard]] Endpoint peer() const noexcept override { return peer_; }
  [[nodiscard]] Endpoint local() const noexcept override { return loop().backend().local(descriptor_).endpoint(); }
  [[nodiscard]] std::optional<Credentials> peer_credentials() const override;
  [[nodiscard]] Duration send_stalled() const noexcept override;

  bool start(RecvOp& op) noexcept override;
  void complete(RecvOp& op) noexcept override;
  void cancel(RecvOp& op) noexcept override;
  bool start(SendOp& op) noexcept override;
  void cancel(SendOp& op) noexcept override;

  // All that a SocketWriter may tell its stream.
  class SendReports {
   public:
    void record_sent() noexcept { stream_->record_activity(); }
    void record_shutdown() noexcept { stream_->send_is_shut_down_ = true; }
    void record_failure(int reason) noexcept { stream_->fail_sending(reason); }
    // Its destructor may follow: the writer's last call.
    void release_if_idle() noexcept { stream_->release_idle_writer(); }

   private:
    friend class SocketStream;
    explicit SendReports(SocketStream& stream) noexcept : stream_(&stream) {}
    SocketStream* stream_;
  };

 private:
  void record_activity() noexcept;
  bool send_at_once(SendOp& op) noexcept;
  SocketWriter& writer();
  void release_idle_writer() noexcept;
  void fail_sending(int reason) noexcept;

  Descriptor descriptor_;
  Endpoint peer_;
  std::unique_ptr<SocketWriter> writer_;  // only while bytes are unsent
  int send_error_ = 0;
  int recv_error_ = 0;  // the kernel reports a reset once; recv() reports it at every call
  bool send_is_shut_down_ = false;
  bool sent_ = false;         // something was sent in the turn of last_active_
  std::uint8_t gathers_ = 0;  // for so many turns yet, what is sent waits for the end of the turn
};

struct ConnectOptions {
  // How long an address may stay without an answer before the next one is tried beside it (RFC 8305, section 5).
  Duration attempt_delay = std::chrono::milliseconds(250);
  // Of the whole, a name that is looked up included.
  Duration limit = std::chrono::seconds(30);
};

// To one address, without a time limit of its own.
Task<std::unique_ptr<SocketStream>> connect(Address to);
// Tries the addresses in their order, the next one when the last has failed or has not answered for a while. The first
// that answers is it, and the others are given up. Throws Error, for several with what each of them said: timed_out
// when the limit has passed, else of the kind of the first that was not unreachable. Cancelled: no connection is left
// behind.
Task<std::unique_ptr<SocketStream>> connect(std::vector<Endpoint> addresses, ConnectOptions options = {});
// "host:port", or "unix:/path" and "unix:@abstract". A name is looked up by look_up(), each family by itself: it begins
// with the answer for IPv6, or 50 ms after that for IPv4, and what comes later joins in. Then the families take turns
// ("Happy Eyeballs", RFC 8305): a host that one of them cannot reach, or look up, costs only the delay. Where both
// cannot be looked up, what it throws has both reasons.
Task<std::unique_ptr<SocketStream>> connect(std::string_view host_and_port, ConnectOptions options = {});

class SocketListener {
 public:
  // On the current loop. Throws Error that says what to do when the port is taken or not permitted. On a path, a socket
  // that nobody listens on any more is replaced; any other file stays, and it throws. close() removes the path, unless
  // another file stands there by then.
  explicit SocketListener(const Address& at, const ListenOptions& options = {});
  // "127.0.0.1:0", "[::1]:80", ":80" (the wildcard of both families), "unix:/path", "unix:@abstract". Throws
  // Error(invalid) for a name, which would have to be looked up: that takes look_up().
  explicit SocketListener(std::string_view at, const ListenOptions& options = {});
  explicit SocketListener(const char* at, const ListenOptions& options = {})
      : SocketListener(std::string_view(at), options) {}
  SocketListener(const SocketListener&) = delete;
  SocketListener& operator=(const SocketListener&) = delete;
  ~SocketListener() {
    if (descriptor_) Loop::require_current(loop_, "a listener");
    close();
  }

  struct Accepted {
    int native = -1;  // give it to SocketStream::adopt() on any loop, or close it
    Endpoint peer;
    int error = 0;  // errno of a failure of ours, such as EMFILE; native is -1 then
  };
  class Accept;
  // The next connection. Failures of the connecting side are passed over; our own (no descriptors left) are in `error`.
  // Throws Error(EBADF) when it is closed. Cancelled: nothing was accepted.
  [[nodiscard]] Accept accept() noexcept;
  [[nodiscard]] Address address() const noexcept { return loop_.backend().local(descriptor_); }
  [[nodiscard]] Endpoint local() const noexcept { return address().endpoint(); }  // of no family: a Unix socket
  void close() noexcept;

 private:
  Loop& loop_;
  Descriptor descriptor_;
  BoundPath path_;
};

class [[nodiscard("it does nothing until it is awaited")]] SocketListener::Accept : public Operation<Accept>,
                                                                                    public Op {
 public:
  explicit Accept(SocketListener& listener) noexcept;
  bool start() noexcept;
  Accepted finish() const;

 private:
  Loop& loop_;
  Endpoint peer_;
};

inline SocketListener::Accept SocketListener::accept() noexcept { return Accept(*this); }

}  // namespace coax
