// The blocking socket over the same engine as tls::Stream. Records are written into a buffer of the thread and sent
// before a call returns; only a non-blocking socket keeps what the kernel did not take.
#include "coax/tls/socket.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/codec/foreign.hpp"
#include "coax/net/endpoint.hpp"
#include "coax/tls/engine_private.hpp"

namespace coax::tls {

namespace {

std::span<char> output_of_thread() {
  constexpr std::size_t bytes = 64_KiB;
  thread_local const std::unique_ptr<char[]> buffer = std::make_unique_for_overwrite<char[]>(bytes);
  return {buffer.get(), bytes};
}

}  // namespace

// One call of the user: the engine has room for its output, and what is left of the time limit holds.
class Socket::Call {
 public:
  explicit Call(Socket& socket, std::optional<Duration> limit = {}) : socket_(socket), timeout_(socket.timeout()) {
    socket_.engine_->set_output(output_of_thread());
    if (limit && (!timeout_ || *timeout_ > *limit)) socket_.set_timeout(limit);
    limit_ = socket_.timeout().value_or(Duration::zero());
    if (limit_ != Duration::zero()) end_ = Clock::now() + limit_;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    const BytesView rest = socket_.engine_->output();
    if (rest) socket_.unsent_.append(rest.text());
    socket_.engine_->set_output({});
    try {
      if (!socket_.socket_.is_closed() && socket_.timeout() != timeout_) socket_.set_timeout(timeout_);
    } catch (...) {  // the descriptor is of no use any more
    }
  }
  // Before each wait but the first.
  void limit_next_wait() {
    if (end_) socket_.set_timeout(std::max<Duration>(*end_ - Clock::now(), std::chrono::nanoseconds(1)));
  }
  [[nodiscard]] Duration limit() const noexcept { return limit_; }  // zero: none, or a non-blocking socket
  std::optional<TimePoint> until;                                   // of receiving

 private:
  Socket& socket_;
  std::optional<Duration> timeout_;
  Duration limit_{};
  std::optional<TimePoint> end_;
};

Socket::Socket(coax::Socket socket, const ClientContext& context, std::string_view server_name)
    : socket_(std::move(socket)), engine_(std::make_unique<Engine>(context, server_name, socket_.peer_text())) {}

Socket::Socket(coax::Socket socket, const ServerContext& context)
    : socket_(std::move(socket)), engine_(std::make_unique<Engine>(context)) {}

Socket::Socket(Socket&&) noexcept = default;

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this == &other) return *this;
  close();
  socket_ = std::move(other.socket_);
  engine_ = std::move(other.engine_);
  unsent_ = std::move(other.unsent_);
  lent_ = std::move(other.lent_);
  lent_bytes_ = std::exchange(other.lent_bytes_, 0);
  peer_has_ended_ = other.peer_has_ended_;
  return *this;
}

Socket::~Socket() { close(); }

Socket Socket::connect_to(std::string_view where, const ClientContext& context, const SocketConnectOptions& options) {
  const auto target = parse_host_port(where);
  Socket socket(coax::Socket::connect_to(where, options), context, target ? target->host : "");
  socket.handshake();
  return socket;
}

void Socket::fail(const char* operation) const {
  throw Error(engine_->failure_kind(), operation, socket_.peer_text(), engine_->failure());
}

void Socket::require_open(const char* operation) const {
  if (socket_.is_closed()) throw Error(EBADF, operation, socket_.peer_text());
  if (!engine_->is_open()) throw Error(ErrorKind::invalid, operation, socket_.peer_text(), "call handshake() first");
}

void Socket::send_output() {
  while (!unsent_.empty()) unsent_.erase(0, socket_.send_some(unsent_));
  const BytesView output = engine_->output();
  engine_->release_buffers();
  if (!output) return;
  std::size_t sent = 0;
  try {
    while (sent != output.size()) sent += socket_.send_some(output.from(sent));
  } catch (...) {
    unsent_.append(output.from(sent).text());
    engine_->set_output(output_of_thread());
    throw;
  }
  engine_->set_output(output_of_thread());
}

void Socket::take_input(std::optional<TimePoint>& until, const char* operation) {
  const BytesView bytes = socket_.recv_until(until);
  if (!bytes) {
    throw Error(ErrorKind::truncated, operation, socket_.peer_text(),
                engine_->is_open() ? "the connection ended without the end of TLS (close_notify): bytes may be missing"
                                   : "the connection ended during the handshake");
  }
  engine_->feed(bytes);
}

void Socket::handshake() {
  if (engine_->is_open()) return;
  constexpr const char* operation = "TLS handshake with";
  if (socket_.is_closed()) throw Error(EBADF, operation, socket_.peer_text());
  Call call(*this, engine_->handshake_limit());
  try {
    while (true) {
      const Engine::Status status = engine_->handshake();
      call.limit_next_wait();
      if (status == Engine::Status::failed || status == Engine::Status::ended) {
        try {
          send_output();          // the alert
        } catch (const Error&) {  // what the peer did before is the reason
        }
        fail(operation);
      }
      send_output();
      if (status == Engine::Status::done) return;
      if (status == Engine::Status::wants_input) take_input(call.until, operation);
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::disconnected) throw Error(error.code().value(), operation, socket_.peer_text());
    if (error.kind() != ErrorKind::timed_out) throw;
    throw Error(ErrorKind::timed_out, operation, socket_.peer_text(),
                "not complete after " + format_duration(call.limit()));
  }
}

// --- receiving ---

std::size_t Socket::receive(std::span<char> into, std::optional<TimePoint>& until) {
  require_open("recv from");
  std::size_t count = 0;
  while (!peer_has_ended_ && !into.empty()) {
    switch (engine_->read(into, count)) {
      case Engine::Status::done: return count;
      case Engine::Status::ended: peer_has_ended_ = true; break;
      case Engine::Status::wants_input: try { send_output();
        } catch (const Error& error) {  // both directions may be full: receiving must go on
          if (error.kind() != ErrorKind::would_block) throw;
        }
        take_input(until, "recv from");
        break;
      case Engine::Status::wants_output: send_output(); break;
      case Engine::Status::failed: try { send_output();
        } catch (const Error&) {  // as above
        }
        fail("recv from");
    }
  }
  return 0;
}

std::size_t Socket::recv(std::span<char> into) {
  Call call(*this);
  return receive(into, call.until);
}

std::span<char> Socket::lend(std::size_t bytes) {
  if (lent_bytes_ < bytes) {
    lent_ = std::make_unique_for_overwrite<char[]>(bytes);
    lent_bytes_ = bytes;
  }
  return {lent_.get(), bytes};
}

BytesView Socket::recv(std::size_t bytes_max) {
  const std::span<char> room = lend(bytes_max);
  return {room.data(), recv(room)};
}

// One time limit for several calls.
BytesView Socket::recv_until(std::optional<TimePoint>& until) {
  if (!until && timeout() && *timeout() != Duration::zero()) until = Clock::now() + *timeout();
  const Call call(*this);
  const std::span<char> room = lend(64_KiB);
  return {room.data(), receive(room, until)};
}

SocketSource Socket::source() noexcept {
  return {.socket = socket_,
          .object = this,
          .recv = [](void* object,
                     std::optional<TimePoint>& until) { return static_cast<Socket*>(object)->recv_until(until); },
          .send = [](void* object, BytesView bytes) { static_cast<Socket*>(object)->send(bytes); }};
}

std::string Socket::recv_exactly(std::size_t count) {
  Call call(*this);
  std::string bytes;
  for (std::size_t have = 0; have < count;) {
    if (have == bytes.size()) bytes.resize(grown_towards(count, have));
    const std::size_t got = receive(std::span<char>(bytes).subspan(have), call.until);
    if (got == 0) {
      bytes.resize(have);
      throw IncompleteRead(socket_.peer_text(), std::move(bytes), count);
    }
    have += got;
  }
  return bytes;
}

std::size_t Socket::pending() const noexcept { return engine_->pending() + engine_->input().size(); }

// --- sending ---

void Socket::write(BytesView piece) {
  Engine::Status status = engine_->write(piece);
  while (status == Engine::Status::wants_output) {
    send_output();
    status = engine_->write(piece);
  }
  if (status != Engine::Status::done) fail("send to");
}

void Socket::send(BytesView bytes) {
  require_open("send to");
  Call call(*this);
  while (bytes) {
    const BytesView piece = bytes.first(std::min(bytes.size(), Engine::plaintext_bytes_max));
    send_output();
    write(piece);
    bytes = bytes.from(piece.size());
    call.limit_next_wait();
  }
  send_output();
}

std::size_t Socket::send_some(BytesView bytes) {
  require_open("send to");
  const Call call(*this);
  send_output();
  if (bytes.empty()) return 0;
  const BytesView piece = bytes.first(std::min(bytes.size(), Engine::plaintext_bytes_max));
  write(piece);
  try {
    send_output();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::would_block) throw;
  }
  return piece.size();
}

void Socket::flush() {
  require_open("send to");
  const Call call(*this);
  send_output();
}

void Socket::shutdown_send() {
  require_open("shut down");
  {
    const Call call(*this);
    engine_->shut_down();
    send_output();
  }
  if (engine_->is_server()) socket_.shutdown_send();
}

Socket::Unwrapped Socket::unwrap() {
  require_open("end TLS with");
  {
    Call call(*this);
    engine_->shut_down();
    send_output();
    char unread = 0;
    if (receive({&unread, 1}, call.until) != 0) {
      throw Error(ErrorKind::protocol, "end TLS with", socket_.peer_text(), "bytes of it are unread");
    }
  }
  std::string early = engine_->input().string();
  return {.socket = std::move(socket_), .early = std::move(early)};
}

// A close with unread bytes is a reset, which may destroy what was sent before it.
void Socket::discard_received() {
  constexpr int chunks_max = 4;
  for (int chunk = 0; chunk < chunks_max; ++chunk) {
    if (!socket_.recv()) return;
  }
}

void Socket::close() noexcept {
  if (socket_.is_closed()) return;
  try {
    if (engine_->is_open()) {
      socket_.set_timeout(Duration::zero());
      const Call call(*this);
      send_output();
      engine_->shut_down();
      send_output();
      if (!engine_->is_server()) discard_received();
    }
  } catch (...) {  // the peer does not read, or has gone
  }
  unsent_.clear();
  socket_.close();
}

// --- what was agreed ---

Version Socket::version() const noexcept { return engine_->version(); }
std::string Socket::cipher() const { return engine_->cipher(); }
std::string Socket::group() const { return engine_->group(); }
std::string Socket::alpn() const { return engine_->alpn(); }
std::string Socket::server_name() const { return engine_->server_name(); }
bool Socket::is_resumed() const noexcept { return engine_->is_resumed(); }
std::vector<Certificate> Socket::peer_chain() const { return engine_->peer_chain(); }

std::optional<Certificate> Socket::peer_certificate() const {
  std::vector<Certificate> chain = engine_->peer_chain();
  if (chain.empty()) return std::nullopt;
  return std::move(chain.front());
}

}  // namespace coax::tls
