// Stream sockets of the loop, TCP and Unix: connecting, listening, and the stream itself.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "coax/loop/loop.hpp"
#include "coax/net/compact_endpoint.hpp"
#include "coax/net/credentials.hpp"
#include "coax/net/unix_path.hpp"
#include "coax/stream/stream.hpp"

namespace coax {

class SocketWriter;

class SocketStream final : public BufferedStream {
 public:
  // Owns a connected descriptor of the current loop. Errors name the peer even when the kernel has forgotten it;
  // without a family: it is a Unix socket.
  SocketStream(Descriptor descriptor, const Endpoint& peer);
  // Adopts a connected socket, for instance of another loop's accept. Owns it, even on failure. Throws: Error.
  static std::unique_ptr<SocketStream> adopt(int native);
  ~SocketStream() override;

  bool queue(BytesView bytes) noexcept override;
  void close() noexcept override;
  void abort() noexcept override;
  void end_input() noexcept override;
  void limit_unsent(std::size_t bytes) noexcept override;
  [[nodiscard]] std::string peer_name() const override;
  [[nodiscard]] Endpoint peer() const noexcept override { return peer_.get(); }
  [[nodiscard]] Endpoint local() const noexcept override { return loop().backend().local(descriptor_).endpoint(); }
  [[nodiscard]] std::optional<Credentials> peer_credentials() const override;
  [[nodiscard]] Duration send_stalled() const noexcept override;

  bool start(RecvOp& op) noexcept override;
  void complete(RecvOp& op) noexcept override;
  void cancel(RecvOp& op) noexcept override;
  bool start(SendOp& op) noexcept override;
  void cancel(SendOp& op) noexcept override;
  std::int64_t send_file_now(const FilePart& part) noexcept override;

  // The interface of a SocketWriter to its stream.
  class SendReports {
   public:
    void record_sent() noexcept { stream_->record_activity(); }
    void record_shutdown() noexcept { stream_->send_is_shut_down_ = true; }
    void record_failure(int reason) noexcept { stream_->fail_sending(reason); }
    // The last call of the writer, which may be destroyed after it.
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

  std::uint8_t gathers_ = 0;  // for that many turns, what is sent waits for the end of the turn
  bool send_is_shut_down_ : 1 = false;
  bool sent_ : 1 = false;        // something was sent in the turn of last_active_
  std::int16_t send_error_ = 0;  // errno
  std::int16_t recv_error_ = 0;  // the kernel reports a reset once; recv() reports it at every call
  Descriptor descriptor_;
  CompactEndpoint peer_;
  std::unique_ptr<SocketWriter> writer_;  // only while bytes are unsent
};

struct ConnectOptions {
  // The head start of an address before the next one is tried in parallel (RFC 8305, section 5).
  Duration attempt_delay = std::chrono::milliseconds(250);
  // Of the whole, including name resolution.
  Duration limit = std::chrono::seconds(30);
};

// To one address, without a time limit of its own.
Task<std::unique_ptr<SocketStream>> connect(Address to);
// Tries the addresses in their order: the next one after a failure or the delay of an attempt. The first connection
// wins, and the other attempts are cancelled.
// Throws: Error, for several addresses with the reason of each: timed_out after the limit, otherwise of the kind of the
// first that was not unreachable.
// Cancelled: no connection is left open.
Task<std::unique_ptr<SocketStream>> connect(std::vector<Endpoint> addresses, ConnectOptions options = {});
// Connects to "host:port", "unix:/path" or "unix:@abstract". look_up() resolves a name, each family by itself. Attempts
// begin with the answer for IPv6, or 50 ms after that for IPv4; later answers join in, and the families alternate
// (Happy Eyeballs, RFC 8305). A family that fails, in resolution or connection, costs only the delay.
// Throws: as above; when resolution failed for both families, with both reasons.
Task<std::unique_ptr<SocketStream>> connect(std::string_view host_and_port, ConnectOptions options = {});

class SocketListener {
 public:
  // Listens on the current loop. On a path, a socket without a listener is replaced; any other file is kept, and the
  // constructor throws. close() removes the path, unless it is another file by then.
  // Throws: Error that says what to do when the port is in use or not permitted.
  explicit SocketListener(const Address& at, const ListenOptions& options = {});
  // "127.0.0.1:0", "[::1]:80", ":80" (the wildcard of both families), "unix:/path", "unix:@abstract".
  // Throws: Error(invalid) for a name: resolve it with look_up().
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
    int native = -1;  // pass it to SocketStream::adopt() on any loop, or close it
    Endpoint peer;
    int error = 0;  // errno of a local failure such as EMFILE; native is then -1
  };
  class Accept;
  // Waits for the next connection. Failures of the connecting side are skipped; local ones (EMFILE) are in `error`.
  // Throws: Error(EBADF) when the listener is closed.
  // Cancelled: no connection was accepted.
  [[nodiscard]] Accept accept() noexcept;
  [[nodiscard]] Address address() const noexcept { return loop_.backend().local(descriptor_); }
  [[nodiscard]] Endpoint local() const noexcept { return address().endpoint(); }  // without a family: a Unix socket
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
