# rooms.py PORT: chat rooms over WebSocket, as examples/web_rooms.cpp.
import asyncio
import collections
import sys

import tornado.web
import tornado.websocket

PAGE = """<!doctype html>
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
"""

STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { display: flex; flex-direction: column; max-width: 40rem; height: 100dvh; margin: auto; padding: 0 1rem }
h1 { margin: .75rem 0 0; overflow-wrap: anywhere }
ul { flex: 1; margin: .75rem 0; padding: 0; overflow: auto; list-style: none; overflow-wrap: anywhere }
li { padding: .25rem 0; border-bottom: 1px solid #8883 }
form { display: flex; gap: .5rem; padding-bottom: 1rem }
input { flex: 1; min-width: 0 }
input, button { padding: .5rem .75rem; border: 1px solid #8888; border-radius: .375rem; font: inherit }
button { border: 0; background: #26a; color: #fff; cursor: pointer }
"""

SCRIPT = """
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
"""

rooms = collections.defaultdict(set)


class AssetHandler(tornado.web.RequestHandler):
    def initialize(self, content_type, content):
        self.content_type, self.content = content_type, content

    def get(self):
        self.set_header("Content-Type", self.content_type)
        self.write(self.content)


class MainHandler(tornado.web.RequestHandler):
    def get(self):
        self.redirect("/room/lobby", status=303)


class PageHandler(tornado.web.RequestHandler):
    def get(self, name):
        self.write(PAGE)


class RoomHandler(tornado.websocket.WebSocketHandler):
    def open(self, name):
        self.name = name
        rooms[name].add(self)

    def on_message(self, message):
        if isinstance(message, str):
            for member in rooms[self.name]:
                member.write_message(message)

    def on_close(self):
        rooms[self.name].discard(self)
        if not rooms[self.name]:
            del rooms[self.name]


async def main():
    handlers = [
        (r"/", MainHandler),
        (r"/style.css", AssetHandler, {"content_type": "text/css", "content": STYLE}),
        (r"/page.js", AssetHandler, {"content_type": "text/javascript", "content": SCRIPT}),
        (r"/room/([^/]+)", PageHandler),
        (r"/room/([^/]+)/ws", RoomHandler),
    ]
    app = tornado.web.Application(handlers, websocket_max_message_size=4096)
    app.listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
