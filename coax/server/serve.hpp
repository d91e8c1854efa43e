// serve(): listens, accepts connections within limits, distributes them over the loops, runs a handler for each, and
// drains.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "coax/guard/guard.hpp"
#include "coax/loop/backend.hpp"
#include "coax/server/connection.hpp"
#include "coax/task/task.hpp"

namespace coax {

// "No limit" is std::nullopt. The first two are those of GuardLimits, for a server without ServeOptions::guard.
struct Limits {
  // At the limit, a new connection evicts the one that has been idle for longest: of those that have never sent a byte
  // (for 1 s, and got a greeting at most); otherwise of those between two requests (1 s); otherwise of those under
  // the limit `idle` (30 s). Without such a connection, new ones wait in the kernel's backlog until one ends, or
  // get ServeOptions::full_message.
  std::optional<std::size_t> connections_max = 10'000;
  // From one IPv4 address or IPv6 /64; one more is closed at once. Loopback and Unix sockets are not counted: proxies
  // and the programs of this machine share them.
  std::optional<std::size_t> connections_per_host_max = 256;
  std::optional<Duration> idle = std::chrono::minutes(10);  // no byte was received or sent; checked once a second
  // The peer accepts none of the queued bytes; checked once a second.
  std::optional<Duration> write_timeout = std::chrono::seconds(30);
};

struct ServeOptions {
  // "HOST:PORT", where a name is resolved and port 0 is any free one, "unix:/path" or "unix:@abstract"; or several,
  // separated by commas. Addresses of a name that this machine lacks are skipped with a warning, unless all are
  // lacking.
  std::string listen = "127.0.0.1:0";
  Limits limits = {};
  Duration drain = std::chrono::seconds(10);           // after cancelling: the time for handlers to end
  std::function<void(const Address&)> on_listen = {};  // called with each listening address
  std::function<void()> on_ready = {};                 // called when it listens on all
  std::function<void()> on_drain = {};                 // called on the server's loop when draining begins
  // At connections_max: sent to a new connection, which is then closed. Empty: it waits.
  std::string full_message = {};
  ListenOptions socket = {};
  // Counts the connections of several servers together, with its own limits instead of those in `limits`.
  // Lifetime: shared with the servers that use it. They run on its loop.
  std::shared_ptr<Guard> guard = {};
};

// Runs until cancelled (run() does that on SIGINT, SIGTERM and SIGHUP), then drains: it stops listening, ends the input
// of connections that are not busy, lets the handlers finish within `drain`, and cancels the remaining ones. An
// exception of a handler ends its connection only. The handler runs on all loops of this run(); each connection stays
// on one.
// Throws: Cancelled after draining; Error when it cannot listen.
Task<> serve(ServeOptions options, Handler handler);

// Raises the soft limit on open files to the hard one and returns it.
std::size_t raise_descriptor_limit() noexcept;

}  // namespace coax
