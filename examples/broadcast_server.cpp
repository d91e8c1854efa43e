// broadcast_server PORT [HOST]: announces each new connection to all open ones.
#include "coax/coax.hpp"

coax::Topic everybody;

coax::Task<> until_end(coax::Stream& client) {
  while (co_await client.recv()) continue;
}

coax::Task<> welcome(coax::Stream& client) {
  coax::Outbox outbox;  // a client that stops reading is disconnected
  const auto subscription = everybody.subscribe(outbox);
  everybody.publish_now("Welcome to the server!");
  co_await coax::race(until_end(client), drain(outbox, client));
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, welcome); });
}
