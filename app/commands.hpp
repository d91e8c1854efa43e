// The program's commands, one file each. Each defines its Command; main.cpp has the table of them.
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

// What a command does once its options are read. Returns: the exit code.
using Run = std::function<int()>;

// A command of the program, defined in the file of its name. main() makes the command line of them.
struct Command {
  const char* name;
  const char* summary;   // in the list of commands
  const char* details;   // below the options: what is to be known, and the exit codes; empty, or ends with a blank line
  const char* examples;  // one on each line
  // Adds its options, and returns what runs when it is the command that was given.
  Run (*configure)(CLI::App& command);
};

extern const Command serve_command;
extern const Command chat_command;
extern const Command echo_command;
extern const Command connect_command;
extern const Command listen_command;
extern const Command ports_command;
extern const Command resolve_command;
extern const Command ip_command;
extern const Command doctor_command;

}  // namespace coax::app
