// error_client HOST PORT: connects, and tells what went wrong in words for people.
#include "coax/coax.hpp"

using namespace std::chrono_literals;

int main(int argc, char** argv) try {
  if (argc < 3) return fmt::print(stderr, "usage: error_client HOST PORT\n"), 2;
  auto server = coax::Socket::connect_to(fmt::format("{}:{}", argv[1], argv[2]), {.timeout = 5s});
  server.send("Hello");
  fmt::print("Received: {}\n", coax::printable(server.recv()));
} catch (const coax::ResolveError&) {
  return fmt::print("Unknown host name.\n"), 1;
} catch (const coax::Error& error) {
  if (error.kind() == coax::ErrorKind::refused) return fmt::print("Connection refused: is the server running?\n"), 1;
  if (error.kind() == coax::ErrorKind::timed_out) return fmt::print("Timed out after 5 seconds.\n"), 1;
  return fmt::print("Socket error: {}\n", error.what()), 1;
}
