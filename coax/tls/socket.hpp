// tls::Socket: TLS over a blocking socket, in the shape of ssl.SSLSocket in Python.
//
//   const tls::ClientContext context;
//   tls::Socket socket = tls::Socket::connect_to("example.org:443", context);
//   socket.send("GET / HTTP/1.0\r\n\r\n");
//   while (const BytesView bytes = socket.recv()) ...
//
// Thread: one at a time; for both directions at once there is tls::Stream.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coax/socket/reader.hpp"
#include "coax/socket/socket.hpp"
#include "coax/tls/context.hpp"

namespace coax::tls {

class Engine;

// Time limits are those of the socket: of each call as a whole. A non-blocking socket throws Error(would_block); poll()
// it then for POLLOUT if has_unsent(), and for POLLIN in any case, and call again handshake(), recv(), send_some(),
// flush() or shutdown_send(). send() cannot be called again, since a part may have been sent: a non-blocking program
// uses send_some().
class Socket {
 public:
  // A client on a connected socket. `server_name`: the host name or IP address that the certificate must be for.
  // Throws: Error(address) for a malformed name.
  Socket(coax::Socket socket, const ClientContext& context, std::string_view server_name);
  // A server, on a socket that was accepted.
  Socket(coax::Socket socket, const ServerContext& context);
  // Connects to "host:port", and makes the handshake for this host. Throws: as both.
  static Socket connect_to(std::string_view where, const ClientContext& context,
                           const SocketConnectOptions& options = {});
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  ~Socket();

  // Negotiates, before anything else. The context's time limit is for the whole of it; a shorter one of the socket
  // holds, too.
  // Throws: as tls::Stream::handshake().
  void handshake();

  // Returns: the bytes that have arrived, at most `bytes_max`. Empty: the peer has sent its close_notify.
  // Throws: Error(truncated) when the connection has ended without one.
  // Lifetime: until the next receiving call.
  BytesView recv(std::size_t bytes_max = 64_KiB);
  // The same into the caller's buffer. Returns: the count; 0 at once for an empty buffer.
  std::size_t recv(std::span<char> into);
  // Throws: IncompleteRead, with the bytes received, when the peer ended its side before.
  std::string recv_exactly(std::size_t count);
  // Bytes that recv() returns without waiting, although no poll() reports them: decrypted ones, and received records.
  [[nodiscard]] std::size_t pending() const noexcept;

  // Sends all bytes.
  void send(BytesView bytes);
  // Encrypts at least one byte, and at most one record (16 KiB), and sends it. Returns: the count. A record cannot be
  // taken back: a non-blocking socket keeps what the kernel does not take of it (has_unsent()). Every later call sends
  // that first; after the last one flush() must be called until nothing is left.
  std::size_t send_some(BytesView bytes);
  [[nodiscard]] bool has_unsent() const noexcept { return !unsent_.empty(); }
  // Sends what was kept.
  void flush();
  // Sends the close_notify; a server then half-closes the connection. The peer reads the end, and may still send.
  void shutdown_send();
  // Ends TLS, and waits for the peer's close_notify. Returns: the connection, for what follows in plain text.
  // Throws: Error(protocol) when bytes that the peer sent over TLS are unread.
  struct Unwrapped {
    coax::Socket socket;
    std::string early;  // plain text that arrived together with the end of TLS
  };
  // Afterwards the TLS socket is closed; what was agreed is still known.
  Unwrapped unwrap();
  // Sends what was kept, and the close_notify, if that needs no waiting, and closes. What a client has not received of
  // the last bytes, such as session tickets, is discarded before; what arrives later makes the kernel reset the
  // connection, and may so destroy what was sent: a client that needs certainty calls shutdown_send(), and then recv()
  // until its end.
  void close() noexcept;

  void set_timeout(std::optional<Duration> timeout) { socket_.set_timeout(timeout); }
  [[nodiscard]] std::optional<Duration> timeout() const noexcept { return socket_.timeout(); }
  // For readers of lines and frames: SocketReader reader(socket.source()); LineReader lines(reader). Lifetime: of this
  // object, which must not be moved meanwhile.
  [[nodiscard]] SocketSource source() noexcept;
  // For options, addresses and poll(). Its own recv() and send() must not be used.
  [[nodiscard]] coax::Socket& socket() noexcept { return socket_; }
  [[nodiscard]] const coax::Socket& socket() const noexcept { return socket_; }
  [[nodiscard]] int native() const noexcept { return socket_.native(); }

  // After the handshake; as of tls::Stream.
  [[nodiscard]] Version version() const noexcept;
  [[nodiscard]] std::string cipher() const;
  [[nodiscard]] std::string group() const;
  [[nodiscard]] std::string alpn() const;
  [[nodiscard]] std::string server_name() const;
  [[nodiscard]] bool is_resumed() const noexcept;
  [[nodiscard]] std::optional<Certificate> peer_certificate() const;
  [[nodiscard]] std::vector<Certificate> peer_chain() const;

 private:
  class Call;
  BytesView recv_until(std::optional<TimePoint>& until);
  std::span<char> lend(std::size_t bytes);
  std::size_t receive(std::span<char> into, std::optional<TimePoint>& until);
  void take_input(std::optional<TimePoint>& until, const char* operation);
  void send_output();
  void discard_received();
  void write(BytesView piece);
  void require_open(const char* operation) const;
  [[noreturn]] void fail(const char* operation) const;

  coax::Socket socket_;
  std::unique_ptr<Engine> engine_;
  std::string unsent_;  // records that a non-blocking socket did not take
  std::unique_ptr<char[]> lent_;
  std::size_t lent_bytes_ = 0;
  bool peer_has_ended_ = false;
};

}  // namespace coax::tls
