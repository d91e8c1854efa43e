// The options of setsockopt(2) and getsockopt(2), with types: socket.set(options::no_delay, true),
// socket.get(options::receive_buffer), socket.set(options::keep_alive{.idle = 60s}). For options without a name here,
// use Socket::set_option() and Socket::get_option().
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
struct Period : OptionName {    // Duration, rounded up to the kernel's unit
  Duration unit;
};

// Sockets of any kind: socket(7).
extern const Flag reuse_address;
extern const Flag reuse_port;
extern const Flag keep_alive_on;  // options::keep_alive sets the periods, too
extern const Flag broadcast;
extern const Flag pass_credentials;  // of Unix sockets: each message carries its sender's credentials
extern const Flag out_of_band_inline;
extern const Size receive_buffer;  // the kernel doubles the value, for its own bookkeeping
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
extern const Number fast_open;        // of a listener: the length of its queue
extern const Flag fast_open_connect;  // of a client: the first send() is sent with the handshake
extern const Period defer_accept;     // a listener waits this long for the first bytes
extern const Period keep_alive_idle;  // silence before the first probe
extern const Period keep_alive_interval;
extern const Number keep_alive_count;  // unanswered probes until the connection ends
// how long sent bytes may stay unacknowledged until it ends; 0: the system's default
extern const Period user_timeout;
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

// Several at once. A member without a value keeps the system's default (tcp(7): two hours, 75 s, 9 probes).
struct keep_alive {
  bool on = true;
  std::optional<Duration> idle = {};
  std::optional<Duration> interval = {};
  std::optional<int> count = {};
};

// The effect of close() on unsent bytes. Empty: the kernel sends them in the background (the default); zero: the peer
// gets a reset; otherwise close() waits at most that long.
struct linger {
  std::optional<Duration> time = {};
};

}  // namespace coax::options
