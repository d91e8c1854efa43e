#!/usr/bin/env python3
# The examples of the web framework beside the same applications in Tornado (tests/interop/tornado): the same client
# gets the same answers from both, and the guide has their numbers of lines.
import asyncio
import contextlib
import html
import http.client
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
from collections.abc import Iterator

import websockets

from http_proxy_test import EXAMPLES, example, free_port
from support import LOCALHOST, SOURCE, WAIT_S, Program, coax, environment
from web_showcase_test import FORM, Answer, Visitor

TORNADO = SOURCE / "tests/interop/tornado"
PAIRS = {"hello": "hello_tornado", **{name: f"web_{name}" for name in ("todos", "guestbook", "uploads", "dashboard",
                                                                      "rooms")}}
JSON = "application/json"
MIB = 1024 * 1024


def wait_until_listening(port: int, program: Program) -> None:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        try:
            socket.create_connection((LOCALHOST, port)).close()
            return
        except ConnectionRefusedError:
            assert program.process.poll() is None, program.log.wait_for_end()


@contextlib.contextmanager
def served(kind: str, name: str, *words: str) -> Iterator[tuple[int, Program]]:
    """One of the two servers, once it accepts connections."""
    port = free_port()
    command = {"coax": [str(EXAMPLES / PAIRS[name])], "tornado": [sys.executable, str(TORNADO / f"{name}.py")]}[kind]
    with Program(*command, str(port), *words) as program:
        wait_until_listening(port, program)
        yield port, program


def for_both(cls: type) -> type:
    """A class of tests for each of the two."""
    for kind in ("coax", "tornado"):
        case = type(f"{cls.__name__}_{kind}", (cls,), {"kind": kind, "__module__": cls.__module__})
        if kind == "tornado" and not importlib.util.find_spec("tornado"):
            case = unittest.skip("no python3-tornado")(case)
        globals()[case.__name__] = case
    return cls


class Case(unittest.TestCase):
    """The tests of one application, on a server for all of them."""
    name = ""
    words: list[str] = []

    @classmethod
    def setUpClass(cls) -> None:
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="coax-examples-"))
        words = [word.replace("FOLDER", cls.folder) for word in cls.words]
        cls.port, cls.program = stack.enter_context(served(cls.kind, cls.name, *words))

    def setUp(self) -> None:
        self.visitor = Visitor(self.port)
        self.get = self.visitor.get
        self.ask = self.visitor.ask


class Hello(Case):
    name = "hello"

    def test_hello(self) -> None:
        answer = self.get("/")
        self.assertEqual((answer.status, answer.text), (200, "Hello, world"))
        self.assertEqual(answer.headers["Content-Type"].lower(), "text/html; charset=utf-8")
        self.assertEqual(self.get("/none").status, 404)
        self.assertEqual(self.ask("POST", "/", b"x").status, 405)


class Todos(Case):
    name = "todos"

    def send(self, method: str, target: str, todo: object, content_type: str = JSON) -> Answer:
        return self.ask(method, target, todo if isinstance(todo, (str, bytes)) else json.dumps(todo),
                        content_type=content_type)

    def test_life_of_a_todo(self) -> None:
        before = self.get("/todos").json
        created = self.send("POST", "/todos", {"title": "Tee kaufen, süß"})
        place = created.headers["Location"]
        todo = {"id": int(place.removeprefix("/todos/")), "title": "Tee kaufen, süß", "done": False}
        self.assertEqual((created.status, created.json), (201, todo))
        self.assertTrue(created.headers["Content-Type"].startswith(JSON))
        self.assertEqual(self.get(place).json, todo)
        self.assertEqual(self.get("/todos").json, [*before, todo])
        changed = self.send("PUT", place, {"title": "x", "done": True, "id": 77, "unknown": 1})
        self.assertEqual((changed.status, changed.json), (200, {"id": todo["id"], "title": "x", "done": True}))
        self.assertEqual(self.get(place).json, changed.json)
        self.assertEqual(self.ask("DELETE", place).status, 204)
        for answer in (self.get(place), self.ask("DELETE", place), self.send("PUT", place, {"title": "x"})):
            self.assertEqual(answer.status, 404)
        self.assertEqual(self.get("/todos").json, before)

    def test_bad_input(self) -> None:
        for bad, fields in [({}, ["title"]), ({"title": ""}, ["title"]), ({"title": "x" * 201}, ["title"]),
                            ({"title": 1, "done": "x"}, ["title", "done"]), ({"title": "x", "done": 1}, ["done"]),
                            ({"title": None}, ["title"]), ([], [""]), ("null", [""]), ('"x"', [""]), ("1", [""])]:
            answer = self.send("POST", "/todos", bad)
            self.assertEqual(answer.status, 422, bad)
            self.assertEqual([error["field"] for error in answer.json["errors"]], fields, bad)
            self.assertTrue(all(error["message"] for error in answer.json["errors"]))
        for malformed in ["", "{", "{'title':'x'}", '{"title":"x"} 1', b'{"title":"\xff"}', "[1,]"]:
            self.assertEqual(self.send("POST", "/todos", malformed).status, 400, malformed)
        for content_type in ("", "text/plain", FORM, "application/jsonx"):
            self.assertEqual(self.send("POST", "/todos", {"title": "x"}, content_type).status, 415, content_type)
        for target in ["/todos/0", "/todos/x", "/todos/-1", "/todos/1x", "/todos/99999999999999999999", "/"]:
            self.assertEqual(self.get(target).status, 404, target)
        self.assertEqual(self.ask("PATCH", "/todos").status, 405)
        long = "ä" * 200
        self.assertEqual(self.send("POST", "/todos", {"title": long}, JSON + "; charset=utf-8").json["title"], long)


class Guestbook(Case):
    name = "guestbook"
    words = ["FOLDER/book.db"]
    password = "correct horse"

    def token(self, page: str) -> dict[str, str]:
        return dict([re.search(r'name="(_csrf|_xsrf)" value="([^"]+)"', self.get(page).text).groups()])

    def post(self, target: str, page: str = "/login", **fields: str) -> Answer:
        return self.ask("POST", target, urllib.parse.urlencode(fields | self.token(page)), content_type=FORM)

    def register(self, name: str) -> Answer:
        return self.post("/register", name=name, password=self.password)

    def assert_home(self, answer: Answer) -> None:
        self.assertEqual((answer.status, answer.headers["Location"]), (303, "/"), answer.text)

    def test_guest_signs(self) -> None:
        self.assertNotIn("<textarea", self.get("/").text)
        self.assert_home(self.register("Ada"))
        page = self.get("/").text
        self.assertIn("<span>Ada</span>", page)
        self.assertIn("<textarea", page)
        text = "<script>alert(1)</script> & \"quotes\"\nand a süß line"
        self.assert_home(self.post("/messages", "/", text=f"  {text} "))
        page = Visitor(self.port).get("/").text
        shown = re.search(r"<article>\s*<p>(.*?)</p>", page, re.DOTALL)[1]
        self.assertEqual(html.unescape(shown), text)
        self.assertNotIn("<script", self.get("/").text)
        self.assert_home(self.post("/logout", "/"))
        self.assertNotIn("<span>Ada</span>", self.get("/").text)
        self.assertEqual(self.post("/login", name="Ada", password="wrong horse").status, 403)
        self.assertEqual(self.post("/login", name="Eve", password=self.password).status, 403)
        self.assert_home(self.post("/login", name="ada", password=self.password))
        self.assertIn("<span>Ada</span>", self.get("/").text)

    def test_pages_have_a_policy(self) -> None:
        for target in ("/", "/login", "/style.css"):
            answer = self.get(target)
            self.assertEqual(answer.status, 200)
            self.assertIn("default-src 'self'", answer.headers["Content-Security-Policy"])
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        lines = Visitor(self.port).get("/login").headers.get_all("Set-Cookie")
        self.assertTrue(lines and all("HttpOnly" in line and "SameSite=Lax" in line for line in lines), lines)

    def test_bad_accounts(self) -> None:
        self.assert_home(self.register("Taken"))
        self.visitor.cookies.clear()
        for name, status in [("", 422), ("x" * 31, 422), ("a\nb", 422), ("tAKEN", 409), ("Taken", 409)]:
            self.assertEqual(self.register(name).status, status, name)
        for password in ("", "1234567", "ä" * 7, "x" * 1025, "ä" * 513):
            answer = self.post("/register", name="new", password=password)
            self.assertEqual(answer.status, 422, password)
            self.assertIn("too long" if len(password) > 8 else "8 characters or more", answer.text)
        page = self.post("/login", name="x' or '1'='1", password=self.password)
        self.assertEqual(page.status, 403)

    def test_bad_messages(self) -> None:
        self.assertEqual(self.post("/messages", text="anonymous").headers["Location"], "/login")
        self.assert_home(self.register("Bob"))
        for text in ("", "   ", "x" * 1001):
            self.assertEqual(self.post("/messages", "/", text=text).status, 422)
        self.assert_home(self.post("/messages", "/", text="ä" * 1000))
        self.assert_home(self.post("/messages", "/", text="a\r\n" * 499 + "bc"))  # as browsers send line breaks
        self.assertNotIn("\r", self.get("/").text)
        self.assertNotIn("anonymous", self.get("/").text)

    def test_forged_requests(self) -> None:
        self.assert_home(self.register("Carol"))
        own = self.token("/")
        other = Visitor(self.port)
        theirs = dict([re.search(r'name="(_csrf|_xsrf)" value="([^"]+)"', other.get("/login").text).groups()])
        for target in ("/messages", "/logout", "/login", "/register"):
            for token in ({}, {name: "x" for name in own}, theirs):
                body = urllib.parse.urlencode({"text": "forged", "name": "Carol", "password": self.password} | token)
                self.assertEqual(self.ask("POST", target, body, content_type=FORM).status, 403, (target, token))
        self.assertNotIn("forged", self.get("/").text)
        if self.kind == "coax":  # Tornado looks at tokens alone
            body = urllib.parse.urlencode({"text": "forged"} | own)
            self.assertEqual(self.ask("POST", "/messages", body, {"Sec-Fetch-Site": "cross-site"},
                                      content_type=FORM).status, 403)

    def test_attempts_are_limited(self) -> None:
        self.assert_home(self.register("Dora"))
        self.visitor.cookies.clear()
        for _ in range(10):
            self.assertEqual(self.post("/login", name="Dora", password="guess").status, 403)
        late = self.post("/login", name="Dora", password=self.password)
        self.assertEqual(late.status, 429)
        self.assertIn("Too many attempts", late.text)

    def test_logout_ends_a_stolen_session(self) -> None:
        self.assert_home(self.register("Fay"))
        thief = Visitor(self.port)
        thief.cookies = dict(self.visitor.cookies)
        self.assertIn("<span>Fay</span>", thief.get("/").text)
        self.assert_home(self.post("/logout", "/"))
        if self.kind == "coax":  # a signed cookie of Tornado is valid until it expires
            self.assertNotIn("<span>Fay</span>", thief.get("/").text)

    def test_restart_keeps_all(self) -> None:
        file = os.path.join(self.folder, "kept.db")
        with served(self.kind, self.name, file) as (port, _):
            self.visitor.port = port
            self.assert_home(self.register("Gus"))
            self.assert_home(self.post("/messages", "/", text="still here"))
        with served(self.kind, self.name, file) as (port, _):
            self.visitor.port = port
            page = self.get("/").text
            self.assertIn("<span>Gus</span>", page)
            self.assertIn("still here", page)
            self.assert_home(self.post("/messages", "/", text="again"))


class Uploads(Case):
    name = "uploads"
    words = ["FOLDER"]

    def files(self) -> dict[str, int]:
        return {file["name"]: file["size"] for file in self.get("/files/").json}

    def test_files_are_stored_and_listed(self) -> None:
        content = bytes(range(256)) * 4096 * 32
        for name, body in [("big.bin", content), ("empty", b""), ("Grüße & <b> %.txt", b"x")]:
            target = "/files/" + urllib.parse.quote(name, safe="")
            self.assertEqual(self.ask("PUT", target, body).status, 201, name)
            self.assertEqual(self.files()[name], len(body))
            answer = self.get(target)
            self.assertEqual((answer.status, answer.body), (200, body))
            self.assertEqual(answer.headers["Content-Disposition"], "attachment")
        self.assertEqual(self.get("/files/big.bin", Range="bytes=256-259").body, b"\0\1\2\3")

    def test_no_file_is_overwritten(self) -> None:
        self.assertEqual(self.ask("PUT", "/files/once", b"first").status, 201)
        self.assertEqual(self.ask("PUT", "/files/once", b"second").status, 409)
        self.assertEqual(self.get("/files/once").text, "first")

    def test_bad_names(self) -> None:
        before = sorted(os.listdir(self.folder))
        for name in ["..%2fx", "a%2Fb", ".hidden", "..%2f..%2fetc%2fpasswd", "a%00b", "a%0Ab", "x" * 256]:
            self.assertIn(self.ask("PUT", f"/files/{name}", b"x").status, (400, 404, 422), name)
        self.assertIn(self.ask("PUT", "/files/", b"x").status, (404, 405))
        self.assertEqual(sorted(os.listdir(self.folder)), before)
        outside = pathlib.Path(self.folder).parent
        for name in ["..%2f" + next(outside.iterdir()).name, "%2fetc%2fpasswd", "none"]:
            self.assertIn(self.get(f"/files/{name}").status, (400, 403, 404), name)

    def test_too_long_file_is_refused_before_it_is_sent(self) -> None:
        with socket.create_connection((LOCALHOST, self.port), timeout=WAIT_S) as client:
            client.sendall(b"PUT /files/long HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (1024 * MIB + 1))
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 413 "))
        self.assertNotIn("long", self.files())

    def test_upload_that_ends_early_leaves_nothing(self) -> None:
        before = sorted(os.listdir(self.folder))
        with socket.create_connection((LOCALHOST, self.port), timeout=WAIT_S) as client:
            client.sendall(b"PUT /files/part HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                           b"Content-Length: 1000\r\n\r\n")
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 100 "))
            client.sendall(b"some")
        end = time.monotonic() + WAIT_S
        while sorted(os.listdir(self.folder)) != before and time.monotonic() < end:
            self.files()  # a round trip in which the server notices
        self.assertEqual(sorted(os.listdir(self.folder)), before)


class Dashboard(Case):
    name = "dashboard"

    @contextlib.contextmanager
    def events(self, **headers: str) -> Iterator[Iterator[tuple[int, dict[str, float]]]]:
        """The events of one browser: ids with samples."""
        def read() -> Iterator[tuple[int, dict[str, float]]]:
            fields: dict[str, str] = {}
            while line := response.readline().decode():
                if line == "\n" and "data" in fields:
                    yield int(fields["id"]), json.loads(fields["data"])
                    fields = {}
                elif line != "\n":
                    field, _, value = line.rstrip("\n").partition(":")
                    fields[field] = value.removeprefix(" ")

        server = http.client.HTTPConnection(LOCALHOST, self.port, timeout=WAIT_S)
        with contextlib.closing(server):
            server.request("GET", "/events", headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = server.getresponse()
            self.assertEqual(response.headers["Content-Type"], "text/event-stream")
            self.assertEqual(response.headers["Cache-Control"], "no-store")
            yield read()

    def test_events_resume_at_the_last_one(self) -> None:
        with self.events() as events:
            seen = [next(events)[0] for _ in range(3)]
        self.assertEqual(seen, sorted(set(seen)))
        with self.events(Last_Event_ID=str(seen[0])) as events:
            self.assertEqual([next(events)[0] for _ in range(2)], seen[1:])
        with self.events(Last_Event_ID="x") as events:
            self.assertLessEqual(next(events)[0], seen[0])
        with self.events(Last_Event_ID=str(seen[2])) as events:
            number, sample = next(events)
            self.assertGreater(number, seen[2])
            self.assertEqual(sorted(sample), ["load", "memory", "time", "watchers"])
            self.assertGreaterEqual(sample["load"], 0)
            self.assertGreater(sample["memory"], 1)

    def test_browsers_are_counted(self) -> None:
        def watchers(events: Iterator[tuple[int, dict[str, float]]], wanted: int) -> None:
            for _ in range(60 + 10):
                if next(events)[1]["watchers"] == wanted:
                    return
            self.fail(f"there were never {wanted} watchers")

        with self.events() as first:
            with self.events() as second:
                watchers(first, 2)
                watchers(second, 2)
            watchers(first, 1)

    def test_stop_ends_the_streams(self) -> None:
        with served(self.kind, self.name) as (port, program):
            self.port = port
            with self.events() as events:
                next(events)
                program.send_signal(signal.SIGINT)
                if self.kind == "coax":  # Tornado ends with an exception
                    self.assertEqual(program.wait(), 0)


class Rooms(Case, unittest.IsolatedAsyncioTestCase):
    name = "rooms"

    def room(self, name: str, **options: object) -> websockets.connect:
        return websockets.connect(f"ws://{LOCALHOST}:{self.port}/room/{name}/ws", **options)

    def test_each_room_has_a_page(self) -> None:
        answer = self.get("/")
        self.assertEqual((answer.status, answer.headers["Location"]), (303, "/room/lobby"))
        for name in ("lobby", "a%20b", "%3Cb%3E"):
            self.assertIn('<script src="/page.js">', self.get(f"/room/{name}").text)
        self.assertEqual(self.get("/room/").status, 404)
        self.assertIn(self.get("/room/a/ws").status, (400, 426))

    async def test_rooms_are_apart(self) -> None:
        async with self.room("a") as ada, self.room("a") as bob, self.room("b%20c") as eve:
            await bob.send("ready")  # until it is answered, bob may not have joined
            self.assertEqual(await bob.recv(), "ready")
            await ada.send("hällo")
            self.assertEqual(await bob.recv(), "hällo")
            while await ada.recv() != "hällo":
                pass
            await eve.send(b"no text")
            await eve.send("eve")
            self.assertEqual(await eve.recv(), "eve")
            await ada.close()
            await bob.send("alone")
            self.assertEqual(await bob.recv(), "alone")

    async def test_long_messages_are_refused(self) -> None:
        async with self.room("long") as ada:
            await ada.send("x" * 4096)
            self.assertEqual(len(await ada.recv()), 4096)
            await ada.send("x" * 4097)
            with self.assertRaises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(ada.recv(), WAIT_S)
            self.assertEqual(closed.exception.rcvd.code, 1009)

    async def test_other_origins_are_refused(self) -> None:
        with self.assertRaises(websockets.InvalidStatusCode) as refused:
            await asyncio.wait_for(self.room("a", origin="https://evil.example"), WAIT_S)
        self.assertEqual(refused.exception.status_code, 403)


for applications in (Hello, Todos, Guestbook, Uploads, Dashboard, Rooms):
    for_both(applications)
del applications, Hello, Todos, Guestbook, Uploads, Dashboard, Rooms, Case  # these have no server


def code_lines(path: pathlib.Path) -> int:
    """Without blank lines, comments, and the pages, which are the same in both languages."""
    is_python = path.suffix == ".py"
    text = re.sub(r'""".*?"""' if is_python else r'R"\(.*?\)"', '""', path.read_text(), flags=re.DOTALL)
    lines = (line.strip() for line in text.splitlines())
    return sum(1 for line in lines if line and not line.startswith("#" if is_python else "//"))


class Deployed(unittest.TestCase):
    """As in docs/guide/applications.md, with a certificate of `coax cert`."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="coax-deployed-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        subprocess.run([coax(), "cert", "localhost"], cwd=self.folder, env=environment({"XDG_DATA_HOME": self.folder}),
                       check=True, capture_output=True, timeout=WAIT_S)
        self.context = ssl.create_default_context(cafile=f"{self.folder}/coax/authority.pem")

    def get(self, port: int, **headers: str) -> Answer:
        server = http.client.HTTPSConnection("localhost", port, timeout=WAIT_S, context=self.context)
        with contextlib.closing(server):
            server.request("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})
            return Answer(server.getresponse())

    def test_https(self) -> None:
        with example("web_https", f"{self.folder}/localhost.pem", f"{self.folder}/localhost.key") as (port, program):
            answer = self.get(port)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers["Strict-Transport-Security"], "max-age=31536000")
            self.assertEqual(len(answer.headers["X-Request-Id"]), 32)
            program.send_signal(signal.SIGTERM)
            self.assertEqual(program.wait(), 0)

    @unittest.skipUnless(shutil.which("nginx") or os.path.exists("/usr/sbin/nginx"), "no nginx")
    def test_behind_nginx_with_the_configuration_of_the_guide(self) -> None:
        guide = (SOURCE / "docs/guide/applications.md").read_text()
        port = free_port()
        server = re.search(r"^```nginx\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)[1]
        for ours, theirs in [("listen 443", f"listen {LOCALHOST}:{port}"), ("/run/guests", self.folder),
                             ("/etc/letsencrypt/live/guests.example/fullchain.pem", f"{self.folder}/localhost.pem"),
                             ("/etc/letsencrypt/live/guests.example/privkey.pem", f"{self.folder}/localhost.key")]:
            self.assertIn(ours, server)
            server = server.replace(ours, theirs)
        temporary = " ".join(f"{kind}_temp_path {self.folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi",
                                                                             "scgi"))
        configuration = pathlib.Path(self.folder, "nginx.conf")
        configuration.write_text(f"daemon off; master_process off; pid {self.folder}/pid; error_log stderr;\n"
                                 f"events {{}}\nhttp {{ access_log off; {temporary}\n{server}}}\n")
        site = Program(str(EXAMPLES / "web_proxied"), f"unix:{self.folder}/site.sock")
        nginx = Program(shutil.which("nginx") or "/usr/sbin/nginx", "-p", self.folder, "-c", str(configuration))
        with site, nginx:
            wait_until_listening(port, nginx)
            end = time.monotonic() + WAIT_S
            while not os.path.exists(f"{self.folder}/site.sock") and time.monotonic() < end:
                self.assertIsNone(site.process.poll())
            self.assertEqual(self.get(port).text, "127.0.0.1 over TLS\n")
            # All of 127.0.0.0/8 are proxies, so this client is one that says whom it speaks for.
            self.assertEqual(self.get(port, X_Forwarded_For="192.0.2.7").text, "192.0.2.7 over TLS\n")


class Comparison(unittest.TestCase):
    def test_pages_are_the_same(self) -> None:
        for name, page in [("uploads", "/"), ("dashboard", "/"), ("rooms", "/room/a")]:  # and its script and style
            with tempfile.TemporaryDirectory(prefix="coax-examples-") as folder:
                words = [folder] if name == "uploads" else []
                texts = []
                for kind in ("coax", "tornado"):
                    with served(kind, name, *words) as (port, _):
                        answers = [Visitor(port).get(path) for path in (page, "/page.js", "/style.css")]
                        texts.append([answer.text for answer in answers])
                        if kind == "coax":
                            self.assertIn("default-src 'self'", answers[0].headers["Content-Security-Policy"])
            self.assertEqual(texts[0], texts[1], name)

    def test_the_guide_has_the_numbers_of_lines(self) -> None:
        guide = (SOURCE / "docs/guide/web.md").read_text()
        rows = re.findall(r"^\| .* \| \[(\w+)\.cpp\]\(\S+\) (\d+) \| \[(\w+)\.py\]\(\S+\) (\d+) \|$", guide,
                          re.MULTILINE)
        counted = [(example, str(code_lines(SOURCE / f"examples/{example}.cpp")), name,
                    str(code_lines(TORNADO / f"{name}.py"))) for name, example in PAIRS.items()]
        self.assertEqual(rows, counted)


if __name__ == "__main__":
    unittest.main()
