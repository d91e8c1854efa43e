// echo PORT [HOST]: sends back whatever comes.
#include "coax/coax.hpp"

coax::Task<> echo(coax::Stream& peer) {
  while (auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: echo PORT [HOST]\n"), 2;
  return coax::run(coax::serve({.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])}, echo));
}
