// Names of hosts looked up beside the loop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coax/net/endpoint.hpp"
#include "coax/task/task.hpp"

namespace coax {

// As resolve() has it, of one family or of both, on a thread of offload(): cancelled, it waits for no name server. What
// needs none, an address or a wildcard, is there at once. Throws what resolve() throws.
Task<std::vector<Endpoint>> look_up(std::string host, std::uint16_t port,
                                    Endpoint::Family family = Endpoint::Family::none);

}  // namespace coax
