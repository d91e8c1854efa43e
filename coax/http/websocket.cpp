// An open WebSocket on a stream: messages in, messages out, pings and closes in between.
#include "coax/http/websocket.hpp"

#include <array>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/scope.hpp"

namespace coax::ws {

using namespace std::chrono_literals;

Connection::Connection(coax::Connection& below, const Options& options, std::string early) noexcept
    : below_(below),
      options_(options),
      decoder_(Role::server, options.message_bytes_max),
      early_(std::move(early)),
      received_at_(Loop::current().now()) {
  below_.set_pulse(this);
  decoder_.feed(early_);
}

Task<Message> Connection::recv() {
  while (!ended_ && !close_sent_) {
    co_await checkpoint();
    if (const auto event = decoder_.next()) {
      charge_bytes(event->payload.size());
      if (event->kind == Event::Kind::text) co_return Message{Opcode::text, event->payload, true};
      if (event->kind == Event::Kind::binary) co_return Message{Opcode::binary, event->payload, true};
      co_await take(*event);
      continue;
    }
    receiving_ = true;
    const Received bytes = co_await stream().recv();  // what it throws ends the connection
    receiving_ = false;
    received_at_ = Loop::current().now();
    silence_ = Duration::zero();
    pinged_ = false;
    ended_ = bytes.empty();
    decoder_.feed(bytes.writable());
  }
  co_return Message{};
}

Task<> Connection::take(const Event& event) {
  switch (event.kind) {
    case Event::Kind::ping: co_await send(Opcode::pong, event.payload); break;
    case Event::Kind::close:
      ended_ = peer_closed_ = true;
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

// Silence counts only while the handler receives, and above the ping's time only once the ping is on its way: else it
// is our own side that does not read, or a peer that takes nothing, for which there is the limit on being stuck.
void Connection::beat(TimePoint now, Duration tick) noexcept {
  silence_ = receiving_ ? std::min(now - received_at_, silence_ + tick) : Duration::zero();
  if (silence_ <= options_.ping) return;
  if (!pinged_ && !close_sent_) {
    pinged_ = stream().queue(FrameHeader(Opcode::ping, 0).bytes());
    silence_ = options_.ping;
  } else if (silence_ > options_.silent) {
    below_.end(CloseReason::timed_out);
  }
}

Task<> Connection::send_close(std::string payload) {
  if (close_sent_) co_return;
  co_await send(Opcode::close, payload);
  close_sent_ = true;
}

Task<> Connection::wait_closed() {
  try {
    co_await timeout(10s, read_to_close());
  } catch (const Error&) {  // it is gone, silent, or does not stop
  }
}

Task<> Connection::read_to_close() {
  stream().reopen_input();
  while (!peer_closed_) {
    co_await checkpoint();
    if (const auto event = decoder_.next()) {
      peer_closed_ = event->kind == Event::Kind::close || event->kind == Event::Kind::failure;
      continue;
    }
    const Received bytes = co_await timeout(2s, stream().recv());
    if (!bytes) co_return;
    decoder_.feed(bytes.writable());
  }
}

Task<> Connection::send(Opcode opcode, Bytes payload) {
  if (close_sent_) co_return;
  if (opcode == Opcode::text && !is_utf8(payload)) {
    throw Error(ErrorKind::invalid, "send to", stream().peer_name(),
                "a text must be UTF-8; send_binary() takes any bytes");
  }
  const FrameHeader header(opcode, payload.size());
  const std::array<Bytes, 2> pieces{header.bytes(), payload};
  co_await stream().send(pieces);
}

}  // namespace coax::ws
