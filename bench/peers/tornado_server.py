# tornado_server.py PORT [FOLDER [CERT KEY]]: over HTTP, or HTTPS with a certificate, /hello, /json, /table (a template
# of 50 rows), and the files of FOLDER under /files; over WebSocket /room, which sends each message to all, and /, an
# echo.
import asyncio
import logging
import ssl
import sys

from tornado.template import Template
from tornado.web import Application, RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler

TABLE = Template('<!doctype html><title>{{ title }}</title><table>{% for row in rows %}<tr><td>{{ row["id"] }}</td>'
                 '<td>{{ row["name"] }}</td><td>{{ row["price"] }}</td></tr>{% end %}</table>')
room = set()


class Hello(RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write("Hello world!")


class Json(RequestHandler):
    def get(self):
        self.write({"id": 7, "title": "Write the report", "done": False, "tags": ["work", "today"]})


class Table(RequestHandler):
    def get(self):
        rows = [{"id": id, "name": f"Item <{id}> & more", "price": 100 * id} for id in range(1, 51)]
        self.write(TABLE.generate(title="Items", rows=rows))


class Socket(WebSocketHandler):
    def get_compression_options(self):
        return {}  # for clients that offer it


class Echo(Socket):
    def on_message(self, message):
        self.write_message(message)


class Room(Socket):
    def open(self):
        room.add(self)

    def on_close(self):
        room.discard(self)

    def on_message(self, message):
        for member in room:
            member.write_message(message)


async def main():
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    port, folder, *certificate = [*sys.argv[1:], "."][:4]
    context = None
    if len(certificate) == 2:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    app = Application([("/hello", Hello), ("/json", Json), ("/table", Table), ("/room", Room), ("/", Echo),
                       ("/files/(.*)", StaticFileHandler, {"path": folder})])
    app.listen(int(port), "127.0.0.1", backlog=4096, ssl_options=context)
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
