// unix_echo_server PATH: sends back what it receives over the Unix socket at that path.
#include "coax/coax.hpp"

void echo(coax::Socket& client) {
  while (auto bytes = client.recv()) client.send(bytes);
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PATH",
                       [](auto a) { coax::serve_on_threads(fmt::format("unix:{}", a["PATH"]), echo); });
}
