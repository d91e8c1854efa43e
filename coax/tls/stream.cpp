// TLS as a layer. Receiving: the stream below lends records, which the engine decrypts into a buffer of the loop's pool
// or into the caller's. Sending: records are written into another such buffer, and the stream below sends them from
// there; while it does, more are appended. Either buffer is held only as long as it has bytes.
#include "coax/tls/stream.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "coax/base/error.hpp"
#include "coax/codec/foreign.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/scope.hpp"
#include "coax/tls/engine_private.hpp"

namespace coax::tls {

namespace {

constexpr std::size_t output_bytes_max = 128_KiB;
// For what the protocol itself has to send: answers to key updates, alerts, the close_notify.
constexpr std::size_t reserve_bytes = 4_KiB;

constexpr std::string_view http_answer =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 55\r\n"
    "Connection: close\r\n\r\nThis port is for TLS: use a URL that begins with https\n";
constexpr std::string_view plain_answer = "This port is for TLS.\n";

// A person, or a program for plain text: records begin with a control character.
bool begins_with_text(BytesView bytes) noexcept {
  const std::string_view first = bytes.text().substr(0, 4);
  return std::ranges::all_of(first,
                             [](char c) { return (c >= ' ' && c <= '~') || c == '\r' || c == '\n' || c == '\t'; });
}

}  // namespace

Stream::Stream(Below below, const ClientContext& context, std::string_view server_name) : Stream(std::move(below)) {
  engine_ = std::make_unique<Engine>(context, server_name, peer_name());
}

Stream::Stream(Below below, const ServerContext& context) : Stream(std::move(below)) {
  engine_ = std::make_unique<Engine>(context);
}

Stream::Stream(Below below)
    : Layer(std::move(below)),
      input_(Op::Kind::recv, [](Completion& self) noexcept { static_cast<Input&>(self).of->input_is_complete(); }),
      output_([](Completion& self) noexcept {
        Stream& stream = *static_cast<Output&>(self).of;
        stream.below().complete(stream.output_);
        stream.output_is_complete();
        stream.pump();
      }) {
  input_.of = this;
  output_.of = this;
}

Stream::~Stream() {
  if (receiving_ != nullptr || !sends_.empty()) [[unlikely]]
    abort_destroyed_in_use();
  if (!engine_) return;  // the constructor has failed
  close();
  if (is_sending_below_) {  // it has failed by now, and would be reported in a later turn
    output_.unlink();
    below().complete(output_);
  }
  release_output();  // of a handshake or a send that has failed
}

// --- handshake ---

Task<> Stream::handshake() {
  if (engine_->is_open()) co_return;
  try {
    co_await timeout(engine_->handshake_limit(), negotiate());
  } catch (const Error& error) {
    constexpr const char* operation = "TLS handshake with";
    if (error.kind() == ErrorKind::timed_out && error.operation() == "wait") {
      throw Error(ErrorKind::timed_out, operation, peer_name(),
                  "not complete after " + format_duration(engine_->handshake_limit()));
    }
    if (error.kind() != ErrorKind::disconnected || error.operation() == operation) throw;
    throw Error(error.code().value(), operation, peer_name());
  }
}

// A server begins with a receive: OpenSSL takes its buffers with the first step, and a silent client shall cost none.
Task<> Stream::negotiate() {
  if (engine_->is_server()) {
    co_await recv_handshake_input();
    if (ForeignDetector().feed(engine_->input()) == ForeignProtocol::http) {
      co_await below().send(http_answer);
      throw Error(ErrorKind::protocol, "TLS handshake with", peer_name(), "it speaks HTTP, not TLS");
    }
    if (begins_with_text(engine_->input())) {
      co_await below().send(plain_answer);
      throw Error(ErrorKind::protocol, "TLS handshake with", peer_name(), "it sent plain text, not TLS");
    }
  }
  while (true) {
    take_output_buffer();
    const Engine::Status status = engine_->handshake();
    co_await send_handshake_output();
    if (status == Engine::Status::done) {
      if (!engine_->has_input()) below().return_lent();
      co_return;
    }
    if (status == Engine::Status::failed && engine_->is_http()) co_await below().send(http_answer);
    if (status == Engine::Status::failed || status == Engine::Status::ended) fail_handshake();
    if (status == Engine::Status::wants_input) co_await recv_handshake_input();
  }
}

Task<> Stream::recv_handshake_input() {
  const Received bytes = co_await below().recv();
  if (!bytes) {
    throw Error(ErrorKind::truncated, "TLS handshake with", peer_name(), "the connection ended during the handshake");
  }
  engine_->feed(bytes);
}

Task<> Stream::send_handshake_output() {
  const struct Release {
    Stream& of;
    ~Release() { of.release_output(); }
  } release{*this};
  const BytesView bytes = engine_->output();
  if (bytes) co_await below().send(bytes);
}

void Stream::fail_handshake() const {
  throw Error(engine_->failure_kind(), "TLS handshake with", peer_name(), engine_->failure());
}

void Stream::fail(int reason, const char* operation) const {
  if (reason == EPROTO && !engine_->failure().empty()) {  // by what was received; sends fail of it, too
    throw Error(engine_->failure_kind(), "recv from", peer_name(), engine_->failure());
  }
  if (reason == stream_truncated) {
    throw Error(ErrorKind::truncated, operation, peer_name(),
                "the connection ended without the end of TLS (close_notify): bytes may be missing");
  }
  if (reason == ENOTCONN && !engine_->is_open()) {
    throw Error(ErrorKind::invalid, operation, peer_name(), "await handshake() first");
  }
  Layer::fail(reason, operation);
}

// --- receiving ---

void Stream::return_lent() noexcept {
  if (lent_ != nullptr) loop().backend().buffers().give_back(std::exchange(lent_, nullptr));
  if (!engine_->has_input()) below().return_lent();
}

bool Stream::start(RecvOp& op) noexcept {
  if (receiving_ != nullptr) {
    op.result = -EBUSY;
    return true;
  }
  return_lent();
  if (op.kind == Op::Kind::recv) op.lent() = {};
  recv_is_cancelled_ = false;
  if (!advance(op)) {
    receiving_ = &op;
    return false;
  }
  receive(op);
  return true;
}

// Returns: true when receive() has a result; otherwise a receive below is in progress.
bool Stream::advance(RecvOp& op) noexcept {
  received_ = 0;
  while (!is_closed_ && !input_ended_ && !peer_has_ended_ && recv_error_ == 0) {
    if (!engine_->is_open()) return true;
    if (read(op)) return true;
    if (peer_has_ended_ || recv_error_ != 0) break;
    if (!receive_below()) return false;
    take_input();
  }
  return true;
}

// Decrypts as many records as there are and as fit. What ends the stream after them is reported by the next receive.
// Returns: whether there was at least one byte.
bool Stream::read(RecvOp& op) noexcept {
  if (!engine_->has_input() && engine_->pending() == 0) return false;
  std::span<char> into;
  if (op.kind == Op::Kind::recv_into) {
    into = {op.into().data, op.into().size};
    if (into.empty()) return true;
  } else {
    lent_ = loop().backend().buffers().take();
    into = {lent_->data(), lent_->size()};
  }
  take_output_buffer();  // for answers of the protocol itself
  Engine::Status status = Engine::Status::done;
  while (status == Engine::Status::done && received_ < into.size() &&
         (engine_->has_input() || engine_->pending() != 0)) {
    std::size_t count = 0;
    status = engine_->read(into.subspan(received_), count);
    received_ += count;
  }
  if (status == Engine::Status::ended) peer_has_ended_ = true;
  // wants_output: it demands more answers than it reads.
  if (status == Engine::Status::failed || status == Engine::Status::wants_output) recv_error_ = EPROTO;
  pump();
  if (received_ == 0 && lent_ != nullptr) loop().backend().buffers().give_back(std::exchange(lent_, nullptr));
  return received_ != 0;
}

// Returns: whether input_ is complete.
bool Stream::receive_below() noexcept {
  input_.lent() = {};
  input_.result = 0;
  input_.state = Op::State::idle;
  is_receiving_below_ = !below().start(input_);
  return !is_receiving_below_;
}

void Stream::take_input() noexcept {
  if (input_.result > 0) {
    engine_->feed(input_.received());
  } else if (input_.result == 0) {
    if (!input_ended_) recv_error_ = stream_truncated;
  } else if (input_.result != -ECANCELED) {
    recv_error_ = -input_.result;
  }
}

void Stream::input_is_complete() noexcept {
  below().complete(input_);
  is_receiving_below_ = false;
  take_input();
  RecvOp& op = *receiving_;
  if (recv_is_cancelled_ || (input_.result == -ECANCELED && !input_ended_ && !is_closed_)) {
    op.result = -ECANCELED;
  } else if (!advance(op)) {
    return;
  } else {
    op.result = 0;
  }
  op.done(op);
}

void Stream::complete(RecvOp& op) noexcept {
  receiving_ = nullptr;
  if (op.result != -ECANCELED) receive(op);
}

void Stream::receive(RecvOp& op) noexcept {
  op.result = static_cast<std::int32_t>(std::exchange(received_, 0));
  if (is_closed_) {
    op.result = -EBADF;
  } else if (op.result != 0) {
    if (op.kind == Op::Kind::recv) op.lent() = {.buffer = nullptr, .data = lent_->data()};
  } else if (!input_ended_ && recv_error_ != 0) {
    op.result = -recv_error_;
  } else if (!engine_->is_open()) {
    op.result = -ENOTCONN;
  }
  if (!engine_->has_input()) below().return_lent();
}

void Stream::cancel(RecvOp& op) noexcept {
  if (&op != receiving_ || !is_receiving_below_) return;
  recv_is_cancelled_ = true;
  below().cancel(input_);
}

void Stream::end_input() noexcept {
  input_ended_ = true;
  Layer::end_input();
}

void Stream::reopen_input() noexcept {
  input_ended_ = false;
  Layer::reopen_input();
}

// --- sending ---

bool Stream::start(SendOp& op) noexcept {
  if (!engine_->is_open() && send_error_ == 0) {
    op.error = ENOTCONN;
    return true;
  }
  if (send_error_ != 0) {
    const bool is_done = send_is_shut_down_ && !is_closed_ && op.then != SendOp::Then::nothing;
    op.error = is_done ? 0 : send_error_;
    return true;
  }
  return sends_.start(op, [this] { pump(); });
}

bool Stream::queue(BytesView bytes) noexcept {
  if (send_error_ != 0 || !engine_->is_open() || !sends_.empty() || bytes.size() > Engine::plaintext_bytes_max) {
    return false;
  }
  take_output_buffer();
  if (!has_room(0)) return false;
  if (bytes && engine_->write(bytes) != Engine::Status::done) return false;
  pump();
  return true;
}

void Stream::take_output_buffer() noexcept {
  if (output_buffer_ != nullptr) return;
  output_buffer_ = loop().backend().buffers().take();
  engine_->set_output({output_buffer_->data(), std::min(output_buffer_->size(), output_bytes_max)});
}

void Stream::release_output() noexcept {
  if (output_buffer_ == nullptr) return;
  loop().backend().buffers().give_back(std::exchange(output_buffer_, nullptr));
  engine_->set_output({});
  engine_->release_buffers();
  output_begin_ = output_sending_ = 0;
}

// For one more record of data, and `staging_bytes` behind it.
bool Stream::has_room(std::size_t staging_bytes) const noexcept {
  return engine_->room().size() >= Engine::record_bytes_max + reserve_bytes + staging_bytes;
}

void Stream::pump() noexcept {
  while (!sends_.empty() && send_error_ == 0) {
    SendOp& op = sends_.front();
    if (op.sent != op.total()) {
      take_output_buffer();
      if (!encrypt(op)) return;
      if (op.sent != op.total() && !send_output()) return;
    } else if (op.then == SendOp::Then::nothing) {
      sends_.complete(op, 0, loop());
    } else if (!send_control(op)) {
      return;
    }
  }
  send_output();
}

// As much as there is room for. Returns: false when the connection has failed.
bool Stream::encrypt(SendOp& op) noexcept {
  const std::size_t total = op.total();
  while (op.sent != total) {
    const BytesView piece = next_piece(op);
    if (piece.empty()) return true;
    const Engine::Status status = engine_->write(piece);
    if (status == Engine::Status::wants_output) return true;
    if (status != Engine::Status::done) {
      fail_sends(EPROTO);
      return false;
    }
    op.sent += piece.size();
  }
  return true;
}

// The next bytes for one record; small pieces are copied together. Returns: empty when there is no room.
BytesView Stream::next_piece(const SendOp& op) const noexcept {
  constexpr std::size_t most = Engine::plaintext_bytes_max;
  std::size_t skip = op.sent;
  std::span<const BytesView> pieces = op.pieces();
  while (skip >= pieces.front().size()) {
    skip -= pieces.front().size();
    pieces = pieces.subspan(1);
  }
  const BytesView first = pieces.front().from(skip);
  if (first.size() >= most || first.size() == op.total() - op.sent) {
    return has_room(0) ? first.first(std::min(first.size(), most)) : BytesView();
  }
  if (!has_room(most)) return {};
  const std::span<char> staging = engine_->room().last(most);
  std::size_t used = 0;
  for (const BytesView& piece : pieces) {
    used += piece.from(skip).text().copy(staging.data() + used, most - used);
    skip = 0;
    if (used == most) break;
  }
  return BytesView(staging.first(used));
}

// Returns: true when all of it has been sent.
bool Stream::send_output() noexcept {
  while (!is_sending_below_ && output_buffer_ != nullptr) {
    const BytesView unsent = engine_->output().from(output_begin_);
    if (unsent.empty()) {
      release_output();
      break;
    }
    output_sending_ = static_cast<std::uint32_t>(unsent.size());
    if (!start_below(unsent, SendOp::Then::nothing)) break;
    output_is_complete();
  }
  return !is_sending_below_ && send_error_ == 0;
}

bool Stream::start_below(BytesView bytes, SendOp::Then then) noexcept {
  output_.assign(bytes);
  output_.then = then;
  output_.error = 0;
  output_.state = SendOp::State::pending;
  is_sending_below_ = true;
  return below().start(output_);
}

void Stream::output_is_complete() noexcept {
  is_sending_below_ = false;
  if (is_control_below_) return control_is_complete();
  output_begin_ += output_sending_;
  if (output_.error == 0) return;
  release_output();
  if (may_ignore(output_.error)) return complete_shutdown();
  fail_sends(output_.error);
}

// The flush or shutdown of the first send, after all data. Returns: true when it is complete.
bool Stream::send_control(SendOp& op) noexcept {
  if (op.then == SendOp::Then::shutdown && !has_ended_) {
    if (!send_output()) return false;
    has_ended_ = true;
    take_output_buffer();
    engine_->shut_down();
  }
  if (!send_output()) return false;
  is_control_below_ = true;
  // A client leaves the connection open: servers such as nginx take its half-close for a client that has gone, and do
  // not end TLS after their answer.
  const bool is_half_close = op.then == SendOp::Then::shutdown && engine_->is_server();
  if (!start_below({}, is_half_close ? SendOp::Then::shutdown : SendOp::Then::flush)) return false;
  output_is_complete();
  return true;
}

void Stream::control_is_complete() noexcept {
  is_control_below_ = false;
  if (sends_.empty()) return;  // closed in between
  const int error = output_.error;
  const bool is_shutdown = sends_.front().then == SendOp::Then::shutdown;
  if (is_shutdown && (error == 0 || may_ignore(error))) return complete_shutdown();
  sends_.complete(sends_.front(), error, loop());
  if (error != 0 && error != ECANCELED) fail_sends(error);
}

// A peer that has answered and closed does not need our end any more: when all data was sent before, it is no failure
// that the close_notify cannot be sent. What the connection ended with is reported by the receive.
bool Stream::may_ignore(int error) const noexcept {
  const bool is_gone = error == EPIPE || error == ECONNRESET || error == ENOTCONN;
  return has_ended_ && is_gone && recv_error_ == 0;
}

void Stream::complete_shutdown() noexcept {
  if (sends_.empty()) return;  // it was cancelled
  sends_.complete(sends_.front(), 0, loop());
  send_is_shut_down_ = true;
  fail_sends(EPIPE);  // those that were started after it
}

void Stream::fail_sends(int error) noexcept {
  if (send_error_ == 0 || error == EBADF) send_error_ = error;
  sends_.complete_all(error, loop());
}

// After a part of it was encrypted, the peer cannot make sense of any later send.
void Stream::cancel(SendOp& op) noexcept {
  if (op.state == SendOp::State::complete) return;
  if (is_control_below_ && &op == &sends_.front()) {
    op.state = SendOp::State::cancelling;
    return below().cancel(output_);
  }
  const bool is_broken = op.sent != 0;
  sends_.complete(op, ECANCELED, loop());
  if (is_broken) return fail_sends(EPIPE);
  pump();
}

Duration Stream::send_stalled() const noexcept { return send_error_ != 0 ? Duration::zero() : Layer::send_stalled(); }

// --- closing ---

void Stream::close() noexcept {
  if (std::exchange(is_closed_, true)) return;
  return_lent();
  if (send_error_ == 0 && sends_.empty() && !is_sending_below_ && engine_->is_open()) {
    take_output_buffer();
    engine_->shut_down();
    static_cast<void>(below().queue(engine_->output()));
    release_output();
  }
  if (!engine_->is_server()) discard_received();
  below().close();
  interrupt_receive();
  fail_sends(EBADF);
}

// The stream below has ended its receive, and would report it in a later turn, when this stream may have ended.
void Stream::interrupt_receive() noexcept {
  if (!is_receiving_below_ || !input_.linked()) return;
  input_.unlink();
  below().complete(input_);
  is_receiving_below_ = false;
  if (receiving_ == nullptr) return;  // it was of discard_received()
  receiving_->result = 0;
  loop().finish_later(*receiving_);
}

// A close with unread bytes is a reset, which may destroy what was sent before it. With TLS 1.3 most clients have some:
// tickets, which servers send unasked.
void Stream::discard_received() noexcept {
  constexpr int chunks_max = 4;
  if (receiving_ != nullptr || !engine_->is_open()) return;
  for (int chunk = 0; chunk < chunks_max; ++chunk) {
    if (!receive_below() || input_.result <= 0) return;
  }
}

void Stream::abort() noexcept {
  is_closed_ = true;
  return_lent();
  below().abort();
  interrupt_receive();
  fail_sends(EBADF);
}

// --- what was agreed ---

Version Stream::version() const noexcept { return engine_->version(); }
std::string Stream::cipher() const { return engine_->cipher(); }
std::string Stream::group() const { return engine_->group(); }
std::string Stream::alpn() const { return engine_->alpn(); }
std::string Stream::server_name() const { return engine_->server_name(); }
bool Stream::is_resumed() const noexcept { return engine_->is_resumed(); }
std::vector<Certificate> Stream::peer_chain() const { return engine_->peer_chain(); }

std::optional<Certificate> Stream::peer_certificate() const {
  std::vector<Certificate> chain = engine_->peer_chain();
  if (chain.empty()) return std::nullopt;
  return std::move(chain.front());
}

}  // namespace coax::tls
