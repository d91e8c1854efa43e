// unix_echo_client PATH [TEXT]: sends a text over the Unix socket at that path and prints the answer.
#include "coax/coax.hpp"

void say(const coax::Arguments& given) {
  auto server = coax::Socket::connect_to(fmt::format("unix:{}", given["PATH"]), {.timeout = std::chrono::seconds(10)});
  const std::string_view text = given.get("TEXT", "Hello from the client!");
  server.send(text);
  coax::print_line("Received: {}", coax::printable(server.recv_exactly(text.size())));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PATH [TEXT]", say); }
