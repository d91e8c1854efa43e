// connect() by name with another resolver than the system's: for tests.
#pragma once

#include <functional>

#include "coax/stream/socket_stream.hpp"

namespace coax {

// As look_up(); without a family: both.
using Ask = std::function<Task<std::vector<Endpoint>>(std::string host, std::uint16_t port, Endpoint::Family family)>;

Task<std::unique_ptr<SocketStream>> connect(std::string host_and_port, ConnectOptions options, Ask ask);

}  // namespace coax
