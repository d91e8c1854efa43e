// An open WebSocket on a stream: messages in, messages out, pings and closes in between.
#include "coax/http/websocket.hpp"

#include <array>

#include "coax/base/error.hpp"
#include "coax/task/scope.hpp"

namespace coax::ws {

Connection::Connection(coax::Connection& below, const Options& options, std::string early) noexcept
    : below_(below), options_(options), decoder_(Role::server, options.message_bytes_max), early_(std::move(early)) {
  decoder_.feed(early_);
}

Task<Message> Connection::recv() {
  while (!ended_ && !close_sent_) {
    if (const auto event = decoder_.next()) {
      if (event->kind == Event::Kind::text) co_return Message{Opcode::text, event->payload, true};
      if (event->kind == Event::Kind::binary) co_return Message{Opcode::binary, event->payload, true};
      co_await take(*event);
      continue;
    }
    const Received bytes = co_await recv_or_ping();
    ended_ = bytes.empty();
    decoder_.feed(bytes.writable());
  }
  co_return Message{};
}

Task<> Connection::take(const Event& event) {
  switch (event.kind) {
    case Event::Kind::ping: co_await send(Opcode::pong, event.payload); break;
    case Event::Kind::close:
      ended_ = true;
      co_await close(event.code == close_code::none ? close_code::normal : event.code);
      break;
    case Event::Kind::failure: {
      ended_ = true;
      const std::string reason = event.payload.string();
      co_await close(event.code, reason);
      throw Error(ErrorKind::protocol, "recv from", stream().peer_name(), reason);
    }
    default:  // a pong, which has shown that the peer is there; messages are the caller's
      break;
  }
}

Task<Received> Connection::recv_or_ping() {
  bool pinged = false;
  while (true) {
    try {
      const Received bytes =
          co_await timeout(pinged ? options_.silent - options_.ping : options_.ping, stream().recv());
      co_return bytes;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::timed_out || pinged) throw;
    }
    pinged = true;
    co_await send(Opcode::ping, {});
  }
}

Task<> Connection::close(std::uint16_t code, std::string_view reason) {
  if (close_sent_) co_return;
  const std::string payload = close_payload(code, reason);
  co_await send(Opcode::close, payload);
  close_sent_ = true;
}

Task<> Connection::send(Opcode opcode, Bytes payload) {
  if (close_sent_) co_return;
  const FrameHeader header(opcode, payload.size());
  const std::array<Bytes, 2> pieces{header.bytes(), payload};
  co_await stream().send(pieces);
}

}  // namespace coax::ws
