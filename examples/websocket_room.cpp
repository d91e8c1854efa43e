// websocket_room PORT [HOST]: a chat room over WebSocket, with its page: each message is sent to every browser.
#include "coax/coax.hpp"

constexpr std::string_view page = R"(<!doctype html>
<input id="text" autofocus>
<ul id="messages"></ul>
<script>
  const room = new WebSocket("ws://" + location.host + "/ws");
  const text = document.getElementById("text"), messages = document.getElementById("messages");
  room.onmessage = (event) => { messages.appendChild(document.createElement("li")).textContent = event.data; };
  text.onchange = () => { room.send(text.value); text.value = ""; };
</script>
)";

coax::Topic room;  // of encoded frames: each message is encoded once, for all members

coax::Task<> read(coax::ws::WebSocket& socket) {
  while (auto message = co_await socket.recv()) {
    if (!message.is_text()) continue;
    std::string frame;
    coax::ws::append_frame(frame, coax::ws::Opcode::text, message.data);
    co_await room.publish(frame);  // waits while a member is behind: then this one is not read either
  }
}

coax::Task<> join(coax::ws::WebSocket& socket) {
  coax::Outbox outbox;  // a member that stops reading is disconnected
  const auto subscription = room.subscribe(outbox);
  co_await coax::race(read(socket), drain(outbox, socket.stream()));
}

coax::Task<> serve(const coax::Arguments& words) {
  coax::http::App app;
  app.file({.path = "/", .content_type = coax::http::Response::html_type, .body = page});
  app.websocket("/ws", join);
  return coax::serve({.listen = words.address()}, coax::http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }
