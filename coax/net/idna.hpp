// International names (IDNA 2008, RFC 5891): what a name is called in the DNS.
#pragma once

#include <string>
#include <string_view>

#include "coax/base/compiler.hpp"

namespace coax {

// "bücher.example" -> "xn--bcher-kva.example"; a name that is ASCII stays as it is. Throws Error(address) when it is
// longer than the DNS has room for (253 bytes, RFC 1035), has a NUL inside, or is no name in UTF-8.
std::string ascii_name(std::string_view name);

}  // namespace coax
