// The packets of the simulated world: TCP as programs at both ends observe it.
//
// Theory of operation. Bytes are copied once, into the sender's queue, and stay there until they are received. Packets
// carry only counts: bytes that were sent (data), bytes that were received (window updates), the end of the stream
// (fin). Packets of one end never
// overtake each other, as TCP delivers segments in order. A connection behaves as in Linux: an end that closes with
// unread bytes, or receives bytes after closing, sends a reset. A reset is reported once, to the first call, and bytes
// that arrived before it can still be read. When the path is down, packets are held and retransmitted at growing
// intervals, until they arrive or the sender gives up. A reset is sent once only, and may be lost: that is what makes
// connections half-open.
#include <algorithm>
#include <utility>

#include "coax/sim/network_private.hpp"

namespace coax {

using namespace std::chrono_literals;

namespace sim {

void ByteQueue::append(const char* data, std::size_t count) {
  if (begin_ != 0 && begin_ >= bytes_.size() / 2) {
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
  bytes_.append(data, count);
}

void ByteQueue::take(char* to, std::size_t count) noexcept {
  bytes_.copy(to, count, begin_);
  begin_ += count;
  if (begin_ != bytes_.size()) return;
  bytes_.clear();
  begin_ = 0;
}

}  // namespace sim

namespace {
constexpr Duration first_pause = 200ms;  // before the first retransmission; it doubles each time,
constexpr Duration last_pause = 5s;      // up to this
constexpr Duration handshake_pause = 1s;
constexpr Duration latency_least = 1us;  // never zero: a reply arrives later than its request was sent
}  // namespace

// --- events ---

void SimNetwork::World::push(TimePoint at, sim::Event::Kind kind, sim::Handle to, std::uint64_t count) {
  events_.push({.at = at, .sequence = ++sequence_, .kind = kind, .to = std::move(to), .packet = {}, .count = count});
}

void SimNetwork::World::transmit(const sim::Handle& from, sim::Event::Kind kind, std::uint64_t count) {
  TimePoint& last = from.end().last_arrival;
  last = std::max(last, now_ + (from.connection->is_local ? latency_least : latency(conditions_of(*from.connection))));
  push(last, kind, from.far(), count);
}

Duration SimNetwork::World::latency(const SimConditions& conditions) noexcept {
  const auto spread =
      static_cast<std::size_t>(std::max<Duration::rep>((conditions.latency_max - conditions.latency_min).count(), 0));
  const auto part = Duration(static_cast<Duration::rep>(random_.below(spread + 1)));
  return std::max(conditions.latency_min + part, latency_least);
}

std::optional<TimePoint> SimNetwork::World::next() const noexcept {
  return events_.empty() ? std::nullopt : std::optional(events_.top().at);
}

bool SimNetwork::World::deliver(sim::Observer& observer) {
  observer_ = &observer;
  bool any = false;
  while (!events_.empty() && events_.top().at <= now_) {
    const sim::Event event = events_.top();
    events_.pop();
    add_to_trace(event);
    handle(event);
    any = true;
  }
  return any;
}

void SimNetwork::World::add_to_trace(const sim::Event& event) noexcept {
  const auto when = static_cast<std::uint64_t>(event.at.time_since_epoch().count());
  for (const std::uint64_t part :
       {when, std::uint64_t{std::to_underlying(event.kind)},
        event.to ? event.to.connection->id << 1 | event.to.side : event.packet->bytes.size(), event.count}) {
    trace_ = (trace_ ^ part) * 0x100000001b3;
    trace_ ^= trace_ >> 29;
  }
}

void SimNetwork::World::notify(Descriptor descriptor) noexcept {
  if (descriptor && observer_ != nullptr) observer_->ready(descriptor);
}

void SimNetwork::World::handle(const sim::Event& event) {
  using Kind = sim::Event::Kind;
  switch (event.kind) {
    case Kind::datagram: return arrive_datagram(*event.packet);
    case Kind::unreachable: return arrive_unreachable(*event.packet);
    case Kind::syn:
    case Kind::syn_ack:
    case Kind::established: return arrive_handshake(event);
    case Kind::data:
    case Kind::fin:
    case Kind::window_update:
    case Kind::reset: return arrive(event);
    case Kind::retransmit: return retransmit(event.to);
    case Kind::keep_alive:
    case Kind::stuck: {
      const sim::Connection& connection = *event.to.connection;
      const bool still = connection.is_down && connection.outage == event.count;
      if (still && (event.kind == Kind::keep_alive || event.to.end().waits_to_send)) fail(event.to, ETIMEDOUT);
    }
  }
}

// --- the handshake ---

namespace {

// An IPv4 address as a dual-stack listener reports it (IPv4-mapped).
Endpoint mapped(const Endpoint& endpoint) { return *Endpoint::from_ip("::ffff:" + endpoint.ip(), endpoint.port()); }

}  // namespace

sim::Handle SimNetwork::World::connect(const Endpoint& from, const Endpoint& to) {
  const auto connection = std::make_shared<sim::Connection>();
  connection->id = ++connections_made_;
  connection->began = now_;
  connection->is_local = address_at(to).family() == Family::local;
  sim::End& client = connection->ends[0];
  sim::End& server = connection->ends[1];
  const Endpoint wildcard_peer =
      to.family() == Endpoint::Family::v6 ? *Endpoint::from_ip("::1", 0) : *Endpoint::from_ip("127.0.0.1", 0);
  const Endpoint reached = to.is_wildcard() ? *Endpoint::from_ip(wildcard_peer.ip(), to.port()) : to;
  client.local = free_port(from.family() == to.family() ? from : reached);
  client.peer = reached;
  server.local = reached;
  server.peer = client.local;
  connections_.emplace(client.local, connection);
  connection->is_down = is_down(*connection);
  transmit({connection, 0}, sim::Event::Kind::syn);
  return {connection, 0};
}

void SimNetwork::World::arrive_handshake(const sim::Event& event) {
  if (is_down(*event.to.connection)) return lose_handshake(event);
  switch (event.kind) {
    case sim::Event::Kind::syn: return arrive_syn(event);
    case sim::Event::Kind::syn_ack: return arrive_syn_ack(event);
    default: return arrive_established(event);
  }
}

// A handshake packet was lost: retransmits it, until the client gives up.
void SimNetwork::World::lose_handshake(const sim::Event& event) {
  sim::Connection& connection = *event.to.connection;
  sim::End& client = connection.ends[0];
  if (now_ - connection.began < conditions_of(connection).give_up) {
    push(now_ + handshake_pause, event.kind, event.to, event.count);
  } else if (!client.established) {
    fail({event.to.connection, 0}, ETIMEDOUT);
  } else {
    close({event.to.connection, 1});
  }
}

void SimNetwork::World::arrive_syn(const sim::Event& event) {
  if (event.to.other().closed) return;
  sim::Listener* const listener = find_listener(event.to.end().local);
  if (listener == nullptr) {
    transmit(event.to, sim::Event::Kind::syn_ack, ECONNREFUSED);
    return close(event.to);
  }
  if (listener->queue.size() > static_cast<std::size_t>(std::max(listener->options.backlog, 0))) {
    return lose_handshake(event);
  }
  event.to.end().keep_alive = listener->options.keep_alive;
  transmit(event.to, sim::Event::Kind::syn_ack);
}

void SimNetwork::World::arrive_syn_ack(const sim::Event& event) {
  sim::End& client = event.to.end();
  if (client.closed) return transmit(event.to, sim::Event::Kind::reset);
  if (event.count != 0) return fail(event.to, static_cast<int>(event.count));
  client.established = true;
  client.last_heard = now_;
  transmit(event.to, sim::Event::Kind::established);
  notify(client.owner);
}

void SimNetwork::World::arrive_established(const sim::Event& event) {
  sim::End& server = event.to.end();
  if (server.dead) return;
  sim::Listener* const listener = find_listener(server.local);
  if (listener == nullptr) {
    transmit(event.to, sim::Event::Kind::reset);
    return close(event.to);
  }
  server.established = true;
  server.last_heard = now_;
  if (listener->at.family() != server.local.family()) {
    server.local = mapped(server.local);
    server.peer = mapped(server.peer);
  }
  listener->queue.push_back(event.to);
  notify(listener->owner);
}

// --- packets ---

void SimNetwork::World::arrive(const sim::Event& event) {
  using Kind = sim::Event::Kind;
  const bool is_behind_held = event.to.other().held.pause != Duration::zero();
  if (is_down(*event.to.connection) || (is_behind_held && event.kind != Kind::reset)) return hold(event);
  switch (event.kind) {
    case Kind::data: return arrive_data(event.to, event.count);
    case Kind::fin: return arrive_fin(event.to);
    case Kind::reset: return arrive_reset(event.to);
    default:  // a window update
      event.to.end().in_use -= event.count;
      event.to.end().last_heard = now_;
      notify(event.to.end().owner);
  }
}

void SimNetwork::World::hold(const sim::Event& event) {
  using Kind = sim::Event::Kind;
  if (event.kind == Kind::reset) return;
  const sim::Handle sender = event.to.far();
  sim::Held& held = sender.end().held;
  if (event.kind == Kind::data) held.data += event.count;
  if (event.kind == Kind::window_update) held.window += event.count;
  if (event.kind == Kind::fin) held.fin = true;
  if (held.pause != Duration::zero()) return;
  held.since = now_;
  held.pause = first_pause;
  push(now_ + held.pause, Kind::retransmit, sender);
}

void SimNetwork::World::retransmit(const sim::Handle& from) {
  sim::Held& held = from.end().held;
  const sim::Handle to = from.far();
  const bool process_vanished = from.connection->vanished && from.end().closed && !held.fin && held.data == 0;
  if (from.end().dead || process_vanished) {
    held = {};
  } else if (!is_down(*from.connection)) {
    const sim::Held all = std::exchange(held, {});
    if (all.data != 0) arrive({.at = now_, .kind = sim::Event::Kind::data, .to = to, .count = all.data});
    if (all.window != 0) arrive({.at = now_, .kind = sim::Event::Kind::window_update, .to = to, .count = all.window});
    if (all.fin) arrive({.at = now_, .kind = sim::Event::Kind::fin, .to = to});
  } else if ((held.data != 0 || held.fin) && now_ - held.since >= conditions_of(*from.connection).give_up) {
    fail(from, ETIMEDOUT);
  } else {
    held.pause = std::min(held.pause * 2, last_pause);
    push(now_ + held.pause, sim::Event::Kind::retransmit, from);
  }
}

void SimNetwork::World::arrive_data(const sim::Handle& to, std::size_t count) {
  sim::End& end = to.end();
  if (end.closed || end.dead) {
    end.dead = true;
    return transmit(to, sim::Event::Kind::reset);
  }
  end.arrived += count;
  end.last_heard = now_;
  notify(end.owner);
}

void SimNetwork::World::arrive_fin(const sim::Handle& to) {
  sim::End& end = to.end();
  end.fin_arrived = true;
  end.last_heard = now_;
  notify(end.owner);
}

void SimNetwork::World::arrive_reset(const sim::Handle& to) {
  if (!to.end().dead) fail(to, to.end().fin_arrived ? EPIPE : ECONNRESET);
}

void SimNetwork::World::fail(const sim::Handle& handle, int reason) {
  sim::End& end = handle.end();
  if (end.dead) return;
  end.dead = true;
  end.error = reason;
  notify(end.owner);
}

// --- the system calls ---

std::int32_t SimNetwork::World::recv(const sim::Handle& handle, std::span<char> into) {
  if (!handle || !handle.end().established) return -ENOTCONN;
  sim::End& end = handle.end();
  if (end.arrived != 0) {
    std::size_t count = std::min(end.arrived, into.size());
    if (random_.chance(conditions_of(*handle.connection).short_reads)) count = 1 + random_.below(count);
    handle.other().sent.take(into.data(), count);
    end.arrived -= count;
    update_window(handle, count);
    return static_cast<std::int32_t>(count);
  }
  if (end.fin_arrived) return 0;
  if (end.error != 0) return -std::exchange(end.error, 0);
  return end.dead ? 0 : -EAGAIN;
}

// Bytes were received: sends a window update once they are a quarter of the window, as TCP does to avoid the silly
// window syndrome (RFC 9293, section 3.8.6.2).
void SimNetwork::World::update_window(const sim::Handle& receiver, std::size_t count) {
  sim::End& end = receiver.end();
  end.unannounced += count;
  if (end.dead || end.unannounced < conditions_of(*receiver.connection).window_bytes / 4) return;
  transmit(receiver, sim::Event::Kind::window_update, std::exchange(end.unannounced, 0));
}

std::int32_t SimNetwork::World::send(const sim::Handle& handle, std::span<const iovec> pieces) {
  if (!handle || !handle.end().established) return -ENOTCONN;
  sim::End& end = handle.end();
  if (end.error != 0) return -std::exchange(end.error, 0);
  if (end.dead || end.fin_sent) return -EPIPE;
  const SimConditions& conditions = conditions_of(*handle.connection);
  std::size_t count = 0;
  for (const iovec& piece : pieces) count += piece.iov_len;
  const std::size_t window = std::max<std::size_t>(conditions.window_bytes, 1);
  count = std::min(count, window - std::min(end.in_use, window));
  if (count == 0) {
    if (!std::exchange(end.waits_to_send, true) && handle.connection->is_down) watch_outage(handle);
    return -EAGAIN;
  }
  if (random_.chance(conditions.short_writes)) count = 1 + random_.below(count);
  end.waits_to_send = false;
  end.in_use += count;
  std::size_t left = count;
  for (const iovec& piece : pieces) {
    const std::size_t taken = std::min(left, piece.iov_len);
    end.sent.append(static_cast<const char*>(piece.iov_base), taken);
    left -= taken;
  }
  transmit(handle, sim::Event::Kind::data, count);
  if (!handle.connection->is_local && random_.chance(conditions.resets)) break_connection(handle.connection);
  return static_cast<std::int32_t>(count);
}

int SimNetwork::World::finish(const sim::Handle& handle) {
  sim::End& end = handle.end();
  if (end.dead || !end.established) return EPIPE;
  if (!std::exchange(end.fin_sent, true)) transmit(handle, sim::Event::Kind::fin);
  return 0;
}

void SimNetwork::World::close(const sim::Handle& handle, bool resets) {
  sim::End& end = handle.end();
  if (std::exchange(end.closed, true)) return;
  end.owner = {};
  if (end.established && !end.dead) {
    // Unread bytes cause a reset. On Unix sockets all sent bytes count as arrived, and `resets`
    // (Stream::abort()) has no effect, as in Linux.
    const bool is_local = handle.connection->is_local;
    if (is_local ? !handle.other().sent.empty() : resets || end.arrived != 0) {
      transmit(handle, sim::Event::Kind::reset);
      end.dead = true;
    } else {
      finish(handle);
    }
  }
  forget_if_over(*handle.connection);
}

void SimNetwork::World::forget_if_over(const sim::Connection& connection) {
  const bool has_server = connection.ends[0].established && !connection.ends[1].closed;
  if (connection.ends[0].closed && !has_server) connections_.erase(Endpoint(connection.ends[0].local));
}

void SimNetwork::World::reset(const Endpoint& client) {
  if (const auto found = connections_.find(client); found != connections_.end()) break_connection(found->second);
}

void SimNetwork::World::break_connection(const std::shared_ptr<sim::Connection>& connection) {
  for (const std::size_t side : {0U, 1U}) transmit({connection, side}, sim::Event::Kind::reset);
}

}  // namespace coax
