// The server's side of handshakes: limits, log, the identity of the client.
#include "coax/tls/serve.hpp"

#include <fmt/core.h>

#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/log_throttle.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/scope.hpp"

namespace coax::tls {

using namespace std::chrono_literals;

namespace {

// Of a handshake. `at` is protected by the mutex of Handshakes; the rest belongs to the loop.
struct Place {
  LoopLink loop;
  coax::Stream* stream;  // null: it has ended
  bool is_displaced = false;
  std::optional<std::list<std::shared_ptr<Place>>::iterator> at = {};
};

// The handshakes that are under way, the oldest first. Thread: any.
class Handshakes {
 public:
  explicit Handshakes(const HandshakeLimits& limits) : limits_(limits) {}

  // Counted until it is destroyed, on the loop of its connection.
  class Turn {
   public:
    Turn(Handshakes& of, const Endpoint& host, coax::Stream& stream)
        : of_(of), host_(host), place_(std::make_shared<Place>(LoopLink(Loop::current()), &stream)) {
      is_admitted_ = of_.admit(host_, place_);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      place_->stream = nullptr;
      if (is_admitted_) of_.leave(host_, place_);
    }
    [[nodiscard]] bool is_admitted() const noexcept { return is_admitted_; }
    [[nodiscard]] bool is_displaced() const noexcept { return place_->is_displaced; }

   private:
    Handshakes& of_;
    Endpoint host_;
    std::shared_ptr<Place> place_;
    bool is_admitted_ = false;
  };

  // At most once in some seconds, for a line in the log.
  bool should_log() {
    const std::scoped_lock lock(mutex_);
    return throttle_.should_log(Clock::now());
  }

 private:
  bool admit(const Endpoint& host, const std::shared_ptr<Place>& place);
  void displace_oldest();
  void leave(const Endpoint& host, const std::shared_ptr<Place>& place) noexcept;

  const HandshakeLimits limits_;
  std::mutex mutex_;
  std::map<Endpoint, std::size_t> per_host_;
  std::list<std::shared_ptr<Place>> places_;
  LogThrottle throttle_;
};

bool Handshakes::admit(const Endpoint& host, const std::shared_ptr<Place>& place) {
  const std::scoped_lock lock(mutex_);
  if (host.family() != Endpoint::Family::none && limits_.per_host_max) {
    std::size_t& of_host = per_host_[host];
    if (of_host >= *limits_.per_host_max) return false;
    ++of_host;
  }
  if (limits_.at_once_max && places_.size() >= *limits_.at_once_max) displace_oldest();
  place->at = places_.insert(places_.end(), place);
  return true;
}

// The oldest has had the longest time: a flood of silent clients must not keep the others out.
void Handshakes::displace_oldest() {
  if (places_.empty()) return;
  const std::shared_ptr<Place> oldest = std::move(places_.front());
  places_.pop_front();
  oldest->at.reset();
  oldest->loop.post([oldest] {
    oldest->is_displaced = true;
    if (oldest->stream != nullptr) oldest->stream->abort();
  });
}

void Handshakes::leave(const Endpoint& host, const std::shared_ptr<Place>& place) noexcept {
  const std::scoped_lock lock(mutex_);
  if (place->at) places_.erase(*std::exchange(place->at, std::nullopt));
  const auto of_host = per_host_.find(host);
  if (of_host != per_host_.end() && --of_host->second == 0) per_host_.erase(of_host);
}

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
// Returns: false when the connection is not admitted. Throws: as Stream::handshake().
[[gnu::noinline]] Task<bool> shake_hands(Connection& connection, const ServerContext& context, Handshakes& handshakes) {
  coax::Stream& below = connection.stream();
  const Handshakes::Turn turn(handshakes, host_of(connection), below);
  if (!turn.is_admitted()) {
    if (handshakes.should_log()) {
      log::warning("TLS handshake with {}: too many from there at once", connection.peer_name());
    }
    co_return false;
  }
  Stream& stream = connection.add_layer<Stream>(context);
  std::exception_ptr failure;
  try {
    co_await stream.handshake();
    set_principal(connection, stream);
  } catch (const Error&) {
    failure = std::current_exception();
  }
  if (turn.is_displaced()) {
    if (handshakes.should_log()) {
      log::warning("TLS handshake with {}: it was the oldest of too many at once", connection.peer_name());
    }
    co_return false;
  }
  if (failure) {
    co_await linger_a_second(below);
    std::rethrow_exception(failure);
  }
  co_return true;
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

Stream* stream_of(Connection& connection) noexcept { return dynamic_cast<Stream*>(&connection.stream()); }

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
