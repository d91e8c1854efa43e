// In a file of its own: <netinet/tcp.h> has an older tcp_info.
#include "coax/stream/acknowledged_private.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>

#include <span>

namespace coax {

std::optional<std::uint64_t> acknowledged_bytes(const Backend& backend, Descriptor descriptor) noexcept {
  tcp_info info{};
  if (backend.get_option(descriptor, IPPROTO_TCP, TCP_INFO, std::as_writable_bytes(std::span(&info, 1))) != 0) {
    return std::nullopt;
  }
  return info.tcpi_bytes_acked;
}

}  // namespace coax
