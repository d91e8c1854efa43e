// serve(): listens, takes connections within limits, spreads them over the loops, runs a handler for each, and drains.
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
  // get ServeOptions::farewell.
  std::optional<std::size_t> connections_max = 10'000;
  // From one IPv4 address or IPv6 /64; one more is closed at once. Loopback and Unix sockets are not counted: proxies
  // and the programs of this machine share them.
  std::optional<std::size_t> connections_per_host_max = 256;
  std::optional<Duration> idle = std::chrono::minutes(10);  // nothing came or went; checked once a second
  // The peer takes none of the bytes that wait to be sent; checked once a second.
  std::optional<Duration> write_timeout = std::chrono::seconds(30);
};

struct ServeOptions {
  // "HOST:PORT", where a name is looked up and port 0 is any free one, "unix:/path" or "unix:@abstract"; or several,
  // separated by commas. Addresses of a name that this machine lacks are left out, with a warning, unless none is left.
  std::string listen = "127.0.0.1:0";
  Limits limits = {};
  Duration drain = std::chrono::seconds(10);           // after cancelling: for handlers to come to their end
  std::function<void(const Address&)> on_listen = {};  // called with each address that is listened on
  std::function<void()> on_ready = {};                 // called when it listens on all
  std::function<void()> on_drain = {};                 // called on the server's loop when draining begins
  // At connections_max: a newcomer is sent this and closed. Empty: it waits.
  std::string farewell = {};
  ListenOptions socket = {};
  // Counts the connections of several servers together, by its limits instead of those on connections in `limits`.
  // Lifetime: shared with the servers that use it. They run on its loop.
  std::shared_ptr<Guard> guard = {};
};

// Runs until cancelled (run() does that on SIGINT, SIGTERM and SIGHUP), then drains: it stops listening, ends the input
// of connections that are not busy, lets the handlers finish within `drain`, and cancels those that are left. Then
// throws Cancelled. What a handler throws ends its own connection only. Throws Error when it cannot listen.
// The handler runs on all loops of this run(); each connection stays on one.
Task<> serve(ServeOptions options, Handler handler);

// Raises the soft limit on open files to the hard one and returns it.
std::size_t raise_descriptor_limit() noexcept;

}  // namespace coax
