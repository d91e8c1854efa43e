// echo PORT [HOST]: an echo server: sends back all received bytes.
#include "coax/coax.hpp"

coax::Task<> echo(coax::Stream& peer) {
  while (auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, echo); });
}
