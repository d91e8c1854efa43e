// WebSocket: messages over a stream (RFC 6455), for servers and clients, after the handshake.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "coax/base/error.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/websocket.hpp"
#include "coax/http/websocket_options.hpp"
#include "coax/loop/timers.hpp"
#include "coax/stream/stream.hpp"

namespace coax::ws {

// A complete message; false when the connection is closed. Lifetime: `data` is valid until the next recv().
struct Message {
  Opcode kind = Opcode::text;
  BytesView data;
  bool open = false;
  explicit operator bool() const noexcept { return open; }
  [[nodiscard]] bool is_text() const noexcept { return kind == Opcode::text; }
};

// What both sides agreed on when the WebSocket was opened.
struct Handshake {
  std::string protocol = {};  // the subprotocol that the server has chosen; empty: none
  std::string early = {};     // bytes that were received together with the handshake
  std::optional<DeflateParameters> deflate = {};
};

class Prepared;

// One task receives; several may send. A client masks its frames (section 5.3).
class WebSocket : private Timer {
 public:
  // Lifetime: the stream must outlive it; nothing else may use the stream meanwhile.
  WebSocket(Stream& stream, Role role, const Options& options = {}, const Handshake& handshake = {});
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;
  ~WebSocket();

  // Answers pings and the peer's close.
  // Returns: the next text or binary message; after a close, and when the peer has disconnected or the server drains,
  // an empty Message, and so is every later call.
  // Throws: Error(protocol) for a protocol violation, after a close with the code of the RFC; Error(timed_out) when the
  // peer does not answer a ping in time.
  // Cancelled: no message is lost.
  class Recv;
  [[nodiscard]] Recv recv() noexcept;
  // Throws: Error(invalid) for a text that is not UTF-8, which a browser would not accept; Error(disconnected) once
  // either side has sent a close frame; else as Stream::send().
  Task<> send_text(BytesView utf8) { return send(Opcode::text, utf8); }
  Task<> send_binary(BytesView bytes) { return send(Opcode::binary, bytes); }
  Task<> send(const Message& message) { return send(message.kind, message.data); }
  // Of a server. Throws: Error(invalid) for a client, whose frames are masked one by one.
  // Lifetime: the message must live until it returns.
  Task<> send(const Prepared& message);
  // Sends a close frame, once; what the peer still sends is ignored.
  // Throws: Error(invalid) for a code that must not be sent (section 7.4), and for a reason that is not UTF-8.
  Task<> close(std::uint16_t code = close_code::normal, std::string_view reason = {});
  // Why the peer has closed, once recv() has returned an empty Message. Returns: the code of its close frame;
  // close_code::none for one without a code; close_code::abnormal when none was received: the stream has ended without
  // one, perhaps inside a message.
  [[nodiscard]] std::uint16_t peer_close_code() const noexcept { return peer_close_code_; }
  // After close(): waits for the peer's close, for a few seconds. A server that ends the connection earlier may prevent
  // the peer from reading the last bytes (section 7.1.1).
  Task<> wait_closed();

  // The subprotocol that was agreed on (section 1.9); empty: none.
  [[nodiscard]] std::string_view protocol() const noexcept;
  // The reason of the peer's close, UTF-8; empty: none was received.
  [[nodiscard]] std::string_view peer_close_reason() const noexcept;
  // Which frame of a Prepared message it takes.
  [[nodiscard]] std::size_t form() const noexcept;
  // For sending frames that are already encoded: see Outbox.
  [[nodiscard]] Stream& stream() noexcept { return stream_; }
  [[nodiscard]] bool close_sent() const noexcept { return close_sent_; }

 protected:
  // For destructors: queues a close frame, if there is room and none was sent.
  void close_now(std::uint16_t code) noexcept;

 private:
  struct Agreed;
  Task<> send(Opcode opcode, BytesView payload);
  Task<> send_deflated(Opcode opcode, BytesView payload);
  Task<> send_close(std::string payload);
  Task<> read_to_close();
  void release_received() noexcept;
  void record_close(const Event& close);
  void check_silence() noexcept;
  void check_silence_at(TimePoint when) noexcept;
  [[nodiscard]] bool is_client() const noexcept { return decoder_.role() == Role::client; }

  // Kept small: a server has one for each connected client.
  Stream& stream_;
  MessageDecoder decoder_;
  std::unique_ptr<Agreed> agreed_;  // null: nothing
  Milliseconds ping_;
  Milliseconds silent_;
  TimePoint heard_at_;  // when the peer last sent bytes; time in which this process was stopped does not count
  bool receiving_ = false;
  bool pinged_ = false;
  bool timed_out_ = false;
  bool close_sent_ = false;
  bool peer_closed_ = false;
  bool ended_ = false;
  std::uint16_t peer_close_code_ = close_code::abnormal;
};

// One recv(): an operation, so that a silent client costs no coroutine frame. It receives and decodes until there is a
// message or the end, and answers pings and a close itself.
class [[nodiscard("it does nothing until it is awaited")]] WebSocket::Recv : public Operation<Recv>, public RecvOp {
 public:
  explicit Recv(WebSocket& socket) noexcept;
  Recv(Recv&& other) noexcept;  // before it is awaited
  Recv& operator=(Recv&&) = delete;
  ~Recv();
  bool start() noexcept { return advance(); }
  Message finish() const;

 private:
  struct Reply;
  // What it waits for: bytes from the peer, a Reply that is being sent, or (its budget is exhausted) the next turn.
  enum class Wait : std::uint8_t { none, turn, bytes, reply };
  // What ends it; nothing: the end of the stream, a failed receive or reply, or a cancellation.
  enum class Found : std::uint8_t { nothing, message, violation, silence, no_memory };

  // Returns: true when it is complete.
  bool advance() noexcept;
  // Return: false when they have to wait; a completion then continues with received() or replied().
  bool take(const Event& event);
  bool take_message(const Event& event);
  bool refuse(std::uint16_t code, std::string_view reason);
  bool receive() noexcept;
  bool reply(Opcode opcode, BytesView payload);
  // Return: true when the receive or the reply failed or was cancelled.
  bool received() noexcept;
  bool replied() noexcept;
  [[noreturn]] void throw_found() const;
  void stop_waiting() noexcept;

  // Kept small: it is a part of the frame of each handler that waits for its client.
  WebSocket& socket_;
  BytesView message_;  // or the reason of a violation
  std::unique_ptr<Reply> reply_;
  std::int32_t reply_error_ = 0;  // errno
  Opcode kind_ = Opcode::text;
  Wait wait_ = Wait::none;
  Found found_ = Found::nothing;
  bool cancelled_ = false;
};

inline WebSocket::Recv WebSocket::recv() noexcept { return Recv(*this); }

// Lifetime: the views must live until the handshake has ended.
struct HandshakeOptions {
  std::span<const std::string_view> protocols = {};  // offered, the preferred one first
  std::span<const http1::Field> headers = {};        // in addition to those of the handshake; Host replaces the host
  std::optional<DeflateParameters> deflate = {};     // offered
  Duration limit = std::chrono::seconds(30);         // of the whole handshake
};

// The server has answered with another status than 101, of the kind `refused`: "open a WebSocket at ws://a.example/chat:
// the server answered 404 Not Found: no WebSocket has this path". peer() is the URL.
class HandshakeError : public Error {
 public:
  HandshakeError(int status, std::string_view url, std::string_view reason)
      : Error(ErrorKind::refused, "open a WebSocket at", url, reason), status_(status) {}
  [[nodiscard]] int status() const noexcept { return status_; }

 private:
  int status_;
};

// Opens a WebSocket on a connected stream: sends the request and reads the response. `target` begins with a slash.
// Throws: HandshakeError with the server's status, and where it redirects to; Error(timed_out) when there is no
// response in time; Error(invalid) for a malformed target, protocol or header, and one that the handshake sets itself;
// Error(protocol) for a malformed response; else as the stream.
Task<Handshake> client_handshake(Stream& stream, std::string_view host, std::string_view target,
                                 HandshakeOptions options = {});

}  // namespace coax::ws
