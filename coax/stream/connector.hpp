// Connector: how a client gets its stream. A seam for protocols above streams, which know nothing of TLS:
// tls::connector() is one, and tests have their own.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "coax/stream/socket_stream.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/task.hpp"

namespace coax {

// Connects to "HOST:PORT". Throws and cancelled: as connect().
using Connector = std::function<Task<std::unique_ptr<Stream>>(std::string host_and_port)>;

}  // namespace coax
