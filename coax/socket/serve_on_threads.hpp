// serve_on_threads(): a server of blocking sockets with a thread for each connection. For up to some hundreds of
// connections; for more, and for draining, use serve() on a loop.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>

#include "coax/base/units.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

struct ServeOnThreadsOptions {
  std::size_t connections_max = 256;                          // served at a time; more wait in the kernel's backlog
  std::optional<Duration> timeout = std::chrono::minutes(1);  // of each call on a connection
};

// Accepts until another thread shuts the listener down, and calls the handler for each connection on a thread of its
// own. An exception of a handler ends its connection only and is logged; so is a lack of descriptors or threads, during
// which new connections wait. When a handler returns, the server lingers: for a moment it reads and discards what the
// peer still sends, so that the peer gets the last answer. At the end the remaining connections are shut down, and
// their handlers are awaited.
// Throws: Error when it cannot accept.
void serve_on_threads(Listener& listener, const std::function<void(Socket&)>& handler,
                      const ServeOnThreadsOptions& options = {});
// The same without an end, on "HOST:PORT" or "unix:/path"; a Unix socket without a listener is replaced.
void serve_on_threads(std::string_view at, const std::function<void(Socket&)>& handler,
                      const ServeOnThreadsOptions& options = {});

}  // namespace coax
