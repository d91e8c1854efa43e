// threaded_server PORT [HOST]: a thread for each client, which sends back what it receives.
#include "coax/coax.hpp"

void echo(coax::Socket& client) {
  while (auto bytes = client.recv()) client.send(bytes);
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { coax::serve_on_threads(a.address(), echo); });
}
