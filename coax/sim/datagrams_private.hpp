// Datagram sockets in the simulated world, and the packets between them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/loop/op.hpp"
#include "coax/net/datagram_options.hpp"
#include "coax/net/endpoint.hpp"

namespace coax::sim {

// A datagram under way, or the notice that it had no receiver (no bytes, back to its sender).
struct Packet {
  std::string bytes;
  Endpoint from;
  Endpoint to;
  std::uint64_t sender = 0;
  std::uint64_t receiver = 0;  // one of those that a multicast or broadcast reaches; 0: the socket with the address
};

struct DatagramSocket {
  std::uint64_t id = 0;
  Endpoint at;
  bool any_address = false;  // it was bound to the wildcard
  Endpoint peer;             // without a family: not connected
  DatagramOptions options;
  Descriptor owner;
  int error = 0;  // errno of an earlier datagram, not yet reported
  bool hears_own_host = true;
  struct Membership {
    Endpoint group;
    std::optional<Endpoint> source;
    friend bool operator==(const Membership&, const Membership&) noexcept = default;
  };
  std::vector<Membership> memberships;
  std::deque<Packet> arrived;
  std::size_t arrived_bytes = 0;
  std::map<Endpoint, TimePoint> last_arrival;  // by receiver: datagrams that must keep their order arrive after it
};

}  // namespace coax::sim
