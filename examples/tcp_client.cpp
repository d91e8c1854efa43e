// tcp_client HOST PORT [TEXT]: sends a text, half-closes, and prints the whole answer.
#include "coax/coax.hpp"

void ask(const coax::Arguments& given) {
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(10)});
  server.send(given.get("TEXT", "Hello from the client!"));
  server.shutdown_send();
  coax::SocketFrames answers(server, coax::Framing::until_close());
  coax::print_line("Received: {}", coax::printable(coax::trim(*answers.next())));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [TEXT]", ask); }
