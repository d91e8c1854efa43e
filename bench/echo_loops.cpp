// echo_loops PORT LOOPS: examples/echo on several loops.
#include "coax/coax.hpp"

namespace {

coax::Task<> echo(coax::Stream& peer) {
  while (auto bytes = co_await peer.recv()) co_await peer.send(bytes);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return fmt::print(stderr, "usage: echo_loops PORT LOOPS\n"), 2;
  return coax::run(coax::serve({.listen = fmt::format("127.0.0.1:{}", argv[1])}, echo),
                   {.threads = static_cast<unsigned>(std::stoul(argv[2]))});
}
