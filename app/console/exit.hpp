// Exit codes of the program: one table for all commands.
#pragma once

namespace coax::app {

// Printed by --help.
enum Exit : int {
  done = 0,
  failed = 1,       // it was tried and failed: the message says why; or output was lost
  usage = 2,        // an option, the environment or the configuration is invalid; nothing was tried
  unavailable = 3,  // a name is not found, the address cannot be listened on, or there is no answer
};

}  // namespace coax::app
