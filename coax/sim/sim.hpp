// SimNetwork: hosts, connections and a clock that exist in memory only, driven by a seed. A loop on it runs the same
// streams and servers as on a kernel, but time jumps ahead when everybody waits, and the network is as bad as it is
// told to be. The same seed and the same program give the same run.
//
// A host is an IPv4 address or an IPv6 /64; there is one for each address that somebody names. Whoever listens,
// listens on the host of that address. All calls belong to the thread of the loop.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "coax/loop/backend.hpp"

namespace coax {

// Numbers that are the same for the same seed on every platform (xoshiro256**).
class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) noexcept;
  std::uint64_t next() noexcept;
  // From 0 to count - 1; count is at least 1.
  std::size_t below(std::size_t count) noexcept;
  // True with this probability; 0 does not use the generator up.
  bool chance(double probability) noexcept;

 private:
  std::array<std::uint64_t, 4> state_{};
};

struct SimConditions {
  Duration latency_min = std::chrono::microseconds(20);  // of each packet, one way
  Duration latency_max = std::chrono::microseconds(200);
  double short_reads = 0;                        // probability that a recv gives only a part of what has come
  double short_writes = 0;                       // probability that a send takes only a part of what there is room for
  double resets = 0;                             // probability, at each send, that the connection breaks
  std::size_t window_bytes = 256_KiB;            // sent one way and not yet received; small: many partial sends
  Duration give_up = std::chrono::seconds(120);  // so long without an answer, and what was sent ends with ETIMEDOUT
  // Of datagrams; TCP mends these itself.
  double loss = 0;                          // probability that one does not arrive
  double duplication = 0;                   // that it arrives twice
  double reordering = 0;                    // that others overtake it: it takes up to 4 latency_max longer
  std::size_t datagram_bytes_max = 65'507;  // longer ones are lost: a path that does not pass fragments
};

class SimNetwork {
 public:
  explicit SimNetwork(std::uint64_t seed, const SimConditions& conditions = {});
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;
  ~SimNetwork();

  // The network that a back-end is on; null: it is a kernel's.
  static SimNetwork* of(Backend& backend) noexcept;

  [[nodiscard]] std::uint64_t seed() const noexcept;
  [[nodiscard]] TimePoint now() const noexcept;
  // A digest of all that has happened until now: two runs that give the same were the same.
  [[nodiscard]] std::uint64_t trace() const noexcept;
  // For the choices of the test itself, so that they belong to the seed.
  SimRandom& random() noexcept;

  // Hosts are given as "10.0.0.1" or "fd00::1"; Error(invalid) when they are no addresses.
  //
  // For everybody, and between two hosts only; both may change at any time, for connections that exist, too.
  void set_conditions(const SimConditions& conditions);
  void set_conditions(std::string_view host, std::string_view other, const SimConditions& conditions);
  // Nothing passes between the two, or between the host and all others, until heal(). What was sent meanwhile is sent
  // again, at growing intervals, until it arrives or its sender gives up.
  void partition(std::string_view host, std::string_view other);
  void partition(std::string_view host);
  void heal();
  // Both ends of the connection that was opened from there get a reset.
  void reset(const Endpoint& client);
  // Nothing passes on that connection any more, and neither end is told: a machine that lost its power, a gateway that
  // forgot.
  void vanish(const Endpoint& client);
  // The host then has no more descriptors than so many: EMFILE. Without: 65536.
  void limit_descriptors(std::string_view host, std::size_t most);
  [[nodiscard]] std::size_t descriptors(std::string_view host) const;
  // The next `count` calls of accept(2) on the host that find a connection fail with this errno; the connection is gone
  // with those that accept(2) blames on it (ECONNABORTED, EPERM of a firewall, ...), and waits on otherwise.
  void fail_accepts(std::string_view host, int errno_value, std::size_t count);
  // From now on nothing can be listened on at that address: EADDRNOTAVAIL, an interface that is not there.
  void take_address_away(std::string_view host);
  // The process is stopped (SIGSTOP, a suspended machine) for so long, in the middle of the turn that calls this: time
  // passes and packets arrive, but nothing of the program runs.
  void stop_process(Duration duration);
  // The next socket that is opened to connect with, or that is bound to the wildcard for datagrams, has this address.
  // Without: that of whom it talks to, and its descriptor is nobody's.
  void connect_from(std::string_view address);
  // From now on each one that is opened for the family of this address has it, unless connect_from() says another.
  void connect_always_from(std::string_view address);

  class World;

 private:
  friend class SimBackend;
  std::unique_ptr<World> world_;
};

// The number that the variable COAX_SEED has, if it is set.
std::optional<std::uint64_t> seed_from_environment();

// One loop at a time; there is nobody else on the network. Throws Error when the system gives no eventfd.
std::unique_ptr<Backend> make_sim_backend(std::shared_ptr<SimNetwork> network);

}  // namespace coax
