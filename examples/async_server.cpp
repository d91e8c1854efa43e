// async_server PORT [HOST]: one thread, any number of clients, an answer to each line.
#include "coax/coax.hpp"

using namespace std::chrono_literals;

coax::Task<> respond(coax::Stream& client) {
  coax::Lines lines(client, {.pause = 200ms});
  while (co_await lines.next()) co_await client.send("Response\n");
}

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: async_server PORT [HOST]\n"), 2;
  return coax::run(coax::serve({.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])}, respond));
}
