// The server's side of handshakes: limits, log, the identity of the client.
#include "coax/tls/serve.hpp"

#include <fmt/core.h>

#include <map>
#include <mutex>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/log_throttle.hpp"
#include "coax/task/scope.hpp"

namespace coax::tls {

using namespace std::chrono_literals;

namespace {

// Counts handshakes. Thread: any.
class Handshakes {
 public:
  explicit Handshakes(const HandshakeLimits& limits) : limits_(limits) {}

  // Counted until it is destroyed.
  class Turn {
   public:
    Turn(Handshakes& of, const Endpoint& host) noexcept : of_(of), host_(host) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { of_.leave(host_); }

   private:
    Handshakes& of_;
    Endpoint host_;
  };
  // Returns: whether it is admitted; then a Turn must follow.
  bool admit(const Endpoint& host) {
    const std::scoped_lock lock(mutex_);
    if (limits_.at_once_max && count_ >= *limits_.at_once_max) return false;
    if (host.family() != Endpoint::Family::none && limits_.per_host_max) {
      std::size_t& of_host = per_host_[host];
      if (of_host >= *limits_.per_host_max) return false;
      ++of_host;
    }
    ++count_;
    return true;
  }

 private:
  void leave(const Endpoint& host) noexcept {
    const std::scoped_lock lock(mutex_);
    --count_;
    const auto of_host = per_host_.find(host);
    if (of_host != per_host_.end() && --of_host->second == 0) per_host_.erase(of_host);
  }

  const HandshakeLimits limits_;
  std::mutex mutex_;
  std::map<Endpoint, std::size_t> per_host_;
  std::size_t count_ = 0;
};

// Without a family for connections that are not counted by host.
Endpoint host_of(const Connection& connection) {
  const Endpoint peer = connection.peer();
  return peer.is_loopback() ? Endpoint() : peer.host_key();
}

void set_principal(Connection& connection, const Stream& stream) {
  const std::optional<Certificate> certificate = stream.peer_certificate();
  if (!certificate) return;
  const std::string& name = certificate->common_name.empty() ? certificate->subject : certificate->common_name;
  connection.set_principal({.kind = Principal::Kind::certificate, .name = name});
}

// The peer reads the alert, or the answer to plain text, before the end: a close with unread bytes would reset.
Task<> linger(coax::Stream& stream) {
  co_await stream.shutdown_send();
  while (co_await stream.recv()) {
  }
}

Task<> linger_a_second(coax::Stream& stream) {
  try {
    co_await timeout(1s, linger(stream));
  } catch (const Error&) {  // it has gone, or sends without an end
  }
}

// Not inlined: its frame would become part of the one that lives as long as the connection.
[[gnu::noinline]] Task<bool> shake_hands(Connection& connection, const ServerContext& context, Handshakes& handshakes) {
  coax::Stream& below = connection.stream();
  if (const Endpoint host = host_of(connection); handshakes.admit(host)) {
    const Handshakes::Turn turn(handshakes, host);
    Stream& stream = connection.add_layer<Stream>(context);
    try {
      co_await stream.handshake();
      set_principal(connection, stream);
      co_return true;
    } catch (const Error& error) {
      log::info("{}", error.what());
      if (error.kind() == ErrorKind::timed_out) connection.set_reason(CloseReason::timed_out);
    }
    co_await linger_a_second(below);
  } else {
    log::info("TLS handshake with {}: too many handshakes at once", connection.peer_name());
  }
  co_return false;
}

Task<> serve_one(Connection& connection, const ServerContext& context, Handshakes& handshakes, const Handler& inner) {
  if (co_await shake_hands(connection, context, handshakes)) co_await inner(connection);
}

}  // namespace

Handler handler(std::shared_ptr<const ServerContext> context, Handler inner, const HandshakeLimits& limits) {
  auto handshakes = std::make_shared<Handshakes>(limits);
  return {[context = std::move(context), handshakes = std::move(handshakes), inner = std::move(inner)](
              Connection& connection) { return serve_one(connection, *context, *handshakes, inner); }};
}

Task<Stream*> secure(Connection& connection, const ServerContext& context, const Reader& reader) {
  if (reader.buffered()) {
    throw Error(ErrorKind::protocol, "TLS handshake with", connection.peer_name(),
                "it sent bytes between the command that begins TLS and the handshake");
  }
  Stream& stream = connection.add_layer<Stream>(context);
  co_await stream.handshake();
  set_principal(connection, stream);
  co_return &stream;
}

}  // namespace coax::tls
