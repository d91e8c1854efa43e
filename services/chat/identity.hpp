// Numbers that tell memberships and persons apart.
#pragma once

#include <cstdint>
#include <string_view>

namespace coax::chat {

// A random one, not 0: unique among all machines, as far as chance goes.
std::uint64_t new_id();
// Of the person with this secret (Event::person), not 0. It does not reveal the secret.
std::uint64_t person_of(std::string_view secret);

}  // namespace coax::chat
