// websocket_room PORT [HOST]: sends each message of a WebSocket at /room to all its members, unchanged: the server of
// Coax that does what the peers do, without the rules of the hub.
#include "coax/coax.hpp"

namespace {

coax::Topic room;

coax::Task<> read(coax::ws::WebSocket& socket) {
  while (auto message = co_await socket.recv()) {
    std::string frame;
    coax::ws::append_frame(frame, message.kind, message.data);
    co_await room.publish(frame);
  }
}

coax::Task<> member(coax::ws::WebSocket& socket) {
  coax::Outbox outbox;
  const auto subscription = room.subscribe(outbox);
  co_await coax::race(read(socket), drain(outbox, socket.stream()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: websocket_room PORT [HOST]\n"), 2;
  coax::http::App app;
  app.websocket("/room", member);
  return coax::run(coax::serve({.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])},
                               coax::http::handler(std::move(app))));
}
