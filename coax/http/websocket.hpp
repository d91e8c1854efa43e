// ws::Connection: an open WebSocket (RFC 6455), server side.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "coax/base/units.hpp"
#include "coax/codec/websocket.hpp"
#include "coax/server/connection.hpp"

namespace coax::ws {

struct Options {
  std::size_t message_bytes_max = 1_MiB;
  Duration ping = std::chrono::seconds(15);    // a peer that has sent nothing for so long is pinged
  Duration silent = std::chrono::seconds(30);  // and given up after so long; both are checked once a second
};

// A whole message; false when the connection is closed. `data` is valid until the next recv().
struct Message {
  Opcode kind = Opcode::text;
  Bytes data;
  bool open = false;
  explicit operator bool() const noexcept { return open; }
  [[nodiscard]] bool is_text() const noexcept { return kind == Opcode::text; }
};

// One task receives; several may send. Belongs to its loop.
class Connection final : private Pulse {
 public:
  // early: bytes that came with the request for the upgrade.
  Connection(coax::Connection& below, const Options& options, std::string early = {}) noexcept;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { below_.set_pulse(nullptr); }

  // The next text or binary message. Answers pings and the peer's close; after a close, and when the peer is gone or
  // the server drains, an empty Message, again and again. A peer that breaks the protocol is sent a close with the code
  // that the RFC names, and Error(protocol) is thrown. Cancelled, as by a peer silent for too long: nothing was taken.
  Task<Message> recv();
  // Throws Error(invalid) when it is not UTF-8: a browser would fail the connection.
  Task<> send_text(Bytes utf8) { return send(Opcode::text, utf8); }
  Task<> send_binary(Bytes bytes) { return send(Opcode::binary, bytes); }
  Task<> send(const Message& message) { return send(message.kind, message.data); }
  // Sends a close frame, once; what the peer still sends is ignored.
  Task<> close(std::uint16_t code = 1000, std::string_view reason = {}) {
    return send_close(close_payload(code, reason));
  }

  // After close(): until the peer has closed, too, for a few seconds. A server that ends the connection before keeps
  // the peer from reading what was sent (RFC 6455, section 7.1.1).
  Task<> wait_closed();

  // For sending frames that are encoded already: see Outbox.
  [[nodiscard]] Stream& stream() noexcept { return below_.stream(); }
  [[nodiscard]] coax::Connection& below() noexcept { return below_; }
  [[nodiscard]] bool close_sent() const noexcept { return close_sent_; }

 private:
  Task<> send(Opcode opcode, Bytes payload);
  Task<> send_close(std::string payload);
  void beat(TimePoint now, Duration tick) noexcept override;
  Task<> read_to_close();
  Task<> take(const Event& event);

  coax::Connection& below_;
  const Options& options_;
  MessageDecoder decoder_;
  std::string early_;
  TimePoint received_at_;
  Duration silence_{};  // of the peer, counted in ticks
  bool receiving_ = false;
  bool pinged_ = false;
  bool close_sent_ = false;
  bool peer_closed_ = false;
  bool ended_ = false;
};

}  // namespace coax::ws
