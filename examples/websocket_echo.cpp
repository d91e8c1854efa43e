// websocket_echo PORT [HOST]: sends back each message of a WebSocket at /.
#include "coax/coax.hpp"

coax::Task<> echo(coax::ws::WebSocket& socket) {
  while (auto message = co_await socket.recv()) co_await socket.send(message);
}

coax::Task<> serve(const coax::Arguments& given) {
  coax::http::App app;
  app.websocket("/", echo);
  return coax::serve({.listen = given.address()}, coax::http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }
