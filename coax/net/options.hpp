// What setsockopt(2) and getsockopt(2) know, with types: socket.set(options::no_delay, true),
// socket.get(options::receive_buffer), socket.set(options::keep_alive{.idle = 60s}). What has no name here goes through
// Socket::set_option() and Socket::get_option().
#pragma once

#include <cstddef>
#include <optional>

#include "coax/base/units.hpp"

namespace coax::options {

struct OptionName {
  int level;
  int name;
};
// By the type of their values.
struct Flag : OptionName {};    // bool
struct Number : OptionName {};  // int
struct Size : OptionName {};    // std::size_t, bytes
struct Text : OptionName {};    // std::string
struct Period : OptionName {    // Duration, rounded up to what the kernel counts in
  Duration unit;
};

// Sockets of any kind: socket(7).
extern const Flag reuse_address;
extern const Flag reuse_port;
extern const Flag keep_alive_on;  // with options::keep_alive the periods, too
extern const Flag broadcast;
extern const Flag pass_credentials;  // of Unix sockets: each message brings its sender's
extern const Flag out_of_band_inline;
extern const Size receive_buffer;  // the kernel doubles what is set, for its own bookkeeping
extern const Size send_buffer;
extern const Number receive_low_water;
extern const Number priority;
extern const Number mark;
extern const Number busy_poll;
extern const Text bind_to_device;
extern const Number error;       // the pending errno, 0: none; reading clears it
extern const Flag is_listening;  // read only, like the next three
extern const Number family;
extern const Number type;
extern const Number protocol;

// TCP: tcp(7).
extern const Flag no_delay;
extern const Flag cork;
extern const Flag quick_ack;
extern const Number fast_open;        // of a listener: how many may wait
extern const Flag fast_open_connect;  // of a client: the first send() goes with the handshake
extern const Period defer_accept;     // a listener waits so long for the first bytes
extern const Period keep_alive_idle;  // silence before the first probe
extern const Period keep_alive_interval;
extern const Number keep_alive_count;  // probes without an answer until the connection ends
extern const Period user_timeout;      // sent bytes without an answer until it ends; 0: the system's own
extern const Number maximum_segment;
extern const Number not_sent_low_water;
extern const Text congestion;  // "cubic", "bbr"

// IP: ip(7), ipv6(7).
extern const Number ttl;
extern const Number type_of_service;
extern const Number multicast_ttl;
extern const Flag multicast_loop;
extern const Flag transparent;
extern const Flag free_bind;
extern const Flag v6_only;
extern const Number v6_hops;
extern const Number v6_multicast_hops;
extern const Flag v6_multicast_loop;
extern const Number v6_multicast_interface;  // its index
extern const Number v6_traffic_class;

// Several at once. What is not given keeps the system's own value (tcp(7): two hours, 75 s, 9 probes).
struct keep_alive {
  bool on = true;
  std::optional<Duration> idle = {};
  std::optional<Duration> interval = {};
  std::optional<int> count = {};
};

// What close() does with what is not sent yet. Nothing: the kernel goes on sending behind our back (the default); zero:
// the peer gets a reset; else close() waits so long.
struct linger {
  std::optional<Duration> time = {};
};

}  // namespace coax::options
