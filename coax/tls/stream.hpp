// TLS over any stream (RFC 8446, RFC 5246): a socket, memory, the simulated network, TLS itself. docs/guide/tls.md has
// programs for both sides.
//
//   const tls::ClientContext context;
//   const std::unique_ptr<tls::Stream> stream = co_await tls::connect("example.org:443", context);
//   co_await stream->send("GET / HTTP/1.0\r\n\r\n");
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/stream/connector.hpp"
#include "coax/stream/layer.hpp"
#include "coax/stream/send_queue.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/tls/context.hpp"

namespace coax::tls {

class Engine;

// The contract of streams, with these details:
//   End. recv() is empty after the peer's close_notify only. A connection that ends without one: Error(truncated).
//   shutdown_send() sends the close_notify; a server then half-closes the stream below. The peer may still send, also
//   with TLS 1.2.
//   close() sends the close_notify if it can be sent without waiting.
//   send() completes when its last bytes are encrypted and handed over; flush() waits until the kernel has them.
//   An idle stream holds no buffers for records.
class Stream final : public Layer {
 public:
  // A client. `server_name`: the host name or IP address that the certificate must be for. Lifetime: it keeps what it
  // needs of the context.
  // Throws: Error(address) for a malformed name.
  Stream(Below below, const ClientContext& context, std::string_view server_name);
  // A server. The context may end before it.
  Stream(Below below, const ServerContext& context);
  ~Stream() override;

  // Negotiates. Call it once, before anything else; there is one time limit for the whole of it.
  // Throws: Error(certificate) when a certificate is not accepted, with what is wrong with it; Error(protocol) when the
  // peers have nothing in common, or the other does not speak TLS; Error(timed_out); Error(truncated); else as recv().
  // Cancelled: the stream is of no use.
  Task<> handshake();

  // After the handshake:
  [[nodiscard]] Version version() const noexcept;
  [[nodiscard]] std::string cipher() const;  // "TLS_AES_128_GCM_SHA256"
  [[nodiscard]] std::string group() const;   // of the key exchange: "x25519"
  [[nodiscard]] std::string alpn() const;    // the protocol that was agreed on; empty: none
  // The name that the client asked for (RFC 6066); empty: none.
  [[nodiscard]] std::string server_name() const;
  [[nodiscard]] bool is_resumed() const noexcept;
  // The peer's certificate; nothing when it has sent none. It was verified, unless the context trusts anyone.
  [[nodiscard]] std::optional<Certificate> peer_certificate() const;
  // With the intermediate certificates that the peer sent, its own first.
  [[nodiscard]] std::vector<Certificate> peer_chain() const;

  bool queue(BytesView bytes) noexcept override;
  void close() noexcept override;
  void abort() noexcept override;
  void end_input() noexcept override;
  void reopen_input() noexcept override;
  bool start(RecvOp& op) noexcept override;
  void complete(RecvOp& op) noexcept override;
  void cancel(RecvOp& op) noexcept override;
  bool start(SendOp& op) noexcept override;
  void complete(SendOp& op) noexcept override { (void)op; }
  void cancel(SendOp& op) noexcept override;
  void return_lent() noexcept override;
  [[noreturn]] void fail(int reason, const char* operation) const override;
  [[nodiscard]] bool is_encrypted() const noexcept override { return true; }
  [[nodiscard]] Duration send_stalled() const noexcept override;

 private:
  struct Input : RecvOp {
    using RecvOp::RecvOp;
    Stream* of = nullptr;
  };
  struct Output : SendOp {
    using SendOp::SendOp;
    Stream* of = nullptr;
  };
  explicit Stream(Below below);
  Task<> negotiate();
  Task<> recv_handshake_input();
  Task<> send_handshake_output();
  [[noreturn]] void fail_handshake() const;

  bool advance(RecvOp& op) noexcept;
  bool receive_below() noexcept;
  void take_input() noexcept;
  void input_is_complete() noexcept;
  void receive(RecvOp& op) noexcept;
  bool read(RecvOp& op) noexcept;

  void pump() noexcept;
  bool encrypt(SendOp& op) noexcept;
  [[nodiscard]] BytesView next_piece(const SendOp& op) const noexcept;
  [[nodiscard]] bool has_room(std::size_t staging_bytes) const noexcept;
  void take_output_buffer() noexcept;
  void release_output() noexcept;
  bool send_output() noexcept;
  bool start_below(BytesView bytes, SendOp::Then then) noexcept;
  void output_is_complete() noexcept;
  bool send_control(SendOp& op) noexcept;
  void control_is_complete() noexcept;
  [[nodiscard]] bool may_ignore(int error) const noexcept;
  void complete_shutdown() noexcept;
  void discard_received() noexcept;
  void interrupt_receive() noexcept;
  void fail_sends(int error) noexcept;

  std::unique_ptr<Engine> engine_;
  Input input_;
  Output output_;
  RecvOp* receiving_ = nullptr;
  std::size_t received_ = 0;             // what its read() has decrypted
  LentBuffer* lent_ = nullptr;           // plaintext, of the last recv()
  LentBuffer* output_buffer_ = nullptr;  // records to be sent
  std::uint32_t output_begin_ = 0;       // of them, what has been sent
  std::uint32_t output_sending_ = 0;     // and what the stream below sends
  SendQueue sends_;
  int recv_error_ = 0;  // an errno value
  int send_error_ = 0;
  bool is_receiving_below_ = false;
  bool is_sending_below_ = false;
  bool is_control_below_ = false;  // what is sent below is the flush or shutdown of the first send
  bool recv_is_cancelled_ = false;
  bool peer_has_ended_ = false;
  bool input_ended_ = false;
  bool has_ended_ = false;  // the close_notify is written
  bool send_is_shut_down_ = false;
  bool is_closed_ = false;
};

// connect(), and the handshake with the host as the name of the server.
// Throws: as both.
Task<std::unique_ptr<Stream>> connect(std::string_view host_and_port, const ClientContext& context,
                                      ConnectOptions options = {});
// connect() with this context, for clients that take a Connector, such as ws::connect().
Connector connector(const ClientContext& context = ClientContext());

}  // namespace coax::tls
