# tornado_server.py PORT: /hello over HTTP; over WebSocket /room, which sends each message to all, and /, an echo.
import asyncio
import logging
import sys

from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

room = set()


class Hello(RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write("Hello world!")


class Echo(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)


class Room(WebSocketHandler):
    def open(self):
        room.add(self)

    def on_close(self):
        room.discard(self)

    def on_message(self, message):
        for member in room:
            member.write_message(message)


async def main():
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    Application([("/hello", Hello), ("/room", Room), ("/", Echo)]).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
