// websocket_echo PORT [HOST]: sends back each message that comes over a WebSocket at /.
#include "coax/coax.hpp"

coax::Task<> echo(coax::ws::Connection& socket) {
  while (auto message = co_await socket.recv()) co_await socket.send(message);
}

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: websocket_echo PORT [HOST]\n"), 2;
  coax::http::App app;
  app.websocket("/", echo);
  return coax::run(coax::serve({.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])},
                               coax::http::handler(std::move(app))));
}
