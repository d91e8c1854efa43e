// The listeners on the loop that called serve(), and a shard of the server on every loop. Each accepted connection is
// passed to the loop with the fewest connections. Unless connections are very short, that distributes the load more
// evenly than SO_REUSEPORT, keeps the counters of the limits on one thread, and lets the kernel refuse a second server
// on the port.
#include "coax/server/serve.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <ranges>
#include <span>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/log_throttle.hpp"
#include "coax/base/text.hpp"
#include "coax/net/accept_error.hpp"
#include "coax/net/listen_error.hpp"
#include "coax/server/newcomer_private.hpp"
#include "coax/stream/look_up.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/task/scope.hpp"

namespace coax {

using namespace std::chrono_literals;

namespace {

// Lingering close: close(2) with unread input sends a reset, which destroys bytes under way to the peer. So our end is
// sent first, and input is read and discarded until the peer has finished or was silent for `quiet`.
Task<> discard_input(Stream& stream, Duration quiet) {
  co_await stream.shutdown_send();
  stream.reopen_input();
  while (co_await timeout(quiet, stream.recv())) {
  }
}

}  // namespace

// --- a shard: the part of the server on one loop ---

class Shard {
 public:
  Shard(Loop& loop, const ServeOptions& options, const Handler& handler, std::function<void(const Endpoint&)> on_left)
      : loop_(loop), options_(options), handler_(handler), on_left_(std::move(on_left)) {}

  [[nodiscard]] Loop& loop() noexcept { return loop_; }
  // The number of connections, as known by the server's loop.
  std::size_t count = 0;

  void take(int native, const Endpoint& peer, std::uint64_t id);
  void stop() noexcept { stopping_.set(); }
  Task<> find_candidate(Guard::Candidate& best);
  Task<> reclaim(std::uint64_t id);
  Task<> run();

 private:
  struct ConnectionTask;
  Task<> begin(ConnectionTask& connection) noexcept;
  void handler_ended(ConnectionTask& connection);
  void closed(ConnectionTask& connection) noexcept;
  static Task<> close(ConnectionTask& connection);
  static Task<> flush_or_abort(Stream& stream);
  Task<> sweep();
  template <class Visit>
  void for_each_connection(Visit visit);

  Loop& loop_;
  const ServeOptions& options_;
  const Handler& handler_;
  std::function<void(const Endpoint&)> on_left_;
  TaskGroup connections_;
  Event stopping_;
};

// All memory of one connection, except the handler's own frames. Its task is the handler and then, for an orderly
// close, close().
struct HasSocket {
  SocketStream socket;  // before the Connection that refers to it
};
struct Shard::ConnectionTask final : TaskGroup::Child, HasSocket, Connection {
  ConnectionTask(Shard& of, Descriptor descriptor, const Endpoint& from, std::uint64_t number)
      : Child([](Context& self) noexcept -> std::coroutine_handle<> {
          auto& connection = static_cast<ConnectionTask&>(self);
          connection.shard.handler_ended(connection);
          return std::noop_coroutine();
        }),
        HasSocket{.socket = SocketStream(descriptor, from)},
        Connection(socket, number, this),
        shard(of),
        opened(of.loop_.now()) {}
  static void* operator new(std::size_t size) { return frame_memory::allocate(size); }
  static void operator delete(void* at, std::size_t size) noexcept { frame_memory::release(at, size); }

  [[nodiscard]] Guard::Candidate::Rank rank(TimePoint now) const noexcept;

  Shard& shard;
  TimePoint opened;
};

template <class Visit>
void Shard::for_each_connection(Visit visit) {
  connections_.for_each([&](TaskGroup::Child& child) { visit(static_cast<ConnectionTask&>(child)); });
}

Guard::Candidate::Rank Shard::ConnectionTask::rank(TimePoint now) const noexcept {
  using Rank = Guard::Candidate::Rank;
  const Duration quiet = now - socket.last_active();
  if (busy_ || draining_ || reason_ != CloseReason::finished || quiet < reclaim_silent) return Rank::none;
  if (!socket.has_received() && socket.last_active() - opened <= reclaim_silent) return Rank::silent;
  if (idle_max_ == no_idle_max) return Rank::none;
  if (has_been_busy_) return Rank::between_requests;
  return quiet >= reclaim_idle ? Rank::idle : Rank::none;
}

Task<> Shard::find_candidate(Guard::Candidate& best) {
  for_each_connection([&](const ConnectionTask& connection) {
    best = std::min(
        best,
        {.rank = connection.rank(loop_.now()), .idle_since = connection.socket.last_active(), .id = connection.id()});
  });
  co_return;
}

Task<> Shard::reclaim(std::uint64_t id) {
  for_each_connection([&](ConnectionTask& connection) {
    const bool is_spare = connection.rank(loop_.now()) != Guard::Candidate::Rank::none;
    if (connection.id() == id && is_spare) connection.end(CloseReason::reclaimed);
  });
  co_return;
}

Task<> Shard::run() {
  try {
    co_await race(stopping_.wait(), sweep());
  } catch (const Cancelled&) {  // another shard has failed: this one must still end in order
  }
  for_each_connection([](Connection& connection) { connection.drain(); });
  try {
    co_await shield(options_.drain, connections_.join());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    log::warning("connections were cut: they had not come to their end within {}", format_duration(options_.drain));
  }
}

Task<> Shard::sweep() {
  TimePoint last = loop_.now();
  while (true) {
    co_await sleep(1s);
    const TimePoint now = loop_.now();
    const Duration tick = std::min<Duration>(now - std::exchange(last, now), 2s);
    for_each_connection([&](Connection& connection) { connection.check(now, tick, options_.limits.write_timeout); });
  }
}

void Shard::take(int native, const Endpoint& peer, std::uint64_t id) {
  const auto descriptor = loop_.backend().adopt(native);
  if (!descriptor) return on_left_(peer);
  ConnectionTask& connection =
      *new ConnectionTask(*this, *descriptor, peer, id);  // owned by itself: closed() deletes it
  connection.set_idle_max(options_.limits.idle);
  if (stopping_.is_set()) connection.drain();
  connection.task = begin(connection);
  connections_.spawn(connection);
}

namespace {

bool is_limit(CloseReason reason) noexcept {
  return reason == CloseReason::idle || reason == CloseReason::write_timeout || reason == CloseReason::overflow ||
         reason == CloseReason::timed_out || reason == CloseReason::reclaimed;
}

// Most errors name the peer.
std::string described(const Connection& connection, const Error& error) {
  const std::string peer = connection.peer_name();
  const std::string text = error.what();
  return text.contains(peer) ? text : peer + ": " + text;
}

// Logs why a handler ended, unless it has disconnected or the handler has logged it, and records the reason.
void note_end(Connection& connection, const std::exception_ptr& why) {
  log::Level level = log::Level::info;
  const bool is_logged = connection.reason() != CloseReason::finished;
  try {
    if (why) std::rethrow_exception(why);
  } catch (const Cancelled&) {
    connection.set_reason(CloseReason::shutting_down);
  } catch (const IncompleteRead& error) {  // the peer may still read what was sent before
    connection.set_reason(CloseReason::protocol);
    if (!is_logged) log::info("{}", described(connection, error));
    level = log::Level::debug;
  } catch (const Error& error) {
    const ErrorKind kind = error.kind();
    connection.set_reason(close_reason_of(kind));
    // What peers do wrong is as usual as disconnected ones; the rest may be our fault.
    const bool is_of_peer = kind == ErrorKind::timed_out || kind == ErrorKind::truncated ||
                            kind == ErrorKind::protocol || kind == ErrorKind::certificate;
    if (is_of_peer) {
      if (!is_logged) log::info("{}", described(connection, error));
    } else if (kind != ErrorKind::disconnected) {
      log::warning("{}", described(connection, error));
    }
    level = log::Level::debug;  // it was logged already
  } catch (const std::exception& error) {
    connection.set_reason(CloseReason::failed);
    log::error("{}: the handler failed: {}", connection.peer_name(), error.what());
  } catch (...) {
    connection.set_reason(CloseReason::failed);
    log::error("{}: the handler failed: it threw something that is not a std::exception", connection.peer_name());
  }
  if (level == log::Level::info && is_limit(connection.reason())) {
    log::info("{} closed: {}", connection.peer_name(), to_string(connection.reason()));
  } else if (log::enabled(log::Level::debug)) {
    log::debug("{} closed: {}", connection.peer_name(), to_string(connection.reason()));
  }
}

// The connection is unusable: there is nothing to flush.
bool is_beyond_closing(CloseReason reason) noexcept {
  return reason == CloseReason::disconnected || reason == CloseReason::write_timeout || reason == CloseReason::overflow;
}

Task<> rethrow(std::exception_ptr error) {
  std::rethrow_exception(error);
  co_return;
}

}  // namespace

// A handler may be a function that throws before there is a task.
Task<> Shard::begin(ConnectionTask& connection) noexcept {
  try {
    return handler_(connection);
  } catch (...) {
    return rethrow(std::current_exception());
  }
}

void Shard::handler_ended(ConnectionTask& connection) {
  note_end(connection, connection.task.error());
  if (is_beyond_closing(connection.reason())) {
    connection.stream().abort();  // an end that cannot be mistaken for a clean one
    return closed(connection);
  }
  if (connection.reason() == CloseReason::reclaimed) return closed(connection);  // its place is needed now
  connection.ended = [](Context& self) noexcept -> std::coroutine_handle<> {
    auto& ending = static_cast<ConnectionTask&>(self);
    ending.shard.closed(ending);
    return std::noop_coroutine();
  };
  connection.task = close(connection);
  connection.task.start(connection);
}

void Shard::closed(ConnectionTask& connection) noexcept {
  const Endpoint peer = connection.peer();
  connections_.leave(connection);
  delete &connection;
  on_left_(peer);
}

Task<> Shard::close(ConnectionTask& connection) {
  // A shutdown does not wait for idle connections; the kernel still delivers their unread bytes.
  const bool hurry = connection.draining() || connection.reason() == CloseReason::timed_out;
  const Duration quiet = hurry ? Duration(100ms) : Duration(2s);
  Stream& stream = connection.stream();
  bool is_cut = false;
  try {
    co_await stream.shutdown_send();  // while the peer reads; in a shutdown, until the time to drain has passed
    co_await timeout(2s, discard_input(stream, quiet));
  } catch (const Error&) {  // disconnected, silent, or endless: treated as closed
  } catch (const Cancelled&) {
    is_cut = true;
  }
  if (is_cut) co_await shield(flush_or_abort(connection.stream()));
}

// A peer that did not receive all bytes must not see a clean end.
Task<> Shard::flush_or_abort(Stream& stream) {
  try {
    co_await timeout(500ms, stream.shutdown_send());
  } catch (const Error&) {
    stream.abort();
  }
}

// --- the server ---

namespace {

class Server final : Guard::Listener {
 public:
  Server(ServeOptions options, Handler handler)
      : options_(std::move(options)), handler_(std::move(handler)), guard_(options_.guard) {
    const Limits& limits = options_.limits;
    if (!guard_) {
      guard_ = std::make_shared<Guard>(GuardLimits{.connections_max = limits.connections_max,
                                                   .connections_per_host_max = limits.connections_per_host_max});
    }
    guard_->require_own_loop();
    guard_->add(*this);
  }
  ~Server() { guard_->remove(*this); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Task<> run();

 private:
  Task<Guard::Candidate> find_candidate() override;
  Task<> close_candidate(Guard::Candidate candidate) override;
  Task<> listen();
  Task<> listen_at(std::string where);
  void listen_on(const Address& address);
  bool listen_on_all(std::span<const Endpoint> addresses, std::string_view host, bool is_last_attempt);
  void make_shards();
  Task<> accept_from(SocketListener& listener);
  Task<> accept_from_all();
  void admit(Newcomer& newcomer);
  Task<bool> make_room();
  void say_farewell(Newcomer& newcomer);
  Task<> refuse_full(int native);
  Task<> back_off(int reason, const SocketListener& listener);

  ServeOptions options_;
  Handler handler_;
  std::shared_ptr<Guard> guard_;
  std::vector<std::uint16_t> ipv4_ports_;  // of 0.0.0.0: [::] beside it is limited to IPv6
  std::vector<std::unique_ptr<SocketListener>> listeners_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::uint64_t last_id_ = 0;
  TaskGroup refusals_;
  std::size_t farewells_under_way_ = 0;
  LogThrottle out_of_descriptors_log_;
  LogThrottle full_log_;
  LogThrottle per_host_log_;
};

Task<> Server::run() {
  co_await listen();
  make_shards();
  TaskGroup shards;
  for (auto& shard : shards_) shards.spawn(run_on(shard->loop(), shard->run()));
  std::exception_ptr end;
  try {
    co_await accept_from_all();
  } catch (...) {
    end = std::current_exception();
  }
  listeners_.clear();
  refusals_.cancel();
  co_await shield(refusals_.join());
  if (options_.on_drain) options_.on_drain();
  // Posts to one loop keep their order: each shard has received all accepted connections before it stops.
  for (auto& shard : shards_) shard->loop().post([&shard] { shard->stop(); });
  co_await shield(shards.join());
  if (end) std::rethrow_exception(end);
}

void Server::listen_on(const Address& address) {
  ListenOptions socket = options_.socket;
  const bool is_inet = address.family() != Family::local;
  if (is_inet && std::ranges::count(ipv4_ports_, address.endpoint().port()) != 0) socket.dual_stack = false;
  listeners_.push_back(std::make_unique<SocketListener>(address, socket));
}

Task<> Server::listen() {
  std::vector<std::string> places;
  if (guard_->limits().connections_max == 0) {
    throw Error(ErrorKind::invalid, "serve", options_.listen, "Limits::connections_max must be at least 1");
  }
  if (trim(options_.listen).empty()) {
    throw Error(ErrorKind::invalid, "listen on", "\"\"", "give HOST:PORT, or unix:PATH; port 0 is any free one");
  }
  for (const auto place : std::views::split(std::string_view(options_.listen), ',')) {
    places.emplace_back(trim(std::string_view(place)));
    const auto target = parse_host_port(places.back());
    if (target && target->host == "0.0.0.0" && target->port) ipv4_ports_.push_back(*target->port);
  }
  for (auto place = places.begin(); place != places.end(); ++place) {
    const bool is_again = std::find(places.begin(), place, *place) != place && !place->ends_with(":0");
    if (is_again) throw Error(ErrorKind::invalid, "listen on", *place, "it is named twice");
    co_await listen_at(*place);
  }
  if (options_.on_ready) options_.on_ready();
}

Task<> Server::listen_at(std::string where) {
  const std::size_t first = listeners_.size();
  if (where.starts_with("unix:")) {
    listen_on(Address::of(where, Family::local));
  } else {
    const auto target = parse_host_port(where);
    if (!target || !target->port) {
      throw Error(ErrorKind::invalid, "listen on", where,
                  "give HOST:PORT, an IPv6 address as [ADDRESS]:PORT, or unix:PATH");
    }
    const std::vector<Endpoint> addresses = co_await look_up(target->host, *target->port);
    constexpr int attempts_max = 16;
    std::vector<std::unique_ptr<SocketListener>> tried;  // open, so that the kernel gives another port
    for (int attempt = 1; !listen_on_all(addresses, target->host, attempt == attempts_max); ++attempt) {
      std::ranges::move(std::span(listeners_).subspan(first), std::back_inserter(tried));
      listeners_.resize(first);
    }
  }
  if (!options_.on_listen) co_return;
  for (const auto& listener : std::span(listeners_).subspan(first)) options_.on_listen(listener->address());
}

// All addresses of a name use one port. Returns: false when port 0 gave one that is in use at another of the addresses;
// then another port may be free at all of them.
bool Server::listen_on_all(std::span<const Endpoint> addresses, std::string_view host, bool is_last_attempt) {
  bool is_anywhere = false;
  std::uint16_t port = addresses.front().port();
  const bool is_any_port = port == 0;
  for (std::size_t index = 0; index != addresses.size(); ++index) {
    Endpoint address = addresses[index];
    if (port != address.port()) address = *Endpoint::from_ip(address.ip(), port);
    try {
      listen_on(address);
    } catch (const Error& error) {
      const int reason = error.code().value();
      if (is_any_port && is_anywhere && reason == EADDRINUSE && !is_last_attempt) return false;
      const bool is_last = !is_anywhere && index + 1 == addresses.size();
      if (is_last || !lacks_address(reason)) throw;
      log::warning("{}; the other addresses of {} are listened on", error.what(), host);
      continue;
    }
    is_anywhere = true;
    port = listeners_.back()->local().port();
  }
  return true;
}

void Server::make_shards() {
  Loop& home = Loop::current();
  for (Loop* loop : home.together()) {
    const std::size_t index = shards_.size();
    shards_.push_back(std::make_unique<Shard>(*loop, options_, handler_, [this, &home, index](const Endpoint& peer) {
      home.post([this, peer, index] {
        --shards_[index]->count;
        guard_->leave(peer);
      });
    }));
  }
}

Task<> Server::accept_from_all() {
  co_await task_group([this](TaskGroup& group) -> Task<> {
    for (auto& listener : listeners_) group.spawn(accept_from(*listener));
    co_return;
  });
}

Task<> Server::accept_from(SocketListener& listener) {
  while (true) {
    const SocketListener::Accepted accepted = co_await listener.accept();
    if (accepted.error != 0) {
      co_await back_off(accepted.error, listener);
      continue;
    }
    Newcomer newcomer(accepted);
    bool has_room = true;
    if (guard_->is_full()) has_room = co_await make_room();
    has_room ? admit(newcomer) : say_farewell(newcomer);
  }
}

void Server::admit(Newcomer& newcomer) {
  const Endpoint peer = newcomer.peer();
  if (guard_->admit(peer) != Admission::admitted) {
    if (per_host_log_.should_log(Loop::current().now())) {
      log::warning("refused {}: {} connections from there are open, the limit", peer.ip(),
                   *guard_->limits().connections_per_host_max);
    }
    return;
  }
  const auto least = std::ranges::min_element(shards_, {}, [](const auto& shard) { return shard->count; });
  Shard& shard = **least;
  ++shard.count;
  shard.loop().post([&shard, native = newcomer.take(), peer, id = ++last_id_] { shard.take(native, peer, id); });
}

// False: there is none, and new connections are not to wait.
Task<bool> Server::make_room() {
  while (guard_->is_full()) {
    const bool is_coming = co_await guard_->make_room();
    const bool refuses = !is_coming && !options_.full_message.empty();
    if (!is_coming && full_log_.should_log(Loop::current().now())) {
      log::warning("{} connections are open, the limit, and none is idle: new connections {}",
                   *guard_->limits().connections_max, refuses ? "are refused" : "wait");
    }
    if (refuses) co_return false;
    co_await race(guard_->wait_for_room(), sleep(250ms));
  }
  co_return true;
}

Task<Guard::Candidate> Server::find_candidate() {
  Guard::Candidate best;
  for (std::size_t shard = 0; shard != shards_.size(); ++shard) {
    Guard::Candidate candidate;
    co_await run_on(shards_[shard]->loop(), shards_[shard]->find_candidate(candidate));
    candidate.shard = shard;
    best = std::min(best, candidate);
  }
  co_return best;
}

Task<> Server::close_candidate(Guard::Candidate candidate) {
  Shard& shard = *shards_[candidate.shard];
  co_await run_on(shard.loop(), shard.reclaim(candidate.id));
}

void Server::say_farewell(Newcomer& newcomer) {
  constexpr std::size_t farewells_max = 64;
  if (farewells_under_way_ == farewells_max) return;
  ++farewells_under_way_;
  refusals_.spawn(refuse_full(newcomer.take()));
}

Task<> Server::refuse_full(int native) {
  const struct Leaving {
    std::size_t& count;
    ~Leaving() { --count; }
  } leaving{farewells_under_way_};
  try {
    const auto stream = SocketStream::adopt(native);
    co_await timeout(2s, stream->send(options_.full_message));
    co_await timeout(2s, discard_input(*stream, 500ms));
  } catch (const Error&) {  // disconnected already, or it does not read
  }
}

Task<> Server::back_off(int reason, const SocketListener& listener) {
  const Error error(reason, "accept on", listener.address().to_string(), "raise the limit on open files (ulimit -n)");
  if (classify_accept_error(reason) == AcceptError::fatal) {
    throw Error(reason, "accept on", listener.address().to_string());
  }
  if (out_of_descriptors_log_.should_log(Loop::current().now())) log::error("{}; new connections wait", error.what());
  co_await sleep(100ms);
}

}  // namespace

Task<> serve(ServeOptions options, Handler handler) {
  Server server(std::move(options), std::move(handler));
  co_await server.run();
}

std::size_t raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace coax
