// framed_client HOST PORT [TEXT]: sends the text with a length prefix and prints the answer.
#include "coax/coax.hpp"

void say(const coax::Arguments& given) {
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(10)});
  coax::SocketFrames frames(server, coax::Framing::length_prefixed());
  frames.send(given.get("TEXT", "Hello from the client!"));
  coax::print_line("Received: {}", coax::printable(frames.next().value_or("nothing")));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [TEXT]", say); }
