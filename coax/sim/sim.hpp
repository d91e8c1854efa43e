// SimNetwork: hosts, connections and a clock in memory, driven by a seed. A loop on it runs the same streams and
// servers as on a kernel, but time jumps ahead when every task waits, and the network has the faults that the test
// configures. The same seed and the same program give the same run.
//
// A host is an IPv4 address or an IPv6 /64; it exists once its address is used. A listener belongs to the host of its
// address.
// Thread: that of the loop.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "coax/loop/backend.hpp"

namespace coax {

// Random numbers that are the same for the same seed on every platform (xoshiro256**).
class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) noexcept;
  std::uint64_t next() noexcept;
  // From 0 to count - 1; count is at least 1.
  std::size_t below(std::size_t count) noexcept;
  // True with this probability; 0 does not advance the generator.
  bool chance(double probability) noexcept;

 private:
  std::array<std::uint64_t, 4> state_{};
};

struct SimConditions {
  Duration latency_min = std::chrono::microseconds(20);  // of each packet, one way
  Duration latency_max = std::chrono::microseconds(200);
  // probability that a recv returns only a part of the bytes that have arrived
  double short_reads = 0;
  double short_writes = 0;                       // probability that a send accepts only a part of the bytes that fit
  double resets = 0;                             // probability, at each send, that the connection is reset
  std::size_t window_bytes = 256_KiB;            // bytes sent one way and not yet received; small: many partial sends
  Duration give_up = std::chrono::seconds(120);  // after this time without an answer, sending ends with ETIMEDOUT
  // Of datagrams; TCP recovers from these itself.
  double loss = 0;                          // probability that one is lost
  double duplication = 0;                   // that it arrives twice
  double reordering = 0;                    // that others overtake it: it takes up to 4 latency_max longer
  std::size_t datagram_bytes_max = 65'507;  // longer ones are lost: a path that drops fragments
};

class SimNetwork {
 public:
  explicit SimNetwork(std::uint64_t seed, const SimConditions& conditions = {});
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;
  ~SimNetwork();

  // The network of a back-end; null for a kernel's.
  static SimNetwork* of(Backend& backend) noexcept;

  [[nodiscard]] std::uint64_t seed() const noexcept;
  [[nodiscard]] TimePoint now() const noexcept;
  // A digest of all events so far: equal digests mean equal runs.
  [[nodiscard]] std::uint64_t trace() const noexcept;
  // For the choices of the test itself, so that the seed determines them, too.
  SimRandom& random() noexcept;

  // Hosts are given as "10.0.0.1" or "fd00::1". Throws: Error(invalid) for any other text.
  //
  // The conditions of all paths, or of the path between two hosts; both may change at any time, for existing
  // connections, too.
  void set_conditions(const SimConditions& conditions);
  void set_conditions(std::string_view host, std::string_view other, const SimConditions& conditions);
  // Drops all packets between the two, or between the host and all others, until heal(). TCP retransmits at growing
  // intervals, until the bytes arrive or the sender gives up.
  void partition(std::string_view host, std::string_view other);
  void partition(std::string_view host);
  void heal();
  // Resets both ends of the connection that was opened from there.
  void reset(const Endpoint& client);
  // Drops all packets of that connection from now on, without a notice to either end: a machine that lost power, a NAT
  // that forgot the connection.
  void vanish(const Endpoint& client);
  // Limits the descriptors of the host; above that, EMFILE. The default is 65536.
  void limit_descriptors(std::string_view host, std::size_t most);
  [[nodiscard]] std::size_t descriptors(std::string_view host) const;
  // The next `count` calls of accept(2) on the host that find a connection fail with this errno. The connection is lost
  // with errors that accept(2) attributes to it (ECONNABORTED, EPERM of a firewall, ...), and stays pending otherwise.
  void fail_accepts(std::string_view host, int errno_value, std::size_t count);
  // From now on, listening at that address fails with EADDRNOTAVAIL: an interface that does not exist.
  void take_address_away(std::string_view host);
  // Stops the process (SIGSTOP, suspend) for that long, in the middle of the turn that calls this: time passes and
  // packets arrive, but nothing of the program runs.
  void stop_process(Duration duration);
  // The address of the next socket that is opened to connect with, or that is bound to the wildcard for datagrams. By
  // default it is the address of its peer, and its descriptor counts for no host.
  void connect_from(std::string_view address);
  // The address of all sockets opened from now on for its family, unless connect_from() sets another.
  void connect_always_from(std::string_view address);

  class World;

 private:
  friend class SimBackend;
  std::unique_ptr<World> world_;
};

// The number in the variable COAX_SEED, if it is set.
std::optional<std::uint64_t> seed_from_environment();

// One loop at a time; the network has no other users. Throws: Error when the system provides no eventfd.
std::unique_ptr<Backend> make_sim_backend(std::shared_ptr<SimNetwork> network);

}  // namespace coax
