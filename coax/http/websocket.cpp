// An open WebSocket on a stream: messages in both directions, with pings and closes; and a client's handshake.
#include "coax/http/websocket.hpp"

#include <fmt/core.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/scope.hpp"

namespace coax::ws {

using namespace std::chrono_literals;

namespace {

// Unpredictable, so that a page cannot choose the bytes on the wire (RFC 6455, section 10.3).
template <std::size_t size>
std::array<std::uint8_t, size> random_bytes() noexcept {
  thread_local std::array<std::uint8_t, 1024> pool;
  thread_local std::size_t used = pool.size();
  if (pool.size() - used < size) {
    static_cast<void>(::getrandom(pool.data(), pool.size(), 0));  // never less for so few bytes
    used = 0;
  }
  std::array<std::uint8_t, size> bytes;
  std::memcpy(bytes.data(), pool.data() + used, size);
  used += size;
  return bytes;
}

Mask random_mask() noexcept { return std::bit_cast<Mask>(random_bytes<4>()); }

}  // namespace

WebSocket::Milliseconds WebSocket::rounded(Duration duration) noexcept {
  const auto count = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return Milliseconds(static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 1, UINT32_MAX)));
}

WebSocket::WebSocket(Stream& stream, Role role, const Options& options, std::string early)
    : Timer([](Timer& self) noexcept { static_cast<WebSocket&>(self).check_silence(); }),
      stream_(stream),
      decoder_(role, options.message_bytes_max),
      early_(early.empty() ? nullptr : std::make_unique<std::string>(std::move(early))),
      ping_(rounded(options.ping)),
      silent_(rounded(options.silent)),
      heard_at_(stream.loop().now()),
      role_(role) {
  if (early_) decoder_.feed(*early_);
  check_silence_at(heard_at_ + ping_);
}

Task<Message> WebSocket::recv() {
  struct Receiving {
    explicit Receiving(bool& flag) noexcept : is(flag) { is = true; }
    ~Receiving() { is = false; }
    bool& is;
  };
  while (!ended_ && !close_sent_) {
    co_await checkpoint();
    if (const auto event = decoder_.next()) {
      charge_bytes(event->payload.size());
      if (event->kind == Event::Kind::text) co_return Message{Opcode::text, event->payload, true};
      if (event->kind == Event::Kind::binary) co_return Message{Opcode::binary, event->payload, true};
      co_await handle(*event);
      continue;
    }
    early_.reset();
    const Receiving receiving(receiving_);
    const Received bytes = co_await stream_.recv();  // its exceptions end the connection
    if (timed_out_) {
      ended_ = true;
      throw Error(ErrorKind::timed_out, "recv from", stream_.peer_name(),
                  "it has sent nothing, nor answered a ping, for " + format_duration(silent_));
    }
    heard_at_ = stream_.loop().now();
    pinged_ = false;
    ended_ = bytes.empty();
    decoder_.feed(bytes.writable());
  }
  co_return Message{};
}

Task<> WebSocket::handle(const Event& event) {
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
      throw Error(ErrorKind::protocol, "recv from", stream_.peer_name(), reason);
    }
    default:  // a pong: that it was received is all it says; messages are the caller's
      break;
  }
}

void WebSocket::check_silence_at(TimePoint when) noexcept {
  due_ = when;
  stream_.loop().timers().start(*this, when);
}

// Silence counts only while the handler receives, and after a ping only once the ping was sent: otherwise this side
// does not read, or the peer does not, for which there is the write timeout.
void WebSocket::check_silence() noexcept {
  if (close_sent_ || ended_) return;
  const TimePoint now = stream_.loop().now();
  const Duration late = now - due_;
  if (late > 1s)
    heard_at_ = std::max(heard_at_,
                         now - ping_);  // the whole process was stopped: the peer must get a chance to answer
  if (!receiving_) heard_at_ = now;
  const Duration silence = now - heard_at_;
  if (silence < ping_) return check_silence_at(heard_at_ + ping_);
  if (!pinged_) {
    const auto mask = role_ == Role::client ? std::optional(random_mask()) : std::nullopt;
    pinged_ = stream_.queue(FrameHeader(Opcode::ping, 0, mask).bytes());
    heard_at_ = now - ping_;
    return check_silence_at(pinged_ ? heard_at_ + std::max<Duration>(silent_, ping_ + 1ms) : now + 1s);
  }
  if (silence < silent_) return check_silence_at(heard_at_ + silent_);
  timed_out_ = true;
  stream_.end_input();
}

Task<> WebSocket::send_close(std::string payload) {
  if (close_sent_) co_return;
  co_await send(Opcode::close, payload);
  close_sent_ = true;
}

Task<> WebSocket::wait_closed() {
  try {
    co_await timeout(10s, read_to_close());
  } catch (const Error&) {  // it is disconnected, silent, or endless
  }
}

Task<> WebSocket::read_to_close() {
  stream_.reopen_input();
  while (!peer_closed_) {
    co_await checkpoint();
    if (const auto event = decoder_.next()) {
      peer_closed_ = event->kind == Event::Kind::close || event->kind == Event::Kind::failure;
      continue;
    }
    const Received bytes = co_await timeout(2s, stream_.recv());
    if (!bytes) co_return;
    decoder_.feed(bytes.writable());
  }
}

Task<> WebSocket::send(Opcode opcode, BytesView payload) {
  if (close_sent_) co_return;
  if (opcode == Opcode::text && !is_utf8(payload)) {
    throw Error(ErrorKind::invalid, "send to", stream_.peer_name(),
                "a text must be UTF-8; send_binary() takes any bytes");
  }
  if (role_ == Role::client) {
    std::string frame;
    append_frame(frame, opcode, payload, random_mask());
    co_await stream_.send(frame);
    co_return;
  }
  const FrameHeader header(opcode, payload.size());
  const std::array<BytesView, 2> pieces{header.bytes(), payload};
  co_await stream_.send(pieces);
}

Task<std::string> client_handshake(Stream& stream, std::string_view host, std::string_view target,
                                   std::span<const std::string_view> protocols) {
  const std::string key = client_key(random_bytes<16>());
  std::string request;
  append_upgrade_request(request, host, target, key, protocols);
  co_await stream.send(request);
  http1::ResponseParser response("GET");
  BytesView bytes;
  while (!response.head_done() || (response.head().status / 100 == 1 && response.head().status != 101)) {
    if (response.head_done()) response.reset("GET");  // an interim response (RFC 9110, section 15.2)
    if (bytes.empty()) bytes = co_await stream.recv();
    if (!bytes) throw Error(ErrorKind::disconnected, "open a WebSocket to", stream.peer_name(), "it sent no response");
    const auto taken = response.feed(bytes);
    if (!taken) throw Error(ErrorKind::protocol, "open a WebSocket to", stream.peer_name(), taken.error().reason);
    bytes = bytes.from(*taken);
  }
  const int status = response.head().status;
  if (status != 101 || response.head().version_minor == 0) {
    throw Error(ErrorKind::refused, "open a WebSocket to", stream.peer_name(),
                fmt::format("the server answered {} {}", status, response.head().reason));
  }
  if (const auto accepted = check_accept(response.head(), key, protocols); !accepted) {
    throw Error(ErrorKind::protocol, "open a WebSocket to", stream.peer_name(), accepted.error());
  }
  co_return bytes.string();
}

}  // namespace coax::ws
