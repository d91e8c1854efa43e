// The program's commands, one file each. Each defines its Command; main.cpp has the table of them.
#pragma once

#include <CLI/App.hpp>
#include <functional>

#include "app/console/exit.hpp"

namespace coax::app {

// Runs the command after its options were read. Returns: the exit code.
using Run = std::function<int()>;

// A command of the program, defined in the file of its name. main() builds the command line from these.
struct Command {
  const char* name;
  const char* summary;   // in the list of commands
  const char* details;   // below the options: notes and exit codes; empty, or ends with a blank line
  const char* examples;  // one on each line
  // Adds its options, and returns the function that runs the command.
  Run (*configure)(CLI::App& command);
};

extern const Command serve_command;
extern const Command chat_command;
extern const Command echo_command;
extern const Command http_command;
extern const Command connect_command;
extern const Command listen_command;
extern const Command ports_command;
extern const Command resolve_command;
extern const Command ip_command;
extern const Command cert_command;
extern const Command doctor_command;

}  // namespace coax::app
