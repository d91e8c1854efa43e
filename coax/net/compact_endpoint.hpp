// CompactEndpoint: an Endpoint in eight bytes, for what a server keeps of each connection. An IPv4 endpoint fits; an
// IPv6 endpoint is on the heap.
#pragma once

#include <cstdint>
#include <utility>

#include "coax/net/endpoint.hpp"

namespace coax {

class CompactEndpoint {
 public:
  CompactEndpoint() noexcept = default;
  // Throws: std::bad_alloc, for IPv6.
  explicit CompactEndpoint(const Endpoint& endpoint);
  CompactEndpoint(CompactEndpoint&& other) noexcept : bits_(std::exchange(other.bits_, 0)) {}
  CompactEndpoint& operator=(CompactEndpoint&&) = delete;
  ~CompactEndpoint() {
    if (bits_ != 0 && (bits_ & is_v4) == 0) delete on_heap();
  }

  explicit operator bool() const noexcept { return bits_ != 0; }  // false: of no family
  [[nodiscard]] Endpoint get() const noexcept;

 private:
  // The address, the port and this bit, which no pointer has; or a pointer; or 0.
  static constexpr std::uint64_t is_v4 = 1;
  [[nodiscard]] const Endpoint* on_heap() const noexcept {
    return reinterpret_cast<const Endpoint*>(bits_);  // NOLINT(performance-no-int-to-ptr): it was one
  }

  std::uint64_t bits_ = 0;
};

}  // namespace coax
