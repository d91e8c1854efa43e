// TCP streams and listening; connecting is in connect.cpp.
#include "coax/stream/socket_stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "coax/base/error.hpp"
#include "coax/net/address.hpp"
#include "coax/stream/acknowledged_private.hpp"
#include "coax/stream/socket_writer.hpp"

namespace coax {

SocketStream::SocketStream(Descriptor descriptor, const Endpoint& peer) : descriptor_(descriptor), peer_(peer) {}

SocketStream::~SocketStream() {
  if (receiving_ != nullptr || (writer_ && writer_->has_waiting())) [[unlikely]]
    abort_destroyed_in_use();
  if (descriptor_) Loop::require_current(loop(), "a stream");
  close();
}

std::unique_ptr<SocketStream> SocketStream::adopt(int native) {
  Backend& backend = Loop::current().backend();
  const auto descriptor = backend.adopt(native);
  if (!descriptor) throw Error(descriptor.error(), "take over a connection");
  return std::make_unique<SocketStream>(*descriptor, backend.peer(*descriptor).endpoint());
}

void SocketStream::close() noexcept {
  if (!descriptor_) return;
  return_lent();
  if (writer_) writer_->push();
  loop().backend().close(std::exchange(descriptor_, {}));
  send_error_ = EBADF;
  if (writer_) {
    writer_->abandon();
    release_idle_writer();
  }
}

void SocketStream::abort() noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  loop().backend().set_option(descriptor_,
                              {.level = SOL_SOCKET, .name = SO_LINGER, .value = &at_once, .size = sizeof at_once});
  close();
}

void SocketStream::limit_unsent(std::size_t bytes) noexcept {
  if (!peer_) return;  // a Unix socket has one buffer for both sides
  const int limit = static_cast<int>(std::min<std::size_t>(bytes, INT_MAX));
  loop().backend().set_option(descriptor_,
                              {.level = IPPROTO_TCP, .name = TCP_NOTSENT_LOWAT, .value = &limit, .size = sizeof limit});
}

std::string SocketStream::peer_name() const {
  if (peer_) return peer_.get().to_string();
  // A client of a Unix socket usually has no name: it is named by the address of the listener.
  const Address far = loop().backend().peer(descriptor_);
  const auto name = far.unix_name();
  return name && !name->text().empty() ? far.to_string() : loop().backend().local(descriptor_).to_string();
}

std::optional<Credentials> SocketStream::peer_credentials() const {
  const Backend& backend = loop().backend();
  if (backend.local(descriptor_).family() != Family::local) return std::nullopt;
  ucred peer{};
  const int reason =
      backend.get_option(descriptor_, SOL_SOCKET, SO_PEERCRED, std::as_writable_bytes(std::span(&peer, 1)));
  if (reason != 0) throw Error(reason, "read the credentials of", peer_name());
  return Credentials{.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
}

void SocketStream::end_input() noexcept {
  input_ended_ = true;
  if (receiving_ != nullptr) loop().cancel(*receiving_);
}

Duration SocketStream::send_stalled() const noexcept {
  if (!writer_ || !writer_->stalled_since()) return Duration::zero();
  const auto acknowledged = peer_ ? acknowledged_bytes(loop().backend(), descriptor_) : std::nullopt;
  if (acknowledged) writer_->note_acknowledged(*acknowledged);
  return loop().now() - *writer_->stalled_since();
}

bool SocketStream::start(RecvOp& op) noexcept {
  if (!begin(op)) return true;
  if (input_ended_ && descriptor_) {
    op.result = 0;
    return true;
  }
  if (op.kind == Op::Kind::recv) op.lent() = {};
  op.descriptor = descriptor_;
  receiving_ = &op;
  if (!loop().submit(op)) return false;
  complete(op);
  return true;
}

void SocketStream::complete(RecvOp& op) noexcept {
  receiving_ = nullptr;
  if (op.result == -ECANCELED && input_ended_) op.result = 0;
  if (op.result == -ECONNRESET || op.result == -ETIMEDOUT) {
    recv_error_ = static_cast<std::int16_t>(-op.result);
    if (send_error_ == 0) send_error_ = EPIPE;  // for a Unix socket, shutdown(2) would succeed
  }
  if (op.result == 0 && !input_ended_) op.result = -recv_error_;
  if (op.result <= 0) return;
  has_received_ = true;
  record_activity();
  if (op.kind != Op::Kind::recv) return;
  lent_ = op.lent().buffer;
  op.lent().data = lent_->data();
}

void SocketStream::cancel(RecvOp& op) noexcept { loop().cancel(op); }

void SocketStream::fail_sending(int reason) noexcept {
  send_error_ = static_cast<std::int16_t>(reason);
  if (reason == ECONNRESET || reason == ETIMEDOUT) recv_error_ = send_error_;
}

void SocketStream::record_activity() noexcept {
  if (last_active_ == loop().now()) return;
  last_active_ = loop().now();
  sent_ = false;
}

// Most connections send once in a turn: those bytes are sent directly, without a copy. On a connection with several
// sends in a turn, the first one is queued as well, so that all leave together.
bool SocketStream::send_at_once(SendOp& op) noexcept {
  loop().require_own_thread();
  if (op.then != SendOp::Then::nothing) return false;
  const std::size_t total = op.total();
  if (total == 0) return true;
  record_activity();
  if (sent_) {
    gathers_ = 16;
    return false;
  }
  sent_ = true;
  if (gathers_ != 0) {
    --gathers_;
    return false;
  }
  if (writer_ || !loop().backend().consume_budget()) return false;
  const std::int32_t sent = loop().backend().send_now(descriptor_, op.pieces());
  if (sent == -EAGAIN) return false;
  if (sent >= 0) {
    op.sent = static_cast<std::size_t>(sent);
    return op.sent == total;
  }
  fail_sending(-sent);
  op.error = send_error_;
  return true;
}

std::int64_t SocketStream::send_file_now(const FilePart& part) noexcept {
  loop().require_own_thread();
  if (send_error_ != 0) return -send_error_;
  if (writer_ || !loop().backend().consume_budget()) return -EAGAIN;
  const std::int64_t sent = loop().backend().send_file_now(descriptor_, part);
  if (sent > 0) record_activity();
  if (sent < 0 && sent != -EAGAIN && sent != -EOPNOTSUPP) fail_sending(static_cast<int>(-sent));
  return sent;
}

SocketWriter& SocketStream::writer() {
  if (!writer_) writer_ = SocketWriter::acquire(SendReports(*this), loop(), descriptor_);
  return *writer_;
}

void SocketStream::release_idle_writer() noexcept {
  if (writer_->is_idle()) SocketWriter::release(std::move(writer_));
}

bool SocketStream::start(SendOp& op) noexcept {
  if (send_error_ != 0) {
    const bool is_done = send_is_shut_down_ && descriptor_ && op.then != SendOp::Then::nothing;
    op.error = is_done ? 0 : send_error_;
    return true;
  }
  if (send_at_once(op)) return true;
  const bool done = writer().start(op);
  if (done) release_idle_writer();  // it was sent at once
  return done;
}

bool SocketStream::queue(BytesView bytes) noexcept {
  if (send_error_ != 0) return false;
  const bool queued = writer().queue(std::span(&bytes, 1), bytes.size());
  release_idle_writer();
  return queued;
}

void SocketStream::cancel(SendOp& op) noexcept {
  if (writer_) writer_->cancel(op);
}

// --- listening ---

SocketListener::SocketListener(std::string_view at, const ListenOptions& options)
    : SocketListener(Address::of_literal(at, "listen on"), options) {}

SocketListener::SocketListener(const Address& at, const ListenOptions& options) : loop_(Loop::current()) {
  const auto descriptor = loop_.backend().listen(at, options);
  if (!descriptor) {
    throw Error(descriptor.error(), "listen on", at.to_string(), listen_advice(descriptor.error(), at));
  }
  descriptor_ = *descriptor;
  if (const auto name = at.unix_name(); name && !loop_.backend().is_simulated()) path_ = BoundPath(*name);
}

// The path first: a later client then gets ECONNREFUSED; and as long as the socket is open, no other file can have the
// same device and inode number.
void SocketListener::close() noexcept {
  path_.remove();
  loop_.backend().close(std::exchange(descriptor_, {}));
}

SocketListener::Accept::Accept(SocketListener& listener) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& accept = static_cast<Accept&>(self);
        accept.loop_.cancel(accept);
      }),
      Op(Kind::accept, [](Completion& self) noexcept { static_cast<Accept&>(self).resume(); }),
      loop_(listener.loop_) {
  descriptor = listener.descriptor_;
}

bool SocketListener::Accept::start() noexcept {
  endpoint() = &peer_;
  return loop_.submit(*this);
}

SocketListener::Accepted SocketListener::Accept::finish() const {
  if (result == -ECANCELED) throw Cancelled();
  if (result == -EBADF) throw Error(EBADF, "accept on", "a closed listener");
  if (result == -EBUSY)
    throw Error(ErrorKind::invalid, "accept on", "a listener", "another task already accepts on it");
  if (result < 0) return {.native = -1, .peer = {}, .error = static_cast<int>(-result)};
  return {.native = static_cast<int>(result), .peer = peer_, .error = 0};
}

}  // namespace coax
