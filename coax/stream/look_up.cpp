// Name resolution on a thread: getaddrinfo(3) blocks, and has no time limit.
#include "coax/stream/look_up.hpp"

#include "coax/task/offload.hpp"

namespace coax {

Task<std::vector<Endpoint>> look_up(std::string host, std::uint16_t port, Endpoint::Family family) {
  const bool needs_nobody = host.empty() || host == "*" || is_loopback_name(host) || Endpoint::from_ip(host, port);
  if (needs_nobody) co_return resolve(host, port, family);
  const auto ask = [host, port, family] { return resolve(host, port, family); };
  co_return co_await offload(ask, abandon_on_cancel);
}

}  // namespace coax
