// The ports of a host that answer: coax connect --check.
#pragma once

#include "app/console/target.hpp"
#include "coax/base/units.hpp"

namespace coax::app {

// Connects to each port, several at a time, each within the limit, closes at once and prints the result.
// Returns: the exit code: done: all answer; failed: some; unavailable: none.
// Throws: Error when the host has no address.
int check_ports(const Target& target, Duration limit, bool json);

}  // namespace coax::app
