// credentials_client HOST PORT USER: asks for the password without showing it, and prints the server's verdict.
#include "coax/coax.hpp"

void ask(const coax::Arguments& given) {
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(10)});
  coax::SocketFrames frames(server, coax::Framing::length_prefixed());
  frames.send(given["USER"]);
  frames.send(coax::read_secret("Password: "));
  coax::print_line("{}", coax::printable(frames.next().value_or("The server has no answer.")));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT USER", ask); }
