#!/usr/bin/env python3
# Every endpoint of examples/web_showcase, as browsers and clients of Python use them, with the rules of its page in the
# guide.
import asyncio
import contextlib
import gzip
import hashlib
import html
import http.client
import http.cookies
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.parse

import websockets

from http_proxy_test import example
from support import LOCALHOST, WAIT_S

MIB = 1024 * 1024
FORM = "application/x-www-form-urlencoded"


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> object:
        return json.loads(self.body)


class Visitor:
    """A client with cookies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, target: str, body: bytes | str | None = None, headers: dict[str, str] | None = None,
            content_type: str = "") -> Answer:
        headers = dict(headers or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if content_type:
            headers["Content-Type"] = content_type
        server = http.client.HTTPConnection(LOCALHOST, self.port, timeout=WAIT_S)
        with contextlib.closing(server):
            server.request(method, target, body, headers)
            answer = Answer(server.getresponse())
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return answer

    def get(self, target: str, **headers: str) -> Answer:
        return self.ask("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def token(self, page: str = "/login") -> str:
        return re.search(r'name="_csrf" value="([^"]*)"', self.get(page).text)[1]

    def log_in(self, name: str = "alice", password: str = "wonderland", query: str = "") -> Answer:
        fields = {"_csrf": self.token(), "username": name, "password": password}
        return self.ask("POST", f"/login{query}", urllib.parse.urlencode(fields), content_type=FORM)


def multipart(*parts: tuple[str, bytes], boundary: str = "edge") -> tuple[str, bytes]:
    body = b"".join(b"--edge\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
    return f"multipart/form-data; boundary={boundary}", body + b"--edge--\r\n"


class Showcase(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.port, cls.process = stack.enter_context(example("web_showcase"))

    def setUp(self) -> None:
        self.visitor = Visitor(self.port)
        self.get = self.visitor.get
        self.ask = self.visitor.ask

    def test_pages_have_a_policy(self) -> None:
        for target in ["/", "/login", "/template?value=x", "/static/page.html", "/none", "/error"]:
            answer = self.get(target)
            self.assertIn("default-src", answer.headers["Content-Security-Policy"], target)
            self.assertEqual(len(answer.headers["X-Request-Id"]), 32)

    def test_parameters_of_the_path(self) -> None:
        self.assertEqual(self.get("/hello/world").text, "Hello, world!")
        self.assertEqual(self.get("/hello/a%2Fb%20c").text, "Hello, a/b c!")
        self.assertEqual(self.get("/hello/J%C3%BCrgen").text, "Hello, Jürgen!")
        self.assertEqual(self.get("/hello/").status, 404)
        self.assertEqual(self.get("/hello/a/b").status, 404)
        for good, number in [("7", 7), ("%37", 7), ("0", 0), ("9223372036854775807", 2**63 - 1)]:
            self.assertEqual(self.get(f"/item/{good}").text.strip(), f'{{"id":{number}}}')
        for bad in ["", "x", "7x", "-7", "+7", "7.0", "0x7", "%207", "9223372036854775808", "7%2F8", "%D9%A7"]:
            self.assertEqual(self.get(f"/item/{bad}").status, 404, bad)
        self.assertEqual(self.get("/files/a/b%20c/d.txt").text, "a/b c/d.txt")
        self.assertEqual(self.get("/files/../files/x").text, "x")
        self.assertEqual(self.get("/query?b=2&a=1&b=3&c&d=%C3%A4+%2B").json,
                         {"b": ["2", "3"], "a": ["1"], "c": [""], "d": ["ä +"]})
        self.assertEqual(self.get("/query").json, {})

    def test_methods(self) -> None:
        for method in ["PUT", "PATCH", "DELETE"]:
            self.assertEqual(self.ask(method, "/echo", "hällo".encode()).json, {"method": method, "body": "hällo"})
        refused = self.ask("POST", "/echo", b"x")
        self.assertEqual(refused.status, 405)
        self.assertEqual({word.strip() for word in refused.headers["Allow"].split(",")},
                         {"PUT", "PATCH", "DELETE", "OPTIONS"})
        self.assertEqual(self.ask("HEAD", "/hello/world").headers["Content-Length"], "13")
        self.assertEqual(self.ask("OPTIONS", "/query").status, 204)

    def test_forms(self) -> None:
        answer = self.ask("POST", "/form", "a=1&b=%C3%A4+x&a=2", content_type=FORM)
        self.assertEqual(answer.json, {"fields": {"a": ["1", "2"], "b": ["ä x"]}, "files": []})
        content = bytes(range(256)) * 1000
        content_type, body = multipart(
            ('Content-Disposition: form-data; name="a"', "ä".encode()),
            ('Content-Disposition: form-data; name="f"; filename="C:\\dir\\a b.bin"\r\nContent-Type: image/png',
             content),
            ('Content-Disposition: form-data; name="f"; filename="../../x.txt"', b"no type"),
            ("Content-Disposition: form-data; name=\"g\"; filename=\"e.txt\"; filename*=UTF-8''%e2%82%ac.txt", b""))
        answer = self.ask("POST", "/form", body, content_type=content_type).json
        self.assertEqual(answer["fields"], {"a": ["ä"]})
        self.assertEqual([(file["name"], file["filename"], file["type"], file["size"]) for file in answer["files"]],
                         [("f", "a b.bin", "image/png", len(content)), ("f", "x.txt", "text/plain", 7),
                          ("g", "€.txt", "text/plain", 0)])
        self.assertEqual(answer["files"][0]["sha256"], hashlib.sha256(content).hexdigest())

    def test_limits_of_forms(self) -> None:
        for count, status in [(100, 200), (101, 413), (10_000, 413)]:
            fields = "&".join(f"n{i}={i}" for i in range(count))
            self.assertEqual(self.ask("POST", "/form", fields, content_type=FORM).status, status, count)
            kind, body = multipart(*[(f'Content-Disposition: form-data; name="n{i}"', b"") for i in range(count)])
            self.assertEqual(self.ask("POST", "/form", body, content_type=kind).status, status, count)
        self.assertEqual(self.ask("POST", "/form", b"a=" + b"x" * (5 * MIB), content_type=FORM).status, 200)
        with contextlib.suppress(ConnectionError):  # it may be answered, and closed, before all was sent
            self.assertEqual(self.ask("POST", "/form", b"a=" + b"x" * (10 * MIB), content_type=FORM).status, 413)
        self.assertEqual(self.ask("POST", "/form", b"a=1", content_type="text/plain").status, 415)
        self.assertEqual(self.ask("POST", "/form", b"a=1", content_type="multipart/form-data").status, 400)

    def test_json(self) -> None:
        def post(body: str, content_type: str = "application/json") -> Answer:
            return self.ask("POST", "/json", body.encode(), content_type=content_type)

        good = {"title": "Tée", "done": True, "priority": 3}
        self.assertEqual(post(json.dumps(good)).json, good)
        self.assertEqual(post(json.dumps(good | {"more": [1]})).json, good)
        for bad, fields in [({"title": 1, "done": "x", "priority": 3.0}, ["title", "done", "priority"]),
                            (good | {"priority": 0}, ["priority"]), (good | {"priority": 6}, ["priority"]),
                            ({}, ["title", "done", "priority"]), ([], [""]), (None, [""]), ("x", [""])]:
            answer = post(json.dumps(bad))
            self.assertEqual(answer.status, 422, bad)
            self.assertEqual([error["field"] for error in answer.json["errors"]], fields)
            self.assertTrue(all(error["message"] for error in answer.json["errors"]))
        self.assertEqual(post('{"title":"a","done":false,"priority":3.0}').status, 422)
        for malformed in ["", "{", '{"title":"a","title":"b"}', '{"priority":NaN}', "{'a':1}", "[1,]"]:
            self.assertEqual(post(malformed).status, 400, malformed)
        answer = self.ask("POST", "/json", b"{}", {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"},
                          content_type="application/json")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (422, "text/plain; charset=utf-8"))
        self.assertIn("title is missing\n", answer.text)
        self.assertEqual(post(json.dumps(good), "text/plain").status, 415)
        self.assertEqual(post(json.dumps(good), "").status, 415)

    def test_cookies(self) -> None:
        answer = self.get("/cookie/set?theme=dark&name=J%C3%BCrgen%3B")
        self.assertEqual(answer.status, 200)
        lines = answer.headers.get_all("Set-Cookie")
        self.assertTrue(all("HttpOnly" in line and "SameSite=Lax" in line for line in lines), lines)
        self.assertTrue(lines[1].startswith("name=J%C3%BCrgen%3B;"), lines)
        self.assertEqual(self.get("/cookies").json, {"theme": "dark", "name": "Jürgen;"})
        sent = "a=1; b=\"2\"; a=3; =x; c"
        self.assertEqual(Visitor(self.port).get("/cookies", Cookie=sent).json, {"a": "1", "b": "2"})
        self.assertEqual(self.get("/cookie/set?a%20b=1").status, 400)
        self.assertEqual(self.get("/cookie/set?a=1%0d%0aX:%20y").headers["X"], None)

    def test_visits_are_signed(self) -> None:
        self.assertEqual([self.get("/session").json["visits"] for _ in range(3)], [1, 2, 3])
        cookie = self.visitor.cookies["visits"]
        for at in (0, len(cookie) // 2, len(cookie) - 1):
            changed = cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1:]
            self.visitor.cookies["visits"] = changed
            self.assertEqual(self.get("/session").json["visits"], 1, at)

    def test_login(self) -> None:
        self.assertEqual(self.get("/private").status, 303)
        self.assertEqual(self.get("/private").headers["Location"], "/login?next=%2Fprivate")
        self.assertEqual(self.get("//private").headers["Location"], "/login?next=%2Fprivate")
        before = self.visitor.token()
        self.assertEqual(set(self.visitor.cookies), {"csrf"}, "a form makes no session")
        answer = self.visitor.log_in()
        self.assertEqual((answer.status, answer.headers["Location"]), (303, "/private"))
        self.assertEqual(self.ask("POST", "/logout", f"_csrf={before}", content_type=FORM).status, 403)
        thief = Visitor(self.port)
        self.assertIn("Hello, alice", self.get("/private").text)
        kept = self.visitor.cookies["session"]
        self.assertEqual(self.ask("POST", "/logout", "", content_type=FORM).status, 403)
        token = self.visitor.token("/private")
        self.assertEqual(self.ask("POST", "/logout", f"_csrf={token}", content_type=FORM).status, 303)
        thief.cookies["session"] = kept
        self.assertEqual(thief.get("/private").status, 303)

    def test_login_leads_to_pages_of_this_site_only(self) -> None:
        for target, location in [("/query?a=1", "/query?a=1"), ("//evil.example", "/"), ("https://evil.example", "/"),
                                 ("/\\evil.example", "/"), ("javascript:alert(1)", "/"), ("/%09/evil.example", "/")]:
            visitor = Visitor(self.port)
            answer = visitor.log_in(query="?next=" + urllib.parse.quote(target, safe=""))
            self.assertEqual((answer.status, answer.headers["Location"]), (303, location), target)

    def test_login_is_refused(self) -> None:
        with example("web_showcase", LOCALHOST, "", "--login-limit", "3") as (port, _):
            visitor = Visitor(port)
            fields = {"username": "alice", "password": "wonderland"}
            body = urllib.parse.urlencode(fields)
            self.assertEqual(visitor.ask("POST", "/login", body, content_type=FORM).status, 403)
            fields["_csrf"] = visitor.token()
            body = urllib.parse.urlencode(fields)
            evil = {"Origin": "https://evil.example"}
            self.assertEqual(visitor.ask("POST", "/login", body, evil, content_type=FORM).status, 403)
            evil = {"Sec-Fetch-Site": "cross-site"}
            self.assertEqual(visitor.ask("POST", "/login", body, evil, content_type=FORM).status, 403)
            self.assertEqual(Visitor(port).ask("POST", "/login", body, content_type=FORM).status, 403)
            self.assertEqual(visitor.log_in("bob").status, 401)
            for _ in range(4):
                self.assertEqual(Visitor(port).log_in().status, 303)
            self.assertEqual(visitor.log_in(password="wrong").status, 401)
            page = visitor.log_in(name="<b>", password="wrong")
            self.assertEqual(page.status, 401)
            self.assertIn('value="&lt;b&gt;"', page.text)
            late = visitor.log_in()
            self.assertEqual(late.status, 429)
            self.assertGreater(int(late.headers["Retry-After"]), 0)

    def test_template_escapes_by_the_place(self) -> None:
        for value in ["Tea", "<b>&\"'</b>", "</script><script>alert(1)</script>", "javascript:alert(1)",
                      "a b+c%20&d=1#e", "\u2028\n\\", "ä€😀", "{{ 1 }}"]:
            page = self.get("/template?value=" + urllib.parse.quote(value)).text
            text = re.search(r'<p id="text">(.*?)</p>', page, re.S)[1]
            self.assertEqual(html.unescape(text), value)
            attribute = re.search(r'<input value="([^"]*)">', page)[1]
            self.assertEqual(html.unescape(attribute), value)
            link = html.unescape(re.search(r'<a href="/query\?q=([^"]*)">', page)[1])
            self.assertEqual(self.get("/query?q=" + link).json, {"q": [value]})
            script = re.search(r"<script>const value = (.*?);</script>", page, re.S)[1]
            self.assertEqual(json.loads(script), value)
            self.assertEqual(page.count("<script"), 1)

    def test_static_files(self) -> None:
        hello = self.get("/static/hello.txt")
        self.assertEqual(hello.text, "Hello from Coax\n")
        self.assertEqual(hello.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(self.get("/static/hello.txt", If_None_Match=hello.headers["ETag"]).status, 304)
        self.assertEqual(self.get("/static/hello.txt", If_Modified_Since=hello.headers["Last-Modified"]).status, 304)
        part = self.get("/static/megabyte.bin", Range="bytes=10-19")
        self.assertEqual((part.status, part.headers["Content-Range"]), (206, f"bytes 10-19/{MIB}"))
        self.assertEqual(len(part.body), 10)
        script = self.get("/static/app.js").body
        self.assertEqual(gzip.decompress(self.get("/static/app.js", Accept_Encoding="gzip").body), script)
        packed = self.get("/static/app.js", Accept_Encoding="gzip, br")
        self.assertEqual(packed.headers["Content-Encoding"], "br")
        try:
            unpacked = subprocess.run(["brotli", "-dc"], input=packed.body, capture_output=True, check=True).stdout
            self.assertEqual(unpacked, script)
        except FileNotFoundError:
            pass  # brotli is not installed
        self.assertIn("index of a folder", self.get("/static/folder/").text)
        self.assertEqual(self.get("/static/folder").status, 308)
        self.assertEqual(self.get("/static/" + urllib.parse.quote("Grüße aus Köln.txt")).text, "Viele Grüße\n")
        listing = self.get("/static/").text
        for link in re.findall(r'<a href="(\./[^"]*)">', listing):
            self.assertEqual(self.get("/static/" + html.unescape(link)[2:]).status, 200, link)
        for target in ["/static/none", "/static/../web", "/static/%2e%2e/web", "/static/..%2fweb", "/static/.hidden",
                       "/static/hello.txt%00", "/static/..%5cweb", "/static/%c0%ae%c0%ae/"]:
            self.assertIn(self.get(target).status, (400, 404), target)

    def test_a_given_folder_is_not_left(self) -> None:
        with tempfile.TemporaryDirectory(prefix="coax-showcase-test-") as name:
            folder = pathlib.Path(name) / "public"
            folder.mkdir()
            (pathlib.Path(name) / "secret").write_text("secret")
            (folder / ".env").write_text("secret")
            (folder / "out").symlink_to("../secret")
            (folder / "in").symlink_to("page.txt")
            (folder / "page.txt").write_text("page")
            with example("web_showcase", LOCALHOST, str(folder)) as (port, _):
                visitor = Visitor(port)
                self.assertEqual(visitor.get("/static/in").text, "page")
                for target in ["/static/out", "/static/.env", "/static/../secret", "/static/%2e%2e/secret"]:
                    self.assertEqual(visitor.get(target).status, 404, target)

    def test_streams(self) -> None:
        self.assertEqual(self.get("/stream?n=3").text, "line 1\nline 2\nline 3\n")
        self.assertEqual(self.get("/stream?n=0").text, "")
        self.assertEqual(self.get("/stream?n=100000").text.count("\n"), 100_000)
        for bad in ["", "?n=", "?n=x", "?n=-1", "?n=100001", "?n=1.0", "?n=99999999999999999999"]:
            self.assertEqual(self.get("/stream" + bad).status, 400, bad)

    def events(self, count: int, **headers: str) -> list[str]:
        server = http.client.HTTPConnection(LOCALHOST, self.port, timeout=WAIT_S)
        with contextlib.closing(server):
            server.request("GET", "/events", headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = server.getresponse()
            self.assertEqual(response.headers["Content-Type"], "text/event-stream")
            lines: list[str] = []
            while len(lines) < count:
                line = response.readline().decode().rstrip("\n")
                if line:
                    lines.append(line)
            return lines

    def test_events(self) -> None:
        self.assertEqual(self.events(5), ["retry: 1000", "id: 1", "data: event 1", "id: 2", "data: event 2"])
        self.assertEqual(self.events(5, Last_Event_ID="3"),
                         ["retry: 1000", "id: 4", "data: event 4", "id: 5", "data: event 5"])
        self.assertEqual(self.events(3, Last_Event_ID="x")[1:], ["id: 1", "data: event 1"])
        last = self.events(2, Last_Event_ID="9")
        self.assertEqual(last[0], "retry: 1000")
        self.assertTrue(last[1].startswith(":"), "then a comment each second")

    def test_compression(self) -> None:
        plain = self.get("/compress")
        self.assertEqual((len(plain.body), plain.headers["Vary"]), (10_000, "Accept-Encoding"))
        self.assertIsNone(plain.headers["Content-Encoding"])
        packed = self.get("/compress", Accept_Encoding="gzip")
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        for asked, coding in [("br", "br"), ("zstd", "zstd"), ("gzip;q=0, br;q=0.5", "br"), ("*", "zstd"),
                              ("identity", None), ("gzip;q=0", None), ("identity;q=0", None), ("compress", None)]:
            answer = self.get("/compress", Accept_Encoding=asked)
            self.assertEqual((answer.status, answer.headers["Content-Encoding"]), (200, coding), asked)
            command = {"br": ["brotli", "-dc"], "zstd": ["zstd", "-dc"]}.get(coding)
            if command and shutil.which(command[0]):
                unpacked = subprocess.run(command, input=answer.body, capture_output=True, check=True).stdout
                self.assertEqual(unpacked, plain.body)

    def test_failures_and_redirects(self) -> None:
        failed = self.get("/error", Accept="text/html")
        self.assertEqual(failed.status, 500)
        self.assertNotIn("details", failed.text)
        self.assertEqual(len(failed.headers["X-Request-Id"]), 32)
        moved = self.get("/redirect")
        self.assertEqual((moved.status, moved.headers["Location"]), (302, "/hello/world"))
        self.assertEqual(self.get("/slow").status, 200)

    def test_other_origins(self) -> None:
        own = self.get("/api/time")
        self.assertIsInstance(own.json["time"], int)
        self.assertIn("Origin", own.headers["Vary"].split(", "))
        self.assertIsNone(own.headers["Access-Control-Allow-Origin"])
        self.assertEqual(self.get("/api/time", Origin="https://app.example").headers["Access-Control-Allow-Origin"],
                         "https://app.example")
        for origin in ["https://evil.example", "http://app.example", "https://app.example.evil", "null"]:
            self.assertIsNone(self.get("/api/time", Origin=origin).headers["Access-Control-Allow-Origin"], origin)
        other = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
        refused = self.ask("POST", "/api/time", b"", other)
        self.assertEqual((refused.status, refused.headers["Access-Control-Allow-Origin"]),
                         (405, "https://app.example"))
        self.assertIn("Origin", refused.headers["Vary"].split(", "))
        asked = self.ask("OPTIONS", "/api/time", b"", other | {"Access-Control-Request-Method": "POST"})
        self.assertEqual((asked.status, asked.headers["Access-Control-Allow-Methods"]), (204, "GET, HEAD"))
        self.assertEqual(self.ask("POST", "/json", b"", other).status, 403)

    def test_upload(self) -> None:
        content = bytes(range(256)) * 4096 * 8
        answer = self.ask("POST", "/upload", content)
        self.assertEqual(answer.json, {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
        with socket.create_connection((LOCALHOST, self.port), timeout=WAIT_S) as client:
            client.sendall(b"POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                           b"Content-Length: 2147483649\r\n\r\n")
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 413 "))
        with socket.create_connection((LOCALHOST, self.port), timeout=WAIT_S) as client:
            client.sendall(b"POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                           b"Content-Length: 2147483648\r\n\r\n")
            self.assertEqual(client.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")


class WebSockets(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        port, _ = stack.enter_context(example("web_showcase"))
        cls.url = f"ws://{LOCALHOST}:{port}"

    async def test_rooms_are_apart_and_echo_to_the_sender(self) -> None:
        async with (websockets.connect(self.url + "/ws/room/a") as ada,
                    websockets.connect(self.url + "/ws/room/a") as bob,
                    websockets.connect(self.url + "/ws/room/b") as eve):
            await bob.send("ready")  # until it is answered, bob may not have joined
            self.assertEqual(await bob.recv(), "ready")
            await ada.send("hällo")
            await ada.send(b"\x00\xff")
            while (await ada.recv()) != "hällo":
                pass
            self.assertEqual(await bob.recv(), "hällo")
            self.assertEqual(await bob.recv(), b"\x00\xff")
            await eve.send("eve")
            self.assertEqual(await eve.recv(), "eve")

    async def test_echo_with_its_subprotocol(self) -> None:
        async with websockets.connect(self.url + "/ws/echo", subprotocols=["other", "echo"]) as client:
            self.assertEqual(client.subprotocol, "echo")
            self.assertEqual([extension.name for extension in client.extensions], ["permessage-deflate"])
            for message in ["hällo", "", b"\x00" * 70_000]:
                await client.send(message)
                self.assertEqual(await client.recv(), message)
        async with websockets.connect(self.url + "/ws/echo", subprotocols=["other"]) as client:
            self.assertIsNone(client.subprotocol)

    async def test_whoami(self) -> None:
        async with websockets.connect(self.url + "/ws/whoami?x=1&x=2", extra_headers={"Cookie": "a=1"}) as client:
            self.assertEqual(json.loads(await client.recv()),
                             {"query": {"x": ["1", "2"]}, "cookies": {"a": "1"}, "origin": None})

    async def test_other_origins_are_refused(self) -> None:
        for path in ["/ws/echo", "/ws/room/a", "/ws/whoami"]:
            with self.assertRaises(websockets.InvalidStatusCode) as refused:
                await asyncio.wait_for(websockets.connect(self.url + path, origin="https://evil.example"), WAIT_S)
            self.assertEqual(refused.exception.status_code, 403)


if __name__ == "__main__":
    unittest.main()
