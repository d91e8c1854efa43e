#!/usr/bin/env python3
# The programs at the start of the guides behave as these pages show.
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

from http_proxy_test import example
from support import LOCALHOST, WAIT_S, RawWebSocket, frame

EXAMPLES = pathlib.Path(os.environ["COAX_EXAMPLES"])


def run(name: str, *words: str, folder: str | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([EXAMPLES / name, *words], cwd=folder, capture_output=True, text=True, timeout=WAIT_S,
                          check=False)


def converse(port: int, text: bytes) -> bytes:
    """The answer of a server, until it closes."""
    with socket.create_connection((LOCALHOST, port), timeout=WAIT_S) as server:
        server.sendall(text)
        server.shutdown(socket.SHUT_WR)
        return server.makefile("rb").read()


class Guides(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="coax-guides-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_shout_server_answers_in_upper_case(self) -> None:
        with example("shout_server") as (port, _):
            self.assertEqual(converse(port, b"hello\nworld\n"), b"HELLO\nWORLD\n")

    def test_http_notes_stores_finds_and_deletes(self) -> None:
        def ask(method: str, path: str, body: str | None = None) -> tuple[int, str]:
            server.request(method, path, body)
            response = server.getresponse()
            return response.status, response.read().decode()

        with example("http_notes") as (port, _):
            server = http.client.HTTPConnection(LOCALHOST, port, timeout=WAIT_S)
            self.assertEqual(ask("POST", "/api/notes", "buy milk"), (201, "1\n"))
            self.assertEqual(ask("GET", "/api/notes/1"), (200, "buy milk"))
            self.assertEqual(ask("DELETE", "/api/notes/1"), (204, ""))
            self.assertEqual(ask("GET", "/api/notes/1")[0], 404)
            self.assertEqual(ask("PUT", "/api/notes/1")[0], 405)
            server.close()

    def test_http_file_serves_the_file(self) -> None:
        data = os.urandom(1_000_003)
        path = pathlib.Path(self.folder, "data")
        path.write_bytes(data)
        with example("http_file", str(path)) as (port, _):
            server = http.client.HTTPConnection(LOCALHOST, port, timeout=WAIT_S)
            for method, body in (("HEAD", b""), ("GET", data), ("GET", data)):
                server.request(method, "/")
                response = server.getresponse()
                self.assertEqual(response.getheader("Content-Length"), "1000003")
                self.assertEqual((response.status, response.read()), (200, body))
            server.close()

    def test_http_events_sends_events(self) -> None:
        with example("http_events") as (port, _):
            server = http.client.HTTPConnection(LOCALHOST, port, timeout=WAIT_S)
            server.request("GET", "/events")
            response = server.getresponse()
            self.assertEqual(response.getheader("Content-Type"), "text/event-stream")
            self.assertEqual([response.readline() for _ in range(4)], [b"id: 1\n", b"data: 1\n", b"\n", b"id: 2\n"])
            server.close()
            server.request("GET", "/events", headers={"Last-Event-ID": "7"})
            self.assertEqual(server.getresponse().readline(), b"id: 8\n")
            server.close()

    def test_http_events_ends_its_streams_when_it_is_stopped(self) -> None:
        with example("http_events") as (port, program):
            server = http.client.HTTPConnection(LOCALHOST, port, timeout=WAIT_S)
            server.request("GET", "/events")
            response = server.getresponse()
            self.assertEqual(response.readline(), b"id: 1\n")
            program.process.send_signal(signal.SIGINT)
            self.assertEqual(program.process.wait(WAIT_S), 0)
            self.assertTrue(response.read().endswith(b"\n"))  # http.client would report a chunk that is cut
            server.close()

    def test_http_templates_escapes_each_guest_for_its_place(self) -> None:
        folder = os.path.join(os.environ["COAX_SOURCE"], "examples", "templates")
        with example("http_templates", folder) as (port, _):
            server = http.client.HTTPConnection(LOCALHOST, port, timeout=WAIT_S)

            def ask(path: str) -> str:
                server.request("GET", path)
                return server.getresponse().read().decode()

            self.assertIn("<li>No guests yet</li>", ask("/"))
            self.assertEqual(ask("/sign?name=%3Cb%3EAda%22&page=javascript:alert(1)"), "thank you\n")
            page = ask("/")
            self.assertIn('<li><a href="#refused-scheme" title="&lt;b&gt;Ada&quot;">&lt;b&gt;Ada&quot;</a></li>', page)
            self.assertNotIn("No guests yet", page)
            self.assertIn(r'console.log([{"name":"\u003cb\u003eAda\"","page":"javascript:alert(1)"}]);', page)
            server.close()

    def test_http_login_keeps_the_login_until_the_logout(self) -> None:
        with example("http_login") as (port, _):
            server = http.client.HTTPConnection(LOCALHOST, port, timeout=WAIT_S)
            cookie = ""

            def ask(method: str, path: str, fields: dict[str, str] | None = None) -> tuple[int, str, str]:
                nonlocal cookie
                server.request(method, path, urllib.parse.urlencode(fields) if fields else None,
                               {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"})
                response = server.getresponse()
                cookie = (response.getheader("Set-Cookie") or cookie).partition(";")[0]
                return response.status, response.getheader("Location") or "", response.read().decode()

            self.assertEqual(ask("GET", "/")[:2], (303, "/login?next=%2F"))
            token = re.search('value="([^"]+)"', ask("GET", "/login?next=%2F")[2])[1]
            good = {"_csrf": token, "name": "ada", "password": "tea"}
            self.assertEqual(ask("POST", "/login", good | {"password": "coffee"})[0], 403)
            self.assertEqual(ask("POST", "/login", good | {"name": "bob"})[0], 403)
            self.assertEqual(ask("POST", "/login", good | {"_csrf": "x"})[0], 403)
            self.assertEqual(ask("POST", "/login?next=//evil.example", good)[:2], (303, "/"))
            self.assertEqual(ask("GET", "/")[2], "Hello ada\n")
            self.assertEqual(ask("POST", "/logout")[:2], (303, "/login"))
            self.assertEqual(ask("GET", "/")[0], 303)
            server.close()

    def test_websocket_room_sends_each_message_to_all(self) -> None:
        with example("websocket_room") as (port, _):
            first, second = RawWebSocket(port), RawWebSocket(port)
            first.send(frame(1, b"hello"))
            self.assertEqual([first.frame(), second.frame()], [(1, b"hello")] * 2)
            first.close()
            second.send(frame(1, b"still here"))
            self.assertEqual(second.frame(), (1, b"still here"))
            second.close()

    def test_websocket_client_prints_the_answer(self) -> None:
        with example("websocket_echo") as (port, _):
            done = run("websocket_client", f"ws://{LOCALHOST}:{port}/", "hi there")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "hi there\n", ""))
        with example("http_hello") as (port, _):
            done = run("websocket_client", f"ws://{LOCALHOST}:{port}/")
            self.assertEqual(done.returncode, 1)
            self.assertIn("the server answered 404", done.stderr)

    def test_http_head_prints_the_head(self) -> None:
        with example("http_hello") as (port, _):
            done = run("http_head", LOCALHOST, str(port), "/hello")
        self.assertEqual((done.returncode, done.stdout.splitlines()[0]), (0, "HTTP/1.1 200 OK"))
        self.assertIn("Content-Length: 12\n", done.stdout)

    def test_fastest_takes_the_first_answer(self) -> None:
        def serve(listener: socket.socket, greeting: bytes) -> None:
            peer, _ = listener.accept()
            peer.sendall(greeting)
            peer.recv(1)  # its end

        with socket.create_server((LOCALHOST, 0)) as first:
            port = first.getsockname()[1]
            with socket.create_server(("127.0.0.2", port)) as silent:
                for listener, greeting in (first, b"hello\n"), (silent, b""):
                    threading.Thread(target=serve, args=(listener, greeting), daemon=True).start()
                done = run("fastest", str(port), LOCALHOST, "127.0.0.2")
        self.assertEqual((done.returncode, done.stdout), (0, f"{LOCALHOST}:{port}: hello\n"))

    def test_log_to_file_writes_its_log_there(self) -> None:
        path = pathlib.Path(self.folder) / "log"
        with example("log_to_file", str(path)) as (port, _):
            self.assertEqual(converse(port, b"x"), b"x")
        self.assertRegex(path.read_text(), r"info 127\.0\.0\.1:\d+ connected\n.* disconnected\n")

    def test_save_stores_a_new_file_within_its_limit(self) -> None:
        def serve() -> None:
            for _ in range(3):
                peer, _ = listener.accept()
                peer.sendall(b"stored\n")
                peer.close()

        with socket.create_server((LOCALHOST, 0)) as listener:
            threading.Thread(target=serve, daemon=True).start()
            where = [LOCALHOST, str(listener.getsockname()[1])]
            done = run("save", *where, "file", folder=self.folder)
            self.assertEqual((done.returncode, done.stdout), (0, "stored 7 bytes as file\n"))
            self.assertIn("File exists", run("save", *where, "file", folder=self.folder).stderr)
            self.assertIn("sends more than 3B", run("save", *where, "other", "3B", folder=self.folder).stderr)
        self.assertEqual([path.name for path in pathlib.Path(self.folder).iterdir()], ["file"])
        done = run("save", LOCALHOST, "9")
        self.assertEqual((done.returncode, done.stderr.splitlines()[0]), (2, "save: FILE is missing"))


if __name__ == "__main__":
    unittest.main()
