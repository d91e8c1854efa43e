// coax: one program made of the library. Wiring only.
#include <fcntl.h>
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "app/commands.hpp"
#include "app/version.hpp"

namespace {

// Whoever started us may have closed standard input, output or error: a connection that got such a number would be sent
// the log. open(2) gives the lowest number that is free, which is the one that is missing.
void open_missing_standard_descriptors() {
  for (const int standard : {0, 1, 2}) {
    if (::fcntl(standard, F_GETFD) < 0) ::open("/dev/null", O_RDWR);
  }
}

}  // namespace

int main(int argc, char** argv) {
  using namespace coax::app;
  open_missing_standard_descriptors();
  CLI::App program("Sockets for people: a hub where a Python script, nc, a terminal and a browser meet.", "coax");
  program.set_version_flag("--version", COAX_VERSION);
  program.require_subcommand(1);
  program.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong options or configuration, 3 the address cannot be listened on or nobody "
      "answers.\n\nExamples:\n  coax serve                      open the hub on this machine\n"
      "  coax chat --nick alice          join it from a terminal\n"
      "  coax connect 192.168.1.5:7000   talk to a server, as nc does; coax listen is the other side\n"
      "  coax echo listen                give back what comes; coax echo 7777 measures it\n"
      "  coax ports 8080                 is it free, and who has it?\n"
      "  coax resolve example.org        its addresses; coax ip tells what they are for\n"
      "  coax doctor                     what this machine allows\n"
      "  coax serve --help               everything about one command");
  Chosen chosen;
  add_serve(program, chosen);
  add_chat(program, chosen);
  add_echo(program, chosen);
  add_connect(program, chosen);
  add_listen(program, chosen);
  add_ports(program, chosen);
  add_resolve(program, chosen);
  add_ip(program, chosen);
  add_doctor(program, chosen);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);
    fmt::print(stderr, "coax: {}\nTry: coax --help\n", error.what());
    return usage;
  }
  return chosen();
}
