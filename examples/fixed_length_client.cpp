// fixed_length_client HOST PORT [TEXT]: sends a message of exactly 32 bytes and prints the echo.
#include "coax/coax.hpp"

void say(const coax::Arguments& given) {
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(10)});
  coax::SocketFrames frames(server, coax::Framing::fixed(32));
  frames.send(fmt::format("{:<32}", given.get("TEXT", "Hello from the client!")));
  coax::print_line("Received: {}", coax::printable(coax::trim(frames.next().value_or("nothing"))));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [TEXT]", say); }
