// Guard: admits or refuses connections, for all listeners of a program together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/loop/loop.hpp"
#include "coax/net/endpoint.hpp"
#include "coax/task/scope.hpp"
#include "coax/task/task.hpp"

namespace coax {

// "No limit" is std::nullopt.
struct GuardLimits {
  std::optional<std::size_t> connections_max = 10'000;
  // From one IPv4 address or IPv6 /64. Loopback and Unix sockets are not counted: proxies and the programs of this
  // machine share them.
  std::optional<std::size_t> connections_per_host_max = 256;
};

enum class Admission : std::uint8_t { admitted, full, host_is_full };

// Thread: that of the loop on which it was constructed, where serve() is called; the connections may be on other loops.
class Guard {
 public:
  // A connection that could be closed to make room. The lowest rank is first, and among those the one idle for longest.
  struct Candidate {
    enum class Rank : std::uint8_t { silent, between_requests, idle, none } rank = Rank::none;
    TimePoint idle_since;
    std::uint64_t id = 0;   // of the connection
    std::size_t shard = 0;  // its location, for its listener
    friend bool operator<(const Candidate& left, const Candidate& right) noexcept {
      return std::tie(left.rank, left.idle_since) < std::tie(right.rank, right.idle_since);
    }
  };
  // The interface of a guard to the owner of the connections.
  // Lifetime: at least from add() to remove().
  class Listener {
   public:
    virtual Task<Candidate> find_candidate() = 0;
    // Closes it, unless it has become active.
    virtual Task<> close_candidate(Candidate candidate) = 0;

   protected:
    ~Listener() = default;
  };

  explicit Guard(const GuardLimits& limits = {}) : limits_(limits) {}
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Counts a connection when it returns `admitted`; leave() must follow once.
  [[nodiscard]] Admission admit(const Endpoint& peer);
  void leave(const Endpoint& peer) noexcept;
  [[nodiscard]] bool is_full() const noexcept { return limits_.connections_max && open_ >= *limits_.connections_max; }
  // Closes the best candidate among the connections of all listeners. Returns: whether there was one.
  Task<bool> make_room();
  // Cancelled: nothing has changed.
  Task<> wait_for_room();

  [[nodiscard]] const GuardLimits& limits() const noexcept { return limits_; }
  [[nodiscard]] std::size_t open() const noexcept { return open_; }  // connections

  void add(Listener& listener) { listeners_.push_back(&listener); }
  void remove(Listener& listener) noexcept { std::erase(listeners_, &listener); }
  // Throws: Error(invalid) on another loop than the guard's.
  void require_own_loop() const;

 private:
  GuardLimits limits_;
  const Loop& loop_ = Loop::current();
  std::map<Endpoint, std::size_t> per_host_;
  std::vector<Listener*> listeners_;
  std::size_t open_ = 0;
  TimePoint no_candidate_until_;
  Event left_;
};

}  // namespace coax
