// Name resolution that does not block the loop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coax/net/endpoint.hpp"
#include "coax/task/task.hpp"

namespace coax {

// As resolve(), for one family or both, on a thread of offload(). A literal address or a wildcard is returned at once.
// Throws: what resolve() throws.
// Cancelled: it waits for no name server.
Task<std::vector<Endpoint>> look_up(std::string host, std::uint16_t port,
                                    Endpoint::Family family = Endpoint::Family::none);

}  // namespace coax
