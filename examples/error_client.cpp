// error_client HOST PORT: connects, and prints errors for people.
#include "coax/coax.hpp"

using coax::print_line;

int say(const coax::Arguments& given) try {
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(5)});
  server.send("Hello");
  return print_line("Received: {}", coax::printable(server.recv())), 0;
} catch (const coax::ResolveError&) {
  return print_line("Unknown host name."), 1;
} catch (const coax::Error& error) {
  if (error.kind() == coax::ErrorKind::refused) return print_line("Connection refused: is the server running?"), 1;
  if (error.kind() == coax::ErrorKind::timed_out) return print_line("Timed out after 5 seconds."), 1;
  return print_line("Socket error: {}", error.what()), 1;
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT", say); }
