// serve_on_threads(): a server of blocking sockets, a thread for each connection. For up to some hundreds of them; for
// more, and for draining, there is serve() on a loop.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>

#include "coax/base/units.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

struct ServeOnThreadsOptions {
  std::size_t connections_max = 256;  // that are served at a time; more wait in the kernel's backlog
  std::optional<Duration> timeout = std::chrono::minutes(1);  // of each call on a connection
};

// Accepts until the listener is shut down by another thread, and calls the handler for each connection on a thread of
// its own; several run at once. What a handler throws ends its own connection only and is logged; so is a want of
// descriptors or threads, while newcomers wait. When a handler returns, what the peer still sends is read away for a
// moment, so that it gets the last answer. At the end the connections that are left are shut down and their handlers
// waited for. Throws Error when it cannot accept.
void serve_on_threads(Listener& listener, const std::function<void(Socket&)>& handler,
                      const ServeOnThreadsOptions& options = {});
// The same for ever, on "HOST:PORT" or "unix:/path"; a Unix socket that nobody listens on any more is replaced.
void serve_on_threads(std::string_view at, const std::function<void(Socket&)>& handler,
                      const ServeOnThreadsOptions& options = {});

}  // namespace coax
