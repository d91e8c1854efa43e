// half_close_client HOST PORT [TEXT]: sends in two pieces, half-closes, and only then reads the answer.
#include "coax/coax.hpp"

void ask(const coax::Arguments& given) {
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(10)});
  server.send(given.get("TEXT", "All that I have to say"));
  server.send(", and no more.");
  server.shutdown_send();
  coax::SocketFrames answers(server, coax::Framing::until_close());
  coax::print_line("{}", coax::printable(answers.next().value()));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [TEXT]", ask); }
