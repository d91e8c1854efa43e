// An open WebSocket on a stream: messages in both directions, with pings and closes; and a client's handshake.
#include "coax/http/websocket.hpp"

#include <fmt/core.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"
#include "coax/http/deflate_private.hpp"
#include "coax/http/prepared.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/scope.hpp"

namespace coax::ws {

using namespace std::chrono_literals;

namespace {

// Unpredictable, so that a web page cannot choose the masked bytes on the wire (RFC 6455, section 10.3).
template <std::size_t size>
std::array<std::uint8_t, size> random_bytes() noexcept {
  thread_local std::array<std::uint8_t, 256> pool;
  thread_local std::size_t used = pool.size();
  if (pool.size() - used < size) {
    static_cast<void>(::getrandom(pool.data(), pool.size(), 0));  // up to 256 bytes it reads all, getrandom(2)
    used = 0;
  }
  std::array<std::uint8_t, size> bytes;
  std::memcpy(bytes.data(), pool.data() + used, size);
  used += size;
  return bytes;
}

Mask random_mask() noexcept { return std::bit_cast<Mask>(random_bytes<4>()); }

}  // namespace

// What the handshake has left.
struct WebSocket::Agreed {
  std::string protocol;
  std::string early;
  std::optional<Compression> compression;
  std::string close_reason;  // of the peer
};

WebSocket::WebSocket(Stream& stream, Role role, const Options& options, const Handshake& handshake)
    : Timer([](Timer& self) noexcept { static_cast<WebSocket&>(self).check_silence(); }),
      stream_(stream),
      decoder_(role, options.message_bytes_max, handshake.deflate.has_value()),
      ping_(std::max(milliseconds(options.ping_interval), Milliseconds(1))),
      silent_(std::max(milliseconds(options.silence_max), Milliseconds(1))),
      heard_at_(stream.loop().now()) {
  if (!handshake.protocol.empty() || !handshake.early.empty() || handshake.deflate) {
    agreed_ = std::make_unique<Agreed>(handshake.protocol, handshake.early);
    if (handshake.deflate) agreed_->compression.emplace(*handshake.deflate, role, options.deflate);
    decoder_.feed(agreed_->early);
  }
  check_silence_at(heard_at_ + ping_);
}

WebSocket::~WebSocket() = default;

std::string_view WebSocket::protocol() const noexcept {
  return agreed_ ? std::string_view(agreed_->protocol) : std::string_view();
}

std::string_view WebSocket::peer_close_reason() const noexcept {
  return agreed_ ? std::string_view(agreed_->close_reason) : std::string_view();
}

void WebSocket::record_close(const Event& close) {
  peer_close_code_ = close.code;
  if (close.payload.empty()) return;
  if (!agreed_) agreed_ = std::make_unique<Agreed>();
  agreed_->close_reason = close.payload.string();
}

// Before it waits for bytes: the decoder has used those before.
void WebSocket::release_received() noexcept {
  if (!agreed_) return;
  agreed_->early = std::string();
  if (agreed_->compression) return agreed_->compression->release();
  if (agreed_->protocol.empty()) agreed_.reset();
}

// --- receiving ---

// A pong or close frame that did not fit into the stream's send queue: it is sent as a send that waits.
struct WebSocket::Recv::Reply : SendOp {
  Reply(Recv& recv, std::string_view bytes)
      : SendOp([](Completion& self) noexcept {
          Recv& of = static_cast<Reply&>(self).of;
          of.socket_.stream_.complete(static_cast<SendOp&>(self));
          if (of.replied() || of.advance()) of.resume();
        }),
        of(recv),
        frame(bytes) {
    assign(frame);
  }
  Recv& of;
  std::string frame;
};

WebSocket::Recv::Recv(WebSocket& socket) noexcept
    : Operation([](Waiting& self) noexcept { static_cast<Recv&>(self).stop_waiting(); }),
      RecvOp(Kind::recv,
             [](Completion& self) noexcept {
               auto& recv = static_cast<Recv&>(self);
               if (recv.wait_ == Wait::bytes) {
                 recv.socket_.stream_.complete(static_cast<RecvOp&>(recv));
                 if (recv.received()) return recv.resume();
               }
               if (recv.advance()) recv.resume();
             }),
      socket_(socket) {}

WebSocket::Recv::Recv(Recv&& other) noexcept : Recv(other.socket_) {}

WebSocket::Recv::~Recv() = default;

void WebSocket::Recv::stop_waiting() noexcept {
  cancelled_ = true;
  if (wait_ == Wait::bytes) return socket_.stream_.cancel(static_cast<RecvOp&>(*this));
  if (wait_ == Wait::reply) return socket_.stream_.cancel(static_cast<SendOp&>(*reply_));
  if (!linked()) return;
  unlink();
  socket_.stream_.loop().finish_later(*this);
}

bool WebSocket::Recv::advance() noexcept {
  WebSocket& socket = socket_;
  Loop& loop = socket.stream_.loop();
  try {
    while (!cancelled_ && !socket.ended_ && !socket.close_sent_) {
      if (!loop.backend().consume_budget()) {
        wait_ = Wait::turn;
        loop.run_next_turn(*this);
        return false;
      }
      if (const auto event = socket.decoder_.next()) {
        if (!take(*event)) return false;
        if (found_ != Found::nothing || reply_error_ != 0) return true;
      } else {
        if (!receive()) return false;
        if (received()) return true;
      }
    }
  } catch (...) {
    found_ = Found::no_memory;  // only allocations throw here: streams report errors as values
  }
  return true;
}

// Returns: false when a reply to the event has to wait.
bool WebSocket::Recv::take(const Event& event) {
  switch (event.kind) {
    case Event::Kind::text:
    case Event::Kind::binary: return take_message(event);
    case Event::Kind::ping: return reply(Opcode::pong, event.payload);
    case Event::Kind::pong: return true;  // received() has already noted that the peer is alive
    case Event::Kind::close:
      socket_.ended_ = socket_.peer_closed_ = true;
      socket_.record_close(event);
      return reply(Opcode::close, close_payload(event.code == close_code::none ? close_code::normal : event.code));
    case Event::Kind::failure: break;
  }
  return refuse(event.code, event.payload);
}

bool WebSocket::Recv::take_message(const Event& event) {
  const bool is_text = event.kind == Event::Kind::text;
  message_ = event.payload;
  if (event.is_deflated) {
    Compression& compression = *socket_.agreed_->compression;
    const auto message = compression.inflate(event.payload, is_text, socket_.decoder_.message_bytes_max());
    if (!message) return refuse(message.error().code, message.error().reason);
    message_ = *message;
  }
  charge_bytes(message_.size());
  kind_ = is_text ? Opcode::text : Opcode::binary;
  found_ = Found::message;
  return true;
}

bool WebSocket::Recv::refuse(std::uint16_t code, std::string_view reason) {
  socket_.ended_ = true;
  message_ = reason;
  found_ = Found::violation;
  return reply(Opcode::close, close_payload(code, message_));
}

bool WebSocket::Recv::receive() noexcept {
  socket_.release_received();
  socket_.receiving_ = true;
  wait_ = Wait::bytes;
  return socket_.stream_.start(static_cast<RecvOp&>(*this));
}

// A receive has completed. Returns: true when it failed or was cancelled, which ends this recv().
bool WebSocket::Recv::received() noexcept {
  wait_ = Wait::none;
  socket_.receiving_ = false;
  if (result < 0) return true;
  if (socket_.timed_out_) {
    socket_.ended_ = true;
    found_ = Found::silence;
    return true;
  }
  socket_.heard_at_ = socket_.stream_.loop().now();
  socket_.pinged_ = false;
  socket_.ended_ = result == 0;
  socket_.decoder_.feed(RecvOp::received().writable());
  return false;
}

// Returns: false when the frame has to wait for room in the send queue.
bool WebSocket::Recv::reply(Opcode opcode, BytesView payload) {
  if (socket_.close_sent_) return true;
  std::string frame;
  append_frame(frame, opcode, payload, socket_.is_client() ? std::optional(random_mask()) : std::nullopt);
  socket_.close_sent_ = opcode == Opcode::close;
  if (socket_.stream_.queue(frame)) return true;
  reply_ = std::make_unique<Reply>(*this, frame);
  wait_ = Wait::reply;
  if (!socket_.stream_.start(static_cast<SendOp&>(*reply_))) return false;
  replied();
  return true;
}

// A reply that waited has completed. Returns: true when it failed or was cancelled, which ends this recv().
bool WebSocket::Recv::replied() noexcept {
  wait_ = Wait::none;
  const std::unique_ptr<Reply> reply = std::move(reply_);
  const bool is_close = (static_cast<std::uint8_t>(reply->frame[0]) & 0x0F) == static_cast<std::uint8_t>(Opcode::close);
  if (reply->error == 0) return false;
  if (is_close && reply->error == ECANCELED && reply->sent == 0) socket_.close_sent_ = false;
  reply_error_ = reply->error;
  return true;
}

Message WebSocket::Recv::finish() const {
  if (found_ == Found::message) return {kind_, message_, true};
  if (found_ != Found::nothing) throw_found();
  if (reply_error_ != 0) socket_.stream_.fail(reply_error_, "send to");
  if (cancelled_) throw Cancelled();
  if (result < 0) socket_.stream_.fail(-result, "recv from");
  return {};
}

void WebSocket::Recv::throw_found() const {
  const std::string peer = socket_.stream_.peer_name();
  if (found_ == Found::violation) throw Error(ErrorKind::protocol, "recv from", peer, message_.text());
  if (found_ == Found::no_memory) throw std::bad_alloc();
  throw Error(ErrorKind::timed_out, "recv from", peer,
              "it has sent nothing, nor answered a ping, for " + format_duration(socket_.silent_));
}

// --- silence ---

void WebSocket::check_silence_at(TimePoint when) noexcept { stream_.loop().timers().start(*this, when); }

// Silence counts only while a recv() waits for bytes: otherwise it is this side that does not read. After `ping` a ping
// is sent; the rest of `silent` counts from then on. When the ping does not fit into the send queue, the peer does not
// read, for which there is the server's write timeout, and the ping is tried again a second later.
void WebSocket::check_silence() noexcept {
  if (close_sent_ || ended_) return;
  const TimePoint now = stream_.loop().now();
  const Duration late = now - stream_.loop().timers().due(*this);
  // A late timer means that the whole process was stopped: the peer must get a chance to answer.
  if (late > 1s) heard_at_ = std::max(heard_at_, now - ping_);
  if (!receiving_) heard_at_ = now;
  const Duration silence = now - heard_at_;
  if (silence < ping_) return check_silence_at(heard_at_ + ping_);
  if (!pinged_) {
    const auto mask = is_client() ? std::optional(random_mask()) : std::nullopt;
    pinged_ = stream_.queue(FrameHeader(Opcode::ping, 0, mask).bytes());
    heard_at_ = now - ping_;
    return check_silence_at(pinged_ ? heard_at_ + std::max<Duration>(silent_, ping_ + 1ms) : now + 1s);
  }
  if (silence < silent_) return check_silence_at(heard_at_ + silent_);
  timed_out_ = true;
  stream_.end_input();
}

Task<> WebSocket::close(std::uint16_t code, std::string_view reason) {
  if (code != close_code::none && !is_close_code(code)) {
    throw Error(ErrorKind::invalid, "close the WebSocket to", stream_.peer_name(),
                fmt::format("the code {} must not be sent; applications have 1000 and 3000 to 4999", code));
  }
  if (!is_utf8(reason)) {
    throw Error(ErrorKind::invalid, "close the WebSocket to", stream_.peer_name(), "the reason is not UTF-8");
  }
  return send_close(close_payload(code, reason));
}

void WebSocket::close_now(std::uint16_t code) noexcept {
  if (std::exchange(close_sent_, true)) return;
  std::string frame;  // short enough to need no allocation
  append_frame(frame, Opcode::close, close_payload(code), is_client() ? std::optional(random_mask()) : std::nullopt);
  static_cast<void>(stream_.queue(frame));
}

Task<> WebSocket::send_close(std::string payload) {
  if (std::exchange(close_sent_, true)) co_return;  // from here on: nothing may follow it (section 5.5.1)
  co_await send(Opcode::close, payload);
}

Task<> WebSocket::wait_closed() {
  try {
    co_await timeout(10s, read_to_close());
  } catch (const Error&) {  // the peer disconnected, sent nothing for 2 s, or sends without an end
  }
}

Task<> WebSocket::read_to_close() {
  stream_.reopen_input();
  while (!peer_closed_) {
    co_await checkpoint();
    if (const auto event = decoder_.next()) {
      peer_closed_ = event->kind == Event::Kind::close || event->kind == Event::Kind::failure;
      if (event->kind == Event::Kind::close) record_close(*event);
      continue;
    }
    const Received bytes = co_await timeout(2s, stream_.recv());
    if (!bytes) co_return;
    decoder_.feed(bytes.writable());
  }
}

Task<> WebSocket::send(Opcode opcode, BytesView payload) {
  if (close_sent_ && opcode != Opcode::close) {
    throw Error(ErrorKind::disconnected, "send to", stream_.peer_name(), "the WebSocket is closed");
  }
  if (opcode == Opcode::text && !is_utf8(payload)) {
    throw Error(ErrorKind::invalid, "send to", stream_.peer_name(),
                "a text must be UTF-8; send_binary() takes any bytes");
  }
  if (opcode < Opcode::close && agreed_ && agreed_->compression && agreed_->compression->wants(payload)) {
    co_return co_await send_deflated(opcode, payload);
  }
  if (is_client()) {
    std::string frame;
    append_frame(frame, opcode, payload, random_mask());
    co_await stream_.send(frame);
    co_return;
  }
  const FrameHeader header(opcode, payload.size());
  const std::array<BytesView, 2> pieces{header.bytes(), payload};
  co_await stream_.send(pieces);
}

std::size_t WebSocket::form() const noexcept {
  return !is_client() && agreed_ && agreed_->compression && agreed_->compression->takes_shared() ? 1 : 0;
}

Task<> WebSocket::send(const Prepared& message) {
  if (is_client()) {
    throw Error(ErrorKind::invalid, "send to", stream_.peer_name(), "prepared messages are for servers: send_text()");
  }
  if (close_sent_) throw Error(ErrorKind::disconnected, "send to", stream_.peer_name(), "the WebSocket is closed");
  co_await stream_.send(message.frames()[form()]);
}

// With context takeover, the order of the messages is that of their compression: from deflate() to the start of the
// send nothing waits, and a message that is sent meanwhile is not compressed.
Task<> WebSocket::send_deflated(Opcode opcode, BytesView payload) {
  struct Sending {
    Compression* compression;
    bool sent = false;
    ~Sending() {
      if (compression != nullptr) compression->end_send(sent);
    }
  };
  Compression& compression = *agreed_->compression;
  std::string deflated;
  Sending sending{compression.deflate(deflated, payload) ? &compression : nullptr};
  const bool is_deflated = sending.compression != nullptr;
  std::string frame;
  append_frame(frame, opcode, is_deflated ? BytesView(deflated) : payload,
               is_client() ? std::optional(random_mask()) : std::nullopt, is_deflated);
  deflated = std::string();
  co_await stream_.send(frame);
  sending.sent = true;
}

namespace {

// What a client can do about the status.
std::string_view remedy_of(int status) noexcept {
  switch (status) {
    case 200: return "this path is a page, not a WebSocket";
    case 401: return "it needs a login: add the header Authorization or Cookie";
    case 403: return "it does not allow this client: check its login, and the header Origin";
    case 404:
    case 405:
    case 410: return "no WebSocket has this path";
    case 421: return "it is not for this host name";
    case 429: return "try again later, and less often";
    default: return status >= 500 ? "try again later, or read its log" : "";
  }
}

HandshakeError refused(const Stream& stream, std::string_view host, std::string_view target,
                       const http1::Head& response) {
  const std::string_view location = response.find("Location").value_or("");
  const bool is_redirect = response.status / 100 == 3 && !location.empty();
  const std::string remedy =
      is_redirect ? "connect to " + std::string(location) : std::string(remedy_of(response.status));
  const std::string url = fmt::format("{}://{}{}", stream.is_encrypted() ? "wss" : "ws", host, target);
  return {response.status, url,
          fmt::format("the server answered {} {}{}{}", response.status, response.reason, remedy.empty() ? "" : ": ",
                      remedy)};
}

// Reads the response to the request. Returns: the chosen protocol, and the bytes received after the response.
Task<Handshake> recv_handshake(Stream& stream, std::string_view host, std::string_view target, std::string_view key,
                               HandshakeOptions options) {
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
  if (response.head().status != 101 || response.head().version_minor == 0) {
    throw refused(stream, host, target, response.head());
  }
  const auto accepted = check_accept(response.head(), key, options.protocols);
  if (!accepted) throw Error(ErrorKind::protocol, "open a WebSocket to", stream.peer_name(), accepted.error());
  const auto deflate = check_deflate_answer(response.head(), options.deflate);
  if (!deflate) throw Error(ErrorKind::protocol, "open a WebSocket to", stream.peer_name(), deflate.error());
  co_return Handshake{.protocol = std::string(*accepted), .early = bytes.string(), .deflate = *deflate};
}

void check_handshake(std::string_view target, const HandshakeOptions& options) {
  const bool is_target =
      target.starts_with('/') && std::ranges::all_of(target, [](char c) { return c > ' ' && c < '\x7F'; });
  if (!is_target) {
    throw Error(ErrorKind::invalid, "open a WebSocket at", target,
                "a target begins with a slash, and has no spaces and only ASCII characters");
  }
  for (const std::string_view protocol : options.protocols) {
    if (http1::is_token(protocol)) continue;
    throw Error(ErrorKind::invalid, "open a WebSocket with the protocol", protocol, "it is not a token");
  }
  for (const http1::Field& field : options.headers) {
    if (!is_set_by_handshake(field.name)) continue;
    throw Error(ErrorKind::invalid, "open a WebSocket with the header", field.name, "the handshake itself sets it");
  }
}

}  // namespace

Task<Handshake> client_handshake(Stream& stream, std::string_view host, std::string_view target,
                                 HandshakeOptions options) {
  check_handshake(target, options);
  const std::string key = client_key(random_bytes<16>());
  const std::string offer = options.deflate ? deflate_offer(*options.deflate) : std::string();
  std::vector<http1::Field> fields;
  for (const http1::Field& field : options.headers) {
    if (equal_ignoring_case(field.name, "Host")) {
      host = field.value;
    } else {
      fields.push_back(field);
    }
  }
  if (options.deflate) fields.push_back({"Sec-WebSocket-Extensions", offer});
  std::string request;
  append_upgrade_request(request, host, target, key, options.protocols, fields);
  co_await stream.send(request);
  co_return co_await timeout(options.limit, recv_handshake(stream, host, target, key, options));
}

}  // namespace coax::ws
