// What a peer of TCP has received, by the kernel's own count.
#pragma once

#include <cstdint>
#include <optional>

#include "coax/loop/backend.hpp"

namespace coax {

// Returns: the bytes that the peer has acknowledged since the connection began; nothing where there is no such count.
std::optional<std::uint64_t> acknowledged_bytes(const Backend& backend, Descriptor descriptor) noexcept;

}  // namespace coax
