// web_rooms PORT [HOST]: chat rooms over WebSocket, each with a page: /room/{name}. What a member sends is sent to all
// members of the room.
#include "coax/coax.hpp"

using namespace coax::literals;
namespace http = coax::http;
using coax::ws::WebSocket;
using http::Request;
using http::Response;

constexpr std::string_view page = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Rooms</title>
<link rel="stylesheet" href="/style.css">
<body>
<h1></h1>
<output>Connecting...</output>
<ul aria-live="polite"></ul>
<form><input aria-label="Message" maxlength="1000" autocomplete="off" autofocus><button>Send</button></form>
<script src="/page.js"></script>
)";

constexpr http::MemoryFile style = {.path = "/style.css", .content_type = "text/css; charset=utf-8", .body = R"(
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { display: flex; flex-direction: column; max-width: 40rem; height: 100dvh; margin: auto; padding: 0 1rem }
h1 { margin: .75rem 0 0; overflow-wrap: anywhere }
ul { flex: 1; margin: .75rem 0; padding: 0; overflow: auto; list-style: none; overflow-wrap: anywhere }
li { padding: .25rem 0; border-bottom: 1px solid #8883 }
form { display: flex; gap: .5rem; padding-bottom: 1rem }
input { flex: 1; min-width: 0 }
input, button { padding: .5rem .75rem; border: 1px solid #8888; border-radius: .375rem; font: inherit }
button { border: 0; background: #26a; color: #fff; cursor: pointer }
)"};

constexpr http::MemoryFile script = {.path = "/page.js", .content_type = "text/javascript; charset=utf-8", .body = R"(
const [title, state, list, form, text] = ["h1", "output", "ul", "form", "input"].map((name) =>
  document.querySelector(name));
let room, pause = 250;
title.textContent = document.title = decodeURIComponent(location.pathname.split("/")[2]);
function connect() {
  room = new WebSocket(location.origin.replace("http", "ws") + location.pathname + "/ws");
  room.onopen = () => { state.value = "Connected"; pause = 250; };
  room.onmessage = (event) => {
    list.appendChild(document.createElement("li")).textContent = event.data;
    list.scrollTop = list.scrollHeight;
  };
  room.onclose = () => {
    state.value = "Disconnected: trying again...";
    setTimeout(connect, pause);
    pause = Math.min(2 * pause, 10000);
  };
}
form.onsubmit = (event) => {
  event.preventDefault();
  if (!text.value || room.readyState !== WebSocket.OPEN) return;
  room.send(text.value);
  text.value = "";
};
connect();
)"};

coax::Topics rooms;  // of encoded frames: each message is encoded once, for all members

coax::Task<> read(WebSocket& socket, coax::Topic& room) {
  while (const auto message = co_await socket.recv()) {
    if (!message.is_text()) continue;
    std::string frame;
    coax::ws::append_frame(frame, coax::ws::Opcode::text, message.data);
    co_await room.publish(frame);  // waits while a member is behind: then this one is not read either
  }
}

coax::Task<> join(WebSocket& socket, Request& request) {
  const std::shared_ptr<coax::Topic> room = rooms[request.parameter("name")];
  coax::Outbox outbox;  // a member that stops reading is disconnected
  const auto subscription = room->subscribe(outbox);
  co_await coax::race(read(socket, *room), drain(outbox, socket.stream()));
}

coax::Task<> serve(const coax::Arguments& given) {
  http::App app({.websocket = {.message_bytes_max = 4_KiB}});
  app.use(http::security_headers());
  app.get("/", [](Request&) { return Response::redirect("/room/lobby"); });
  app.get("/room/{name}", [](Request&) { return Response::html(std::string(page)); });
  app.file(style);
  app.file(script);
  app.websocket("/room/{name}/ws", join);
  return coax::serve({.listen = given.address()}, http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }
