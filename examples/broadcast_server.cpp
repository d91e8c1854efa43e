// broadcast_server PORT [HOST]: when somebody comes, all who are connected are told.
#include "coax/coax.hpp"

coax::Topic everybody;

coax::Task<> until_end(coax::Stream& client) {
  while (co_await client.recv()) {
  }
}

coax::Task<> welcome(coax::Stream& client) {
  coax::Outbox outbox;  // whoever reads too slowly is disconnected; nobody waits
  const auto seat = everybody.join(outbox);
  everybody.publish("Welcome to the server!");
  co_await coax::race(until_end(client), drain(outbox, client));
}

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: broadcast_server PORT [HOST]\n"), 2;
  return coax::run(coax::serve({.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])}, welcome));
}
