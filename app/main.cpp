// coax: one program made of the library. Wiring only.
#include <fcntl.h>
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>

#include "app/command_line.hpp"
#include "app/commands/commands.hpp"
#include "app/console/report.hpp"
#include "app/version.hpp"
#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/loop/loop.hpp"

namespace {

using namespace coax::app;

// Standard input, output or error may be closed: a connection that got their number would receive our output. open(2)
// returns the lowest free number, which is the missing one. Writing to standard output then fails with EBADF, as it
// does for a closed one.
void open_missing_standard_descriptors() {
  for (const int standard : {0, 1, 2}) {
    if (::fcntl(standard, F_GETFD) < 0) ::open("/dev/null", standard == 1 ? O_RDONLY : O_RDWR);
  }
}

// In the order of the help.
constexpr std::array commands{
    &serve_command, &chat_command,    &http_command, &echo_command, &connect_command, &listen_command,
    &ports_command, &resolve_command, &ip_command,   &cert_command, &doctor_command,
};

// Sets `run` when the command was given.
void add_command(CLI::App& program, const Command& command, Run& run) {
  CLI::App& added = *program.add_subcommand(command.name, command.summary);
  added.footer(fmt::format("{}Examples:\n{}", command.details, command.examples));
  added.callback([&run, configured = command.configure(added)] { run = configured; });
}

void add_commands(CLI::App& program, Run& run) {
  program.set_help_flag("-h,--help", "Print this help");
  program.set_version_flag("-V,--version", COAX_VERSION, "Print the version");
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  program.require_subcommand(1);
  program.footer(
      "Exit codes: 0 done; 1 failed, or output was lost; 2 wrong options or configuration; 3 a name is not found, an\n"
      "address cannot be listened on, or there is no answer.\n\n"
      "Examples:\n  coax serve                      open the hub on this machine\n"
      "  coax chat --nick alice          join it from a terminal\n"
      "  coax http                       show this folder to a browser\n"
      "  coax connect 192.168.1.5:7000   talk to a server, as nc does; coax listen is the other side\n"
      "  coax echo listen                return what is sent; coax echo 7777 measures it\n"
      "  coax ports 8080                 is it free, and who has it?\n"
      "  coax resolve example.org        its addresses; coax ip shows their purpose\n"
      "  coax cert localhost             a certificate for TLS\n"
      "  coax doctor                     what this machine allows\n"
      "  coax help serve                 everything about one command");
  for (const Command* command : commands) add_command(program, *command, run);
}

int refuse(const CLI::App* command, std::string_view text) {
  const std::string name = command == nullptr ? "coax" : "coax " + command->get_name();
  coax::print_error(fmt::format("{}: {}", name, text));
  coax::print_error(fmt::format("Try: {} --help", name));
  return usage;
}

int run_program(int argc, char** argv) {
  try {
    coax::log::check_environment();
    // it reports errors of the environment itself
    const bool is_doctor = argc > 1 && std::string_view(argv[1]) == "doctor";
    if (!is_doctor) coax::check_loop_environment();
  } catch (const coax::Error& error) {
    return refuse(nullptr, error.what());
  }
  CLI::App program("Sockets for people: a hub where a Python script, nc, a terminal and a browser meet.", "coax");
  Run run;
  add_commands(program, run);
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const Request request = request_of(program, words);
  switch (request.kind) {
    case Request::Kind::wrong: return refuse(request.command, request.text);
    case Request::Kind::help: print_text(help_of(request.command == nullptr ? program : *request.command)); return done;
    case Request::Kind::version: print("{}\n", COAX_VERSION); return done;
    case Request::Kind::run: break;
  }
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return refuse(request.command, error.what());
  }
  return run();
}

}  // namespace

int main(int argc, char** argv) {
  open_missing_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of the write,
  std::signal(SIGXFSZ, SIG_IGN);  // and so is a file that has reached its limit
  return finish_output(run_program(argc, argv));
}
