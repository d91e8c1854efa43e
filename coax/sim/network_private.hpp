// The simulated world behind SimNetwork: connections, packets under way, and time. The back-end (backend.cpp) calls
// it for what would be system calls, and is notified when an operation may continue.
#pragma once

#include <sys/uio.h>

#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/sim/datagrams_private.hpp"
#include "coax/sim/sim.hpp"

namespace coax::sim {

// The bytes sent in one direction and not yet received, under way or arrived.
class ByteQueue {
 public:
  void append(const char* data, std::size_t count);
  void take(char* to, std::size_t count) noexcept;
  [[nodiscard]] bool empty() const noexcept { return begin_ == bytes_.size(); }

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
};

// Packets that wait for a path, to be retransmitted.
struct Held {
  std::size_t data = 0;
  std::size_t window = 0;  // bytes announced by window updates
  bool fin = false;
  Duration pause{};  // zero: no packet is held
  TimePoint since;
};

// One end of a connection.
struct End {
  Endpoint local;
  Endpoint peer;
  Descriptor owner;  // none: it is not adopted yet, or already closed
  bool established = false;
  bool closed = false;  // by its owner
  bool dead = false;    // reset, timed out or refused: it sends and receives no more
  int error = 0;        // its errno, reported once
  bool keep_alive = false;
  // Sending.
  ByteQueue sent;
  std::size_t in_use = 0;  // bytes of the window in use, as far as this end knows
  bool fin_sent = false;
  bool waits_to_send = false;
  TimePoint last_arrival;  // of its packets at the other end: their order is kept
  Held held;
  // Receiving.
  std::size_t arrived = 0;      // bytes that the other end has sent and that have arrived
  std::size_t unannounced = 0;  // bytes received, for the next window update
  bool fin_arrived = false;
  TimePoint last_heard;
};

struct Connection {
  std::uint64_t id = 0;
  bool is_local = false;    // Unix sockets: their path is never slow or cut, and loses nothing
  std::array<End, 2> ends;  // the client's, the server's
  TimePoint began;
  bool vanished = false;
  bool is_down = false;      // whether its path is down, as last reported to the connection
  std::uint64_t outage = 0;  // counts its outages
};

// Names one end.
struct Handle {
  std::shared_ptr<Connection> connection;
  std::size_t side = 0;
  explicit operator bool() const noexcept { return connection != nullptr; }
  [[nodiscard]] End& end() const noexcept { return connection->ends[side]; }
  [[nodiscard]] End& other() const noexcept { return connection->ends[1 - side]; }
  [[nodiscard]] Handle far() const noexcept { return {connection, 1 - side}; }
};

struct Listener {
  Endpoint at;
  ListenOptions options;
  Descriptor owner;
  std::deque<Handle> queue;
};

struct Event {
  enum class Kind : std::uint8_t {
    // Packets, at the end where they arrive.
    syn,
    syn_ack,      // count: 0, or ECONNREFUSED for a refusal
    established,  // the client's ACK: the handshake is complete
    data,         // count: bytes
    fin,
    window_update,  // count: bytes that were received
    reset,
    // Datagrams, at their receiver; and at their sender, that there is no receiver.
    datagram,
    unreachable,
    // Timers of an end.
    retransmit,
    keep_alive,  // count: the outage that it belongs to
    stuck,       // the same; for an end that waits for window space while the path is down
  };
  TimePoint at;
  std::uint64_t sequence = 0;
  Kind kind = Kind::data;
  Handle to;                             // none: it is a datagram
  std::shared_ptr<const Packet> packet;  // of a datagram
  std::uint64_t count = 0;
  friend bool operator<(const Event& left, const Event& right) noexcept {  // the earliest is the greatest
    return std::tie(right.at, right.sequence) < std::tie(left.at, left.sequence);
  }
};

// Is notified that an operation on the descriptor may continue.
class Observer {
 public:
  virtual void ready(Descriptor descriptor) noexcept = 0;

 protected:
  ~Observer() = default;
};

}  // namespace coax::sim

namespace coax {

class SimNetwork::World {
 public:
  World(std::uint64_t seed, const SimConditions& conditions)
      : seed_(seed), random_(seed), conditions_(conditions), trace_(seed) {}

  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
  [[nodiscard]] TimePoint now() const noexcept { return now_; }
  [[nodiscard]] std::uint64_t trace() const noexcept { return trace_; }
  SimRandom& random() noexcept { return random_; }

  // --- the interface for SimNetwork; hosts are host_key()s ---
  void set_conditions(const SimConditions& conditions);
  void set_conditions(const Endpoint& host, const Endpoint& other, const SimConditions& conditions);
  void partition(const Endpoint& host, const Endpoint& other);
  void partition(const Endpoint& host);
  void heal();
  void reset(const Endpoint& client);
  void vanish(const Endpoint& client);
  void limit_descriptors(const Endpoint& host, std::size_t most) { hosts_[host].descriptors_max = most; }
  [[nodiscard]] std::size_t descriptors(const Endpoint& host) const;
  void fail_accepts(const Endpoint& host, int errno_value, std::size_t count) {
    hosts_[host].accept_failure = errno_value;
    hosts_[host].accepts_to_fail = count;
  }
  void take_address_away(const Endpoint& host) { hosts_[host].address_is_away = true; }
  void connect_from(const Endpoint& address) { next_from_ = address; }
  void connect_always_from(const Endpoint& address) { always_from_[Address(address).family()] = address; }

  // --- Unix names: each is a host of its own, with an address that no other host has ---
  // Empty: a name without a listener, which the kernel would choose.
  Endpoint place_of(const UnixName& name);
  // The address that programs see: the name, no name for a socket that connected, or the endpoint itself.
  [[nodiscard]] Address address_at(const Endpoint& endpoint) const;
  [[nodiscard]] bool has_listener(const Endpoint& place) const noexcept { return listeners_.contains(place); }

  // --- time ---
  void advance(TimePoint to) noexcept { now_ = std::max(now_, to); }
  [[nodiscard]] std::optional<TimePoint> next() const noexcept;
  // Handles the events that are due. False: there was none.
  bool deliver(sim::Observer& observer);

  // --- the system calls of the back-end: counts, or -errno ---
  bool take_descriptor(const Endpoint& host) noexcept;  // false: EMFILE
  void return_descriptor(const Endpoint& host) noexcept { --hosts_[host].descriptors; }
  int take_accept_failure(const Endpoint& host) noexcept;  // an errno; 0: none
  Endpoint take_next_from(Family family) noexcept {
    if (next_from_.family() != Endpoint::Family::none) return std::exchange(next_from_, Endpoint());
    const auto found = always_from_.find(family);
    return found != always_from_.end() ? found->second : Endpoint();
  }
  sim::Handle connect(const Endpoint& from, const Endpoint& to);
  std::expected<sim::Listener*, int> listen(const Endpoint& at, const ListenOptions& options);
  void close(sim::Listener& listener);
  std::int32_t recv(const sim::Handle& handle, std::span<char> into);
  std::int32_t send(const sim::Handle& handle, std::span<const iovec> pieces);
  int finish(const sim::Handle& handle);
  void close(const sim::Handle& handle, bool resets = false);
  // Datagrams. `at` and `peer` as in Backend::open_datagrams(); `from`: the address of a host, or none.
  std::expected<sim::DatagramSocket*, int> open_datagrams(const Endpoint& at, const Endpoint& peer,
                                                          const Endpoint& from, const DatagramOptions& options);
  static int set_option(sim::DatagramSocket& socket, const SocketOption& option);  // 0 or errno
  std::int32_t recv(sim::DatagramSocket& socket, ReceiveBatch& batch);
  std::int32_t send(sim::DatagramSocket& socket, SendBatch& batch);
  void close(const sim::DatagramSocket& socket);

 private:
  struct Host {
    std::size_t descriptors = 0;
    std::size_t descriptors_max = 65'536;
    std::uint16_t next_port = 49'152;
    int accept_failure = 0;
    std::size_t accepts_to_fail = 0;
    bool address_is_away = false;
  };
  using Pair = std::pair<Endpoint, Endpoint>;

  [[nodiscard]] const SimConditions& conditions_of(const Pair& hosts) const noexcept;
  [[nodiscard]] const SimConditions& conditions_of(const sim::Connection& connection) const noexcept;
  [[nodiscard]] bool is_down(const Pair& hosts) const noexcept;
  [[nodiscard]] bool is_down(const sim::Connection& connection) const noexcept;
  void tell_outages();
  void watch_outage(const sim::Handle& handle);
  Endpoint free_port(const Endpoint& host);
  [[nodiscard]] bool is_taken(const Endpoint& at) const noexcept;
  sim::Listener* find_listener(const Endpoint& to) noexcept;
  void break_connection(const std::shared_ptr<sim::Connection>& connection);

  void push(TimePoint at, sim::Event::Kind kind, sim::Handle to, std::uint64_t count = 0);
  void transmit(const sim::Handle& from, sim::Event::Kind kind, std::uint64_t count = 0);
  void add_to_trace(const sim::Event& event) noexcept;
  void handle(const sim::Event& event);
  void arrive(const sim::Event& event);
  void arrive_handshake(const sim::Event& event);
  void arrive_syn(const sim::Event& event);
  void arrive_syn_ack(const sim::Event& event);
  void arrive_established(const sim::Event& event);
  void lose_handshake(const sim::Event& event);
  void arrive_data(const sim::Handle& to, std::size_t count);
  void arrive_fin(const sim::Handle& to);
  void arrive_reset(const sim::Handle& to);
  void hold(const sim::Event& event);
  void retransmit(const sim::Handle& from);
  void fail(const sim::Handle& handle, int reason);
  void update_window(const sim::Handle& receiver, std::size_t count);
  void notify(Descriptor descriptor) noexcept;
  void forget_if_over(const sim::Connection& connection);
  // Datagrams: datagrams.cpp.
  [[nodiscard]] bool is_taken(const Endpoint& at, const DatagramOptions& options) const noexcept;
  static int change_membership(sim::DatagramSocket& socket, const SocketOption& option);
  void send_one(sim::DatagramSocket& socket, BytesView bytes, const Endpoint& to, const Endpoint& source);
  void transmit(sim::DatagramSocket& from, const sim::Packet& packet, const Endpoint& host);
  Duration latency(const SimConditions& conditions) noexcept;
  void push(TimePoint at, sim::Event::Kind kind, sim::Packet packet);
  sim::DatagramSocket* find_datagrams(const sim::Packet& packet) noexcept;
  void arrive_datagram(const sim::Packet& packet);
  void arrive_unreachable(const sim::Packet& packet);

  std::uint64_t seed_;
  SimRandom random_;
  SimConditions conditions_;
  std::map<Pair, SimConditions> pair_conditions_;
  std::set<Pair> partitions_;
  std::set<Endpoint> isolated_;
  std::map<Endpoint, Host> hosts_;
  std::vector<UnixName> unix_names_;
  Endpoint next_from_;
  std::map<Family, Endpoint> always_from_;
  std::map<Endpoint, sim::Listener> listeners_;
  std::map<Endpoint, std::shared_ptr<sim::Connection>> connections_;  // by the client's end; until both ends are closed
  std::map<std::uint64_t, sim::DatagramSocket> datagram_sockets_;     // in the order of their creation
  std::priority_queue<sim::Event> events_;
  sim::Observer* observer_ = nullptr;
  TimePoint now_ = TimePoint(std::chrono::hours(1));
  std::uint64_t sequence_ = 0;
  std::uint64_t connections_made_ = 0;
  std::uint64_t datagram_sockets_made_ = 0;
  std::uint64_t datagrams_sent_ = 0;
  std::uint64_t trace_;
};

}  // namespace coax
