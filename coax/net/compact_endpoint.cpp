// Of IPv4: the address in the upper half, as it is in memory, then the port, then the mark.
#include "coax/net/compact_endpoint.hpp"

#include <array>
#include <cstring>

namespace coax {

CompactEndpoint::CompactEndpoint(const Endpoint& endpoint) {
  if (endpoint.family() == Endpoint::Family::v6) {
    bits_ = reinterpret_cast<std::uintptr_t>(new Endpoint(endpoint));
  } else if (endpoint.family() == Endpoint::Family::v4) {
    std::uint32_t address = 0;
    std::memcpy(&address, endpoint.address().data(), sizeof address);
    bits_ = std::uint64_t{address} << 32 | std::uint64_t{endpoint.port()} << 16 | is_v4;
  }
}

Endpoint CompactEndpoint::get() const noexcept {
  if (bits_ == 0) return {};
  if ((bits_ & is_v4) == 0) return *on_heap();
  const auto address = static_cast<std::uint32_t>(bits_ >> 32);
  std::array<std::uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &address, sizeof address);
  return Endpoint::from_address(bytes, static_cast<std::uint16_t>(bits_ >> 16));
}

}  // namespace coax
