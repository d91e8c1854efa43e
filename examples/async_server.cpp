// async_server PORT [HOST]: one thread, any number of clients, an answer to each line.
#include "coax/coax.hpp"

coax::Task<> respond(coax::Stream& client) {
  coax::Lines lines(client, {.pause = std::chrono::milliseconds(200)});
  while (co_await lines.next()) co_await client.send("Response\n");
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, respond); });
}
