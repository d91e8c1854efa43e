// Datagrams in the simulated world.
//
// Theory of operation. Each datagram is an event of its own, which finds its receiver when it arrives. Under way it is
// lost, duplicated, or delayed so that others overtake it, by the conditions between the two hosts; without those, the
// datagrams of one sender to one receiver arrive in their order. A datagram that meets a full receive buffer or a
// partition is lost; it is not sent again. As in Linux, only a connected sender is notified when there is no receiver.
// A multicast or broadcast datagram reaches every socket that would receive it at that moment, each by a path of its
// own.
#include "coax/loop/datagrams.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "coax/sim/network_private.hpp"

namespace coax {

namespace {

constexpr std::size_t bytes_max = 65'507;
constexpr std::size_t receive_buffer = 212'992;  // as in Linux
constexpr std::size_t overhead = 512;            // of each datagram in a buffer
constexpr std::uint16_t first_free_port = 49'152;

bool is_broadcast(const Endpoint& to) noexcept {
  constexpr std::array<std::uint8_t, 4> everybody{255, 255, 255, 255};
  return std::ranges::equal(to.address(), everybody);
}

bool is_same_address(const Endpoint& left, const Endpoint& right) noexcept {
  return std::ranges::equal(left.address(), right.address());
}

// The address under which an IPv6 socket sees an IPv4 peer.
Endpoint as_seen_by(const sim::DatagramSocket& socket, const Endpoint& from) {
  if (socket.at.family() == from.family()) return from;
  return *Endpoint::from_ip("::ffff:" + from.ip(), from.port());
}

// Whether a socket accepts the datagram at all: its port, and a family that it has.
bool hears(const sim::DatagramSocket& socket, const Endpoint& to, const Endpoint& from) noexcept {
  const bool has_family = socket.at.family() == to.family() ||
                          (socket.any_address && socket.options.dual_stack && to.family() == Endpoint::Family::v4);
  const bool from_peer = socket.peer.family() == Endpoint::Family::none || socket.peer == from;
  return has_family && socket.at.port() == to.port() && from_peer;
}

bool is_member(const sim::DatagramSocket& socket, const Endpoint& group, const Endpoint& from) noexcept {
  return std::ranges::any_of(socket.memberships, [&](const auto& membership) {
    return is_same_address(membership.group, group) &&
           (!membership.source || is_same_address(*membership.source, from));
  });
}

// How specific the match of an address is; 0: no match.
int fit(const sim::DatagramSocket& socket, const Endpoint& to, const Endpoint& from) noexcept {
  if (!hears(socket, to, from)) return 0;
  const bool is_exact = is_same_address(socket.at, to);
  if (!is_exact && !socket.at.is_wildcard()) return 0;
  return 1 + (is_exact ? 1 : 0) + (socket.peer == from ? 2 : 0);
}

}  // namespace

// --- sockets ---

bool SimNetwork::World::is_taken(const Endpoint& at, const DatagramOptions& options) const noexcept {
  return std::ranges::any_of(datagram_sockets_, [&](const auto& entry) {
    const sim::DatagramSocket& other = entry.second;
    const bool shares =
        (options.reuse_port && other.options.reuse_port) || (options.reuse_address && other.options.reuse_address);
    const bool same = other.at == at || other.at.is_wildcard() || at.is_wildcard();
    return other.at.port() == at.port() && same && !shares;
  });
}

std::expected<sim::DatagramSocket*, int> SimNetwork::World::open_datagrams(const Endpoint& at, const Endpoint& peer,
                                                                           const Endpoint& from,
                                                                           const DatagramOptions& options) {
  const bool is_bound = at.family() != Endpoint::Family::none;
  Endpoint where = is_bound ? at : peer;
  if (!is_bound || at.is_wildcard()) {
    if (from.family() != Endpoint::Family::none) where = *Endpoint::from_ip(from.ip(), at.port());
    if (!is_bound && where == peer) where = *Endpoint::from_ip(peer.ip(), 0);
  }
  if (where.port() == 0) {
    std::uint16_t& next = hosts_[where.host_key()].next_port;
    do {
      where = *Endpoint::from_ip(where.ip(), next);
      next = next == 65'535 ? first_free_port : static_cast<std::uint16_t>(next + 1);
    } while (is_taken(where, {}));
  } else if (is_taken(where, options)) {
    return std::unexpected(EADDRINUSE);
  }
  const std::uint64_t id = ++datagram_sockets_made_;
  sim::DatagramSocket& socket = datagram_sockets_[id];
  socket.id = id;
  socket.at = where;
  socket.any_address = is_bound && at.is_wildcard();
  socket.peer = peer;
  socket.options = options;
  return &socket;
}

void SimNetwork::World::close(const sim::DatagramSocket& socket) { datagram_sockets_.erase(socket.id); }

int SimNetwork::World::set_option(sim::DatagramSocket& socket, const SocketOption& option) {
  const bool is_v4 = option.level == IPPROTO_IP;
  const bool is_loop = option.name == (is_v4 ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP);
  if (option.level == SOL_SOCKET && option.name == SO_BROADCAST) {
    socket.options.broadcast = *static_cast<const int*>(option.value) != 0;
  } else if (is_loop && (is_v4 || option.level == IPPROTO_IPV6)) {
    socket.hears_own_host = *static_cast<const int*>(option.value) != 0;
  } else if (option.name >= MCAST_JOIN_GROUP && option.name <= MCAST_LEAVE_SOURCE_GROUP) {
    return change_membership(socket, option);
  }
  return 0;  // other options have no effect here
}

int SimNetwork::World::change_membership(sim::DatagramSocket& socket, const SocketOption& option) {
  const bool of_source = option.name == MCAST_JOIN_SOURCE_GROUP || option.name == MCAST_LEAVE_SOURCE_GROUP;
  if (option.name == MCAST_BLOCK_SOURCE || option.name == MCAST_UNBLOCK_SOURCE) return EOPNOTSUPP;
  const auto endpoint = [](const sockaddr_storage& at) {
    return Endpoint::from_native(reinterpret_cast<const sockaddr*>(&at));
  };
  group_source_req request{};
  std::memcpy(&request, option.value, std::min(option.size, sizeof request));
  sim::DatagramSocket::Membership membership{.group = endpoint(request.gsr_group), .source = {}};
  static_assert(offsetof(group_source_req, gsr_group) == offsetof(group_req, gr_group));
  if (of_source) membership.source = endpoint(request.gsr_source);
  if (!membership.group.is_multicast()) return EINVAL;
  const auto found = std::ranges::find(socket.memberships, membership);
  const bool is_there = found != socket.memberships.end();
  if (option.name == MCAST_JOIN_GROUP || option.name == MCAST_JOIN_SOURCE_GROUP) {
    if (is_there) return EADDRINUSE;
    socket.memberships.push_back(membership);
    return 0;
  }
  if (!is_there) return EADDRNOTAVAIL;
  socket.memberships.erase(found);
  return 0;
}

// --- sending ---

std::int32_t SimNetwork::World::send(sim::DatagramSocket& socket, SendBatch& batch) {
  if (socket.error != 0) return -std::exchange(socket.error, 0);
  std::int32_t sent = 0;
  for (const mmsghdr& each : batch.headers()) {
    const msghdr& header = each.msg_hdr;
    const auto* const name = static_cast<const sockaddr*>(header.msg_name);
    const Endpoint to = (header.msg_namelen != 0 ? Endpoint::from_native(name) : socket.peer).unmapped();
    const iovec& piece = header.msg_iov[0];
    const std::size_t segment = batch.segment(static_cast<std::size_t>(sent));
    const std::size_t step = segment == 0 ? std::max<std::size_t>(piece.iov_len, 1) : segment;
    int reason = to.port() == 0 ? EINVAL : is_broadcast(to) && !socket.options.broadcast ? EACCES : 0;
    if (segment == 0 && piece.iov_len > bytes_max) reason = EMSGSIZE;
    if (reason != 0) return sent != 0 ? sent : -reason;
    std::size_t offset = 0;
    do {
      const std::size_t size = std::min(step, piece.iov_len - offset);
      send_one(socket, {static_cast<const char*>(piece.iov_base) + offset, size}, to,
               batch.from(static_cast<std::size_t>(sent)));
      offset += step;
    } while (offset < piece.iov_len);
    ++sent;
  }
  return sent;
}

void SimNetwork::World::send_one(sim::DatagramSocket& socket, BytesView bytes, const Endpoint& to,
                                 const Endpoint& source) {
  const bool has_address = !socket.at.is_wildcard() && socket.at.family() == to.family();
  const bool is_for_many = is_broadcast(to) || to.is_multicast();
  const Endpoint reached =
      to.is_wildcard() || is_for_many
          ? *Endpoint::from_ip(to.family() == Endpoint::Family::v6 ? "::1" : "127.0.0.1", to.port())
          : to;
  const Endpoint from = source.family() != Endpoint::Family::none ? *Endpoint::from_ip(source.ip(), socket.at.port())
                        : has_address                             ? socket.at.unmapped()
                                                                  : *Endpoint::from_ip(reached.ip(), socket.at.port());
  sim::Packet packet{.bytes = bytes.string(), .from = from, .to = is_for_many ? to : reached, .sender = socket.id};
  if (!is_for_many) return transmit(socket, packet, reached.host_key());
  for (const auto& [id, other] : datagram_sockets_) {
    const bool takes = is_broadcast(to) ? other.any_address : is_member(other, to, from);
    const bool is_own_host = other.at.host_key() == from.host_key();
    if (!takes || !hears(other, to, from) || (is_own_host && !socket.hears_own_host)) continue;
    packet.receiver = id;
    transmit(socket, packet, other.at.host_key());
  }
}

void SimNetwork::World::transmit(sim::DatagramSocket& from, const sim::Packet& packet, const Endpoint& host) {
  const Pair pair = std::minmax(packet.from.host_key(), host);
  const SimConditions& conditions = conditions_of(pair);
  if (is_down(pair) || packet.bytes.size() > conditions.datagram_bytes_max || random_.chance(conditions.loss)) return;
  const int copies = random_.chance(conditions.duplication) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    TimePoint at = now_ + latency(conditions);
    if (random_.chance(conditions.reordering)) {
      const auto most = static_cast<std::size_t>(std::max<Duration::rep>(4 * conditions.latency_max.count(), 1));
      at += Duration(static_cast<Duration::rep>(random_.below(most)));
    } else {
      TimePoint& last = from.last_arrival[host];
      at = last = std::max(last, at);
    }
    push(at, sim::Event::Kind::datagram, packet);
  }
}

void SimNetwork::World::push(TimePoint at, sim::Event::Kind kind, sim::Packet packet) {
  events_.push({.at = at,
                .sequence = ++sequence_,
                .kind = kind,
                .packet = std::make_shared<const sim::Packet>(std::move(packet)),
                .count = ++datagrams_sent_});
}

// --- arriving ---

sim::DatagramSocket* SimNetwork::World::find_datagrams(const sim::Packet& packet) noexcept {
  if (packet.receiver != 0) {
    const auto found = datagram_sockets_.find(packet.receiver);
    return found == datagram_sockets_.end() ? nullptr : &found->second;
  }
  int best = 0;
  std::size_t count = 0;
  for (const auto& [id, socket] : datagram_sockets_) {
    const int how_well = fit(socket, packet.to, packet.from);
    if (how_well > best) count = 0;
    best = std::max(best, how_well);
    if (how_well == best) ++count;
  }
  if (best == 0) return nullptr;
  // Sockets that share a port share the peers.
  std::size_t skip = packet.from.port() % count;
  for (auto& [id, socket] : datagram_sockets_) {
    if (fit(socket, packet.to, packet.from) == best && skip-- == 0) return &socket;
  }
  return nullptr;
}

void SimNetwork::World::arrive_datagram(const sim::Packet& packet) {
  sim::DatagramSocket* const socket = find_datagrams(packet);
  const bool is_for_many = packet.receiver != 0;
  const Pair pair = std::minmax(packet.from.host_key(),
                                is_for_many && socket != nullptr ? socket->at.host_key() : packet.to.host_key());
  if (is_down(pair)) return;
  if (socket == nullptr) {
    const auto sender = datagram_sockets_.find(packet.sender);
    const bool is_told = sender != datagram_sockets_.end() && sender->second.peer.family() != Endpoint::Family::none;
    const SimConditions& conditions = conditions_of(pair);
    if (!is_told || is_for_many || random_.chance(conditions.loss)) return;
    return push(now_ + latency(conditions), sim::Event::Kind::unreachable,
                {.bytes = {}, .from = packet.to, .to = packet.from, .sender = packet.sender});
  }
  const std::size_t size = packet.bytes.size() + overhead;
  const std::size_t room = socket->options.receive_buffer ? 2 * *socket->options.receive_buffer : receive_buffer;
  if (socket->arrived_bytes + size > room) return;
  socket->arrived_bytes += size;
  socket->arrived.push_back(packet);
  notify(socket->owner);
}

void SimNetwork::World::arrive_unreachable(const sim::Packet& packet) {
  const auto sender = datagram_sockets_.find(packet.sender);
  if (sender == datagram_sockets_.end() || is_down(std::minmax(packet.from.host_key(), packet.to.host_key()))) return;
  sender->second.error = ECONNREFUSED;
  notify(sender->second.owner);
}

std::int32_t SimNetwork::World::recv(sim::DatagramSocket& socket, ReceiveBatch& batch) {
  if (socket.error != 0) return -std::exchange(socket.error, 0);
  std::size_t count = 0;
  batch.prepare(false);
  for (; count < ReceiveBatch::messages_max && !socket.arrived.empty(); ++count) {
    const sim::Packet& packet = socket.arrived.front();
    const bool is_local = socket.any_address && packet.receiver == 0;
    const Endpoint to = is_local ? *Endpoint::from_ip(packet.to.ip(), 0) : Endpoint();
    batch.put(count, packet.bytes, as_seen_by(socket, packet.from), to);
    socket.arrived_bytes -= packet.bytes.size() + overhead;
    socket.arrived.pop_front();
  }
  return count != 0 ? static_cast<std::int32_t>(count) : -EAGAIN;
}

}  // namespace coax
