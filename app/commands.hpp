// The program's commands, one file each. A command adds itself to the command line; what it returns is the exit code.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace coax::app {

// Exit codes, the same for all commands; --help tells them.
enum Exit : int {
  done = 0,
  failed = 1,       // tried, and it did not work: the text says what; or output was lost
  usage = 2,        // an option, the environment or the configuration is wrong; nothing was tried
  unavailable = 3,  // a name is not found, the address cannot be listened on, or nobody answers at it
};

// Adds the command; `chosen` is set to what it does when it was the one given.
using Chosen = std::function<int()>;
void add_serve(CLI::App& program, Chosen& chosen);
void add_chat(CLI::App& program, Chosen& chosen);
void add_doctor(CLI::App& program, Chosen& chosen);
void add_echo(CLI::App& program, Chosen& chosen);
void add_connect(CLI::App& program, Chosen& chosen);
void add_listen(CLI::App& program, Chosen& chosen);
void add_ports(CLI::App& program, Chosen& chosen);
void add_resolve(CLI::App& program, Chosen& chosen);
void add_ip(CLI::App& program, Chosen& chosen);

}  // namespace coax::app
