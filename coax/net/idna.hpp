// Internationalized domain names (IDNA 2008, RFC 5891).
#pragma once

#include <string>
#include <string_view>

#include "coax/base/compiler.hpp"

namespace coax {

// Converts "bücher.example" to "xn--bcher-kva.example"; an ASCII name is returned unchanged.
// Throws: Error(address) when it has more than 253 bytes (RFC 1035), a NUL inside, or is not valid UTF-8.
std::string ascii_name(std::string_view name);

}  // namespace coax
