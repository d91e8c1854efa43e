#!/usr/bin/env python3
# The hub's WebSocket as in docs/protocols.md: with the library `websockets`, and with frames of our own where that one
# refuses to misbehave.

import asyncio
import datetime
import json
import pathlib
import re
import signal
import struct
import threading
import time
import unittest
from typing import Any

import support
import websockets
from support import LOCALHOST, WAIT_S, Http, Hub, HubTest, RawWebSocket, frame

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
Event = dict[str, Any]


class WebSocketTest(HubTest, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)

    async def connect(self, **options: Any) -> websockets.WebSocketClientProtocol:
        address = f"ws://{LOCALHOST}:{self.hub.web_port}/ws"
        socket = await websockets.connect(address, open_timeout=WAIT_S, close_timeout=WAIT_S, **options)
        self.addAsyncCleanup(socket.close)
        return socket

    @staticmethod
    async def send(socket: websockets.WebSocketClientProtocol, type_: str, **members: str) -> None:
        await socket.send(json.dumps({"type": type_, **members}))

    @staticmethod
    async def event(socket: websockets.WebSocketClientProtocol) -> Event:
        return json.loads(await asyncio.wait_for(socket.recv(), WAIT_S))

    async def enter(self, nick: str) -> websockets.WebSocketClientProtocol:
        """A member of the room, after its own `joined`."""
        socket = await self.connect()
        await self.send(socket, "join", nick=nick)
        self.assertEqual((await self.event(socket))["type"], "welcome")
        joined = await self.event(socket)
        self.assertEqual((joined["type"], joined["nick"]), ("joined", nick))
        return socket

    async def assert_error(self, socket: websockets.WebSocketClientProtocol, code: str) -> None:
        error = await self.event(socket)
        self.assertEqual({**error, "message": ""}, {"type": "error", "code": code, "message": ""})
        self.assertNotEqual(error["message"], "")

    async def assert_closed(self, socket: websockets.WebSocketClientProtocol, code: int) -> str:
        """The close frame's reason."""
        with self.assertRaises(websockets.ConnectionClosed):
            while True:
                await asyncio.wait_for(socket.recv(), WAIT_S)
        self.assertEqual(socket.close_code, code)
        return socket.close_reason


class Room(WebSocketTest):
    async def test_the_welcome_has_everybody_and_the_number_of_the_last_event(self) -> None:
        alice = await self.connect()
        await self.send(alice, "join", nick="  alice\t")
        self.assertEqual(await self.event(alice), {"type": "welcome", "room": "lobby", "nick": "alice", "seq": 0,
                                                   "users": ["alice"]})
        joined = await self.event(alice)
        self.assertEqual({**joined, "time": ""}, {"type": "joined", "seq": 1, "time": "", "nick": "alice"})
        bob = await self.connect()
        await self.send(bob, "join", nick="bob")
        welcome = await self.event(bob)
        self.assertEqual((welcome["seq"], sorted(welcome["users"])), (1, ["alice", "bob"]))
        self.assertEqual((await self.event(bob))["seq"], 2)
        self.assertEqual((await self.event(alice))["nick"], "bob")

    async def test_a_message_has_its_number_time_and_text(self) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        await self.event(alice)
        text = 'say "hi" \\ \N{WAVING HAND SIGN} </script>'
        await self.send(bob, "message", text=text)
        for socket in alice, bob:
            message = await self.event(socket)
            self.assertEqual({**message, "time": ""},
                             {"type": "message", "seq": 3, "time": "", "nick": "bob", "text": text})
            self.assertRegex(message["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(message["time"])
            self.assertLess(abs(age.total_seconds()), WAIT_S)

    async def test_left_after_a_close_and_after_a_broken_connection(self) -> None:
        alice = await self.enter("alice")
        for end in "close", "abort":
            bob = await self.enter("bob")
            self.assertEqual((await self.event(alice))["type"], "joined")
            if end == "close":
                await bob.close()
            else:
                bob.transport.abort()
            left = await self.event(alice)
            self.assertEqual({**left, "seq": 0, "time": ""}, {"type": "left", "seq": 0, "time": "", "nick": "bob"})

    async def test_unknown_members_are_ignored(self) -> None:
        alice = await self.connect()
        await alice.send('{"colour":["red"],"type":"join","nick":"alice","type2":null}')
        self.assertEqual((await self.event(alice))["type"], "welcome")

    async def test_one_room_for_both_wires(self) -> None:
        terminal = self.join("terminal")
        page = await self.connect()
        await self.send(page, "join", nick="page")
        self.assertEqual(sorted((await self.event(page))["users"]), ["page", "terminal"])
        self.assertEqual((await self.event(page))["nick"], "page")
        self.assertEqual(terminal.line(), b"page joined the chat!")
        terminal.send(b"from the terminal\n")
        message = await self.event(page)
        self.assertEqual((message["nick"], message["text"]), ("terminal", "from the terminal"))
        await self.send(page, "message", text="page: from the page")
        self.assertEqual(terminal.lines(2), [b"terminal: from the terminal", b"page: page: from the page"])
        await page.close()
        self.assertEqual(terminal.line(), b"page left the chat!")
        third = await self.enter("third")
        terminal.close()
        left = await self.event(third)
        self.assertEqual((left["type"], left["nick"], left["seq"]), ("left", "terminal", 7))

    async def test_a_message_in_fragments(self) -> None:
        alice = await self.enter("alice")
        await alice.send(['{"type":"mess', 'age","te', 'xt":"in pieces"}'])
        self.assertEqual((await self.event(alice))["text"], "in pieces")

    async def test_a_ping_is_answered(self) -> None:
        alice = await self.connect()
        for payload in b"", b"are you there?", b"x" * 125:
            await asyncio.wait_for(await alice.ping(payload), WAIT_S)


class Errors(WebSocketTest):
    async def test_a_nickname_that_is_taken_or_bad_may_be_mended_once(self) -> None:
        await self.enter("Straße")
        bad = [("nick_taken", "straße"), ("nick_taken", "STRASSE"), ("nick_invalid", ""), ("nick_invalid", " \t "),
               ("nick_invalid", "x" * 33), ("nick_invalid", "esc\x1b"), ("nick_invalid", "rlo\u202e"),
               ("nick_invalid", "a: b"), ("nick_invalid", "ERROR")]
        for number, (code, nick) in enumerate(bad):
            with self.subTest(nick):
                socket = await self.connect()
                await self.send(socket, "join", nick=nick)
                await self.assert_error(socket, code)
                await self.send(socket, "join", nick=f"good {number}")
                self.assertEqual((await self.event(socket))["type"], "welcome")
                await self.send(socket, "join", nick="again")
                self.assertEqual((await self.event(socket))["type"], "joined")
                await self.assert_error(socket, "already_joined")

    async def test_the_second_bad_nickname_closes_with_1008(self) -> None:
        socket = await self.connect()
        await self.send(socket, "join", nick="\n")
        await self.assert_error(socket, "nick_invalid")
        await self.send(socket, "join", nick="x" * 33)
        await self.assert_error(socket, "nick_invalid")
        self.assertNotEqual(await self.assert_closed(socket, 1008), "")

    async def test_a_text_that_is_no_message_is_told_to_one_alone(self) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        await self.event(alice)
        for code, text in [("text_invalid", ""), ("text_invalid", "two\nlines"), ("text_invalid", "a\tb"),
                           ("text_invalid", "\x1b[2J"), ("text_too_long", "x" * 4097), ("text_too_long", "ü" * 2049)]:
            await self.send(alice, "message", text=text)
            await self.assert_error(alice, code)
        await self.send(alice, "message", text="ü" * 2048)
        for socket in alice, bob:
            self.assertEqual((await self.event(socket))["text"], "ü" * 2048)

    async def test_what_is_no_message_of_the_protocol(self) -> None:
        socket = await self.connect()
        await self.send(socket, "message", text="too early")
        await self.assert_error(socket, "not_joined")
        for wrong in "", "hello", "[]", "1e400", '{"type":', '{"type":"join","nick":"a"}x', '{"nick":"a"}':
            await socket.send(wrong)
            await self.assert_error(socket, "bad_message")
        await self.send(socket, "join", nick="alice")
        self.assertEqual((await self.event(socket))["type"], "welcome")
        self.assertEqual((await self.event(socket))["type"], "joined")
        for wrong in ['{"type":"shout","text":"a"}', '{"type":"message"}', '{"type":"message","text":7}',
                      '{"type":["message"],"text":"a"}', '{"type":"join","nick":null}', "[" * 8000]:
            await socket.send(wrong)
            await self.assert_error(socket, "bad_message")
        await self.send(socket, "message", text="still here")
        self.assertEqual((await self.event(socket))["text"], "still here")

    async def test_ten_errors_in_a_row_close_with_1008(self) -> None:
        for nick in None, "alice":
            with self.subTest(nick):
                socket = await (self.enter(nick) if nick else self.connect())
                for _ in range(10):
                    await socket.send("nonsense")
                    await self.assert_error(socket, "bad_message")
                self.assertNotEqual(await self.assert_closed(socket, 1008), "")

    async def test_a_message_between_errors_begins_a_new_row(self) -> None:
        socket = await self.enter("alice")
        for round_ in range(3):
            for _ in range(9):
                await self.send(socket, "message", text="")
                await self.assert_error(socket, "text_invalid")
            await self.send(socket, "message", text=str(round_))
            self.assertEqual((await self.event(socket))["text"], str(round_))


class Closing(WebSocketTest):
    async def test_1000_or_its_own_code_answers_a_close(self) -> None:
        socket = await self.enter("alice")
        await socket.close()
        self.assertEqual(socket.close_code, 1000)
        for payload, answer in (b"", 1000), (struct.pack("!H", 1000), 1000), (struct.pack("!H", 4001) + b"bye", 4001):
            with RawWebSocket(self.hub.web_port) as raw:
                raw.send(frame(CLOSE, payload))
                self.assertEqual(raw.close_code(), answer)

    async def test_1001_when_the_hub_shuts_down(self) -> None:
        alice, visitor = await self.enter("alice"), await self.connect()
        self.hub.send_signal(signal.SIGTERM)
        for socket in alice, visitor:
            await self.assert_closed(socket, 1001)
        self.assertEqual(await asyncio.to_thread(self.hub.wait), 0)

    async def test_1003_for_a_binary_message(self) -> None:
        for nick in None, "alice":
            socket = await (self.enter(nick) if nick else self.connect())
            await socket.send(b'{"type":"message","text":"binary"}')
            await self.assert_closed(socket, 1003)

    async def test_1009_for_a_message_above_16_kib(self) -> None:
        socket = await self.enter("alice")
        await socket.send("x" * 16384)
        await self.assert_error(socket, "bad_message")
        await socket.send("x" * 16385)
        await self.assert_closed(socket, 1009)
        socket = await self.enter("alice")
        await socket.send(["x" * 10_000, "x" * 10_000, "x"])
        await self.assert_closed(socket, 1009)

    async def test_others_see_left(self) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        await self.event(alice)
        await bob.send(b"binary")
        self.assertEqual((await self.event(alice))["type"], "left")


class BrokenFrames(HubTest):
    def assert_close(self, code: int, sent: bytes) -> None:
        with RawWebSocket(self.hub.web_port) as socket:
            socket.send(sent)
            self.assertEqual(socket.close_code(), code)

    def test_1002_when_the_protocol_is_broken(self) -> None:
        hello = b'{"type":"join","nick":"alice"}'
        for what, sent in {
            "not masked": frame(TEXT, hello, masked=False),
            "a reserved bit": frame(TEXT, hello, reserved=4),
            "two reserved bits": frame(TEXT, hello, reserved=3),
            "a reserved opcode": frame(3, hello),
            "a reserved control opcode": frame(11, b""),
            "a control frame in fragments": frame(PING, b"", final=False),
            "a long control frame": frame(PING, b"x" * 126),
            "a continuation of nothing": frame(0, hello),
            "a message inside of a message": frame(TEXT, b"{", final=False) + frame(TEXT, b"}"),
            "a close with half a code": frame(CLOSE, b"\x03"),
            "a close with a code that is never sent": frame(CLOSE, struct.pack("!H", 1005)),
            "a close with an undefined code": frame(CLOSE, struct.pack("!H", 999)),
            "a length that is not the shortest": b"\x81\xfe" + struct.pack("!H", 5) + b"\0\0\0\0hello",
            "a length above 2^63": b"\x81\xff" + struct.pack("!Q", 2**63) + b"\0\0\0\0",
        }.items():
            with self.subTest(what):
                self.assert_close(1002, sent)

    def test_1007_for_what_is_not_utf_8(self) -> None:
        for sent in [frame(TEXT, b"\xff"), frame(TEXT, b"\xed\xa0\x80"), frame(TEXT, b"\xe2\x82"),
                     frame(TEXT, b"\xe2", final=False) + frame(0, b"\x28\xa1"),
                     frame(CLOSE, struct.pack("!H", 1000) + b"\xff")]:
            with self.subTest(sent):
                self.assert_close(1007, sent)

    def test_1009_as_soon_as_the_length_is_known(self) -> None:
        self.assert_close(1009, b"\x81\xfe" + struct.pack("!H", 16385) + b"\0\0\0\0")
        self.assert_close(1009, b"\x81\xff" + struct.pack("!Q", 2**40) + b"\0\0\0\0")

    def test_a_character_may_be_cut_between_fragments_and_a_ping_come_in_between(self) -> None:
        with RawWebSocket(self.hub.web_port) as socket:
            whole = '{"type":"join","nick":"Zoë"}'.encode()
            cut = whole.index("ë".encode()) + 1
            sent = frame(TEXT, whole[:cut], final=False) + frame(PING, b"now") + frame(0, whole[cut:])
            for byte in sent:
                socket.send(bytes([byte]))
            self.assertEqual(socket.frame(), (PONG, b"now"))
            opcode, payload = socket.frame()
            self.assertEqual((opcode, json.loads(payload)["nick"]), (TEXT, "Zoë"))

    def test_frames_that_come_with_the_request(self) -> None:
        early = frame(TEXT, b'{"type":"join","nick":"eager"}') + frame(PING, b"!")
        with RawWebSocket(self.hub.web_port, early=early) as socket:
            frames = [socket.frame() for _ in range(3)]
            self.assertIn((PONG, b"!"), frames)
            frames.remove((PONG, b"!"))
            self.assertEqual([json.loads(payload)["type"] for _, payload in frames], ["welcome", "joined"])

    def test_a_broken_connection_disturbs_nobody(self) -> None:
        seen = self.join("seen")
        with RawWebSocket(self.hub.web_port) as socket:
            socket.send(frame(TEXT, b'{"type":"join","nick":"broken"}'))
            self.assertEqual(seen.line(), b"broken joined the chat!")
            socket.send(frame(TEXT, b"\xff"))
            self.assertEqual(seen.line(), b"broken left the chat!")


class Handshake(WebSocketTest):
    async def status(self, **options: Any) -> int:
        try:
            await (await self.connect(**options)).close()
        except websockets.InvalidStatusCode as refusal:
            return refusal.status_code
        return 101

    async def test_a_page_may_connect_only_from_the_hubs_own_origin(self) -> None:
        here = f"http://{LOCALHOST}:{self.hub.web_port}"
        self.assertEqual(await self.status(), 101)
        self.assertEqual(await self.status(origin=here), 101)
        for origin in ["http://evil.example", "null", f"http://{LOCALHOST}", f"http://localhost:{self.hub.web_port}",
                       here + ".evil.example", "file://", LOCALHOST, "https://" + LOCALHOST]:
            with self.subTest(origin):
                self.assertEqual(await self.status(origin=origin), 403)

    async def test_a_page_that_a_proxy_publishes_may_connect_too(self) -> None:
        self.hub = self.enterContext(Hub("--web-hosts", "chat.example, other.example:8443"))
        for origin, status in {"https://chat.example": 101, "https://Other.example:8443": 101,
                               "https://other.example": 403, "https://evil.example": 403}.items():
            with self.subTest(origin):
                self.assertEqual(await self.status(origin=origin), status)

    def test_what_is_no_handshake(self) -> None:
        good = {"Host": "localhost", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade",
                "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}

        def answer(method: str = "GET", version: str = "1.1", **changed: str | None) -> support.Response:
            fields = {**good, **{name.replace("_", "-"): value for name, value in changed.items()}}
            lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
            with Http(self.hub.web_port) as client:
                client.send("\r\n".join([f"{method} /ws HTTP/{version}", *lines, "", "body!"]).encode())
                return client.response()

        self.assertEqual(answer().status, 101)
        self.assertEqual(answer(Upgrade="WebSocket", Connection="upgrade").status, 101)
        self.assertEqual(answer(Sec_WebSocket_Key=None).status, 400)
        self.assertEqual(answer(Sec_WebSocket_Key="dGhlIHNhbXBsZQ==").status, 400)
        self.assertEqual(answer(Sec_WebSocket_Key="not base64, not base64!!").status, 400)
        self.assertEqual(answer(Connection="keep-alive").status, 400)
        self.assertEqual(answer(version="1.0").status, 426)
        self.assertEqual(answer(Content_Length="5").status, 413)
        self.assertEqual(answer(method="POST").status, 405)
        for changed in {"Sec_WebSocket_Version": "8"}, {"Sec_WebSocket_Version": None}:
            refusal = answer(**changed)
            self.assertEqual((refusal.status, refusal.header("Sec-WebSocket-Version")), (426, "13"))
        plain = answer(Upgrade=None)
        self.assertEqual((plain.status, plain.header("Upgrade")), (426, "websocket"))
        self.assertEqual(answer(Host="evil.example").status, 421)


class Pages(HubTest):
    def http(self) -> Http:
        return self.enterContext(Http(self.hub.web_port))

    def test_the_page_and_its_files(self) -> None:
        client = self.http()
        page = client.get("/")
        self.assertEqual((page.status, page.header("Content-Type")), (200, "text/html; charset=utf-8"))
        names = set(re.findall(r'(?:src|href)="(/[^"#]+)"', page.body.decode()))
        names |= {"/" + path.name for path in (support.SOURCE / "web").glob("*.js")}
        types = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
        self.assertGreaterEqual(len(names), 3)
        for name in sorted(names):
            with self.subTest(name):
                file = client.get(name)
                self.assertEqual((file.status, file.header("Content-Type")), (200, types[pathlib.Path(name).suffix]))
                self.assertEqual(file.body, (support.SOURCE / "web" / name[1:]).read_bytes())

    def test_no_response_lets_a_foreign_script_in(self) -> None:
        client = self.http()
        for target in "/", "/hub.json", "/no/such/page", "/ws":
            response = client.get(target)
            policy = response.header("Content-Security-Policy")
            self.assertIn("default-src 'self'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(response.header("X-Content-Type-Options"), "nosniff")
            self.assertEqual(response.header("Referrer-Policy"), "no-referrer")

    def test_hub_json_tells_where_programs_connect(self) -> None:
        response = self.http().get("/hub.json")
        self.assertEqual(response.header("Content-Type"), "application/json")
        self.assertEqual(json.loads(response.body)["tcp_port"], self.hub.port)

    def test_head_is_get_without_the_body(self) -> None:
        client = self.http()
        got, head = client.get("/"), client.get("/", method="HEAD")
        for response in got, head:
            response.headers.pop("date")
        self.assertEqual((head.status, head.headers, head.body), (got.status, got.headers, b""))
        self.assertEqual(client.get("/").status, 200)

    def test_what_is_not_there(self) -> None:
        client = self.http()
        for target in "/nothing", "/index.html/", "/../README.md", "/%2e%2e/README.md", "/hub.json/x":
            with self.subTest(target):
                self.assertEqual(client.get(target).status, 404)
        for method, status in ("DELETE", 405), ("PUT", 405), ("OPTIONS", 204):
            answer = client.get("/", "Content-Length: 0", method=method)
            self.assertEqual((answer.status, answer.header("Allow")), (status, "GET, HEAD, OPTIONS"))

    def test_a_browser_fetches_a_file_once(self) -> None:
        client = self.http()
        tag = client.get("/").header("ETag")
        for tags in tag, f'"other", {tag}', f"W/{tag}", "*":
            with self.subTest(tags):
                again = client.get("/", f"If-None-Match: {tags}")
                self.assertEqual((again.status, again.header("ETag"), again.body), (304, tag, b""))
        self.assertEqual(client.get("/", 'If-None-Match: "other"').status, 200)

    def test_only_names_of_this_machine(self) -> None:
        for host in "localhost", f"LOCALHOST:{self.hub.web_port}", LOCALHOST, "[::1]:80", "10.1.2.3":
            self.assertEqual(self.ask(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode()).status, 200, host)
        for host in "evil.example", "localhost.evil.example", "evil.example:80", "localhost.":
            self.assertEqual(self.ask(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode()).status, 421, host)

    def test_names_that_a_proxy_publishes(self) -> None:
        self.hub = self.enterContext(Hub("--web-hosts", "chat.example"))
        for host, status in {"chat.example": 200, "localhost": 200, "evil.example": 421}.items():
            self.assertEqual(self.ask(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode()).status, status, host)

    def ask(self, request: bytes) -> support.Response:
        with Http(self.hub.web_port) as client:
            client.send(request)
            return client.response()

    def test_pipelining(self) -> None:
        client = self.http()
        targets = ["/", "/hub.json", "/nothing", "/style.css", "/"]
        requests = b"".join(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % target.encode() for target in targets)
        client.send(requests + requests[:30])
        client.send(requests[30:])
        for target in targets * 2:
            response = client.response()
            alone = self.http().get(target)
            self.assertEqual((response.status, response.body), (alone.status, alone.body))

    def test_a_request_that_has_begun_is_answered_in_a_shutdown(self) -> None:
        self.hub = self.enterContext(Hub("--threads", "1"))
        client, idle = self.http(), self.http()
        idle.get("/hub.json")
        client.send(b"GET /hub.json HTTP/1.1\r\nHost: local")
        self.assertEqual(self.http().get("/").status, 200)  # the half request has been read, too
        self.hub.begin_to_stop()
        self.assertIsNone(idle.response())
        client.send(b"host\r\n\r\n")
        response = client.response()
        self.assertEqual((response.status, response.header("Connection")), (200, "close"))
        self.assertIsNone(client.response())
        self.assertEqual(self.hub.wait(), 0)

    def test_the_last_request_closes(self) -> None:
        client = self.http()
        client.send(b"GET /hub.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n")
        response = client.response()
        self.assertEqual((response.status, response.header("Connection")), (200, "close"))
        self.assertIsNone(client.response())
        client = self.http()
        client.send(b"GET /hub.json HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self.assertEqual(client.response().status, 200)
        self.assertIsNone(client.response())

    def test_a_request_inside_of_another_is_refused(self) -> None:
        inner = b"GET /hub.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
        for what, request in {
            "two lengths": head + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
            "the same length twice": head + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
            "lengths in a list": head + b"Content-Length: 0, 0\r\n\r\n",
            "a signed length": head + b"Content-Length: +0\r\n\r\n",
            "a length in hex": head + b"Content-Length: 0x0\r\n\r\n",
            "a length and chunks": head + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "chunks and a length": head + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            "a coding that is not chunked": head + b"Transfer-Encoding: gzip\r\n\r\n",
            "chunked, but not alone": head + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "chunked twice": head + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "a folded field": head + b"X: a\r\n Content-Length: 5\r\n\r\n",
            "a space before the colon": head + b"Content-Length : 5\r\n\r\n",
            "a field without a name": head + b": 5\r\n\r\n",
            "a CR alone": head + b"X: a\rContent-Length: 5\r\n\r\n",
            "a NUL": head + b"X: a\0b\r\n\r\n",
            "a chunk with a size of nothing": head + b"Transfer-Encoding: chunked\r\n\r\n\r\n\r\n",
            "a chunk with a sign": head + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
            "no host": b"GET / HTTP/1.1\r\n\r\n",
            "two hosts": b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            "no HTTP": b"NICK alice\r\n\r\n",
            "no such version": b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n",
            "another version": b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
            "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        }.items():
            with self.subTest(what), Http(self.hub.web_port) as client:
                client.send(request + inner)
                response = client.response()
                self.assertIn(response.status, {400, 501, 505})
                self.assertEqual(response.header("Connection"), "close")
                self.assertIsNone(client.response(), "the inner request was answered")

    def test_a_head_without_end(self) -> None:
        client = self.http()
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: %s\r\n" % (b"x" * 1000) * 200)
        self.assertEqual(client.response().status, 431)


class Silence(HubTest):
    """Takes 30 s: the documented time limits."""

    def wait_for_close(self, socket: RawWebSocket, received: list[tuple[float, int, bytes]]) -> None:
        begin = time.monotonic()
        while read := socket.frame():
            received.append((time.monotonic() - begin, *read))
        received.append((time.monotonic() - begin, -1, b""))

    def test_a_nickname_within_10_s_a_ping_after_15_and_the_end_after_30(self) -> None:
        received: dict[str, list[tuple[float, int, bytes]]] = {"no nickname": [], "no pong": []}
        sockets = {name: self.enterContext(RawWebSocket(self.hub.web_port)) for name in received}
        answering = self.enterContext(RawWebSocket(self.hub.web_port))
        sockets["no pong"].send(frame(TEXT, b'{"type":"join","nick":"silent"}'))
        answering.send(frame(TEXT, b'{"type":"join","nick":"answering"}'))
        threads = [threading.Thread(target=self.wait_for_close, args=(sockets[name], seen))
                   for name, seen in received.items()]
        for thread in threads:
            thread.start()
        answering.socket.settimeout(2 * WAIT_S)
        frames = []
        while not frames or b'"left"' not in frames[-1][1]:  # that of the silent one
            frames.append(answering.frame())
            if frames[-1][0] == PING:
                answering.send(frame(PONG, frames[-1][1]))
        for thread in threads:
            thread.join(2 * WAIT_S)
        self.assertGreaterEqual(sum(opcode == PING for opcode, _ in frames), 1)
        after, opcode, payload = received["no nickname"][0]
        self.assertEqual((opcode, payload[:2]), (CLOSE, struct.pack("!H", 1008)))
        self.assertIn(b"nickname", payload[2:])
        self.assertGreater(after, 9.9)
        after, opcode, _ = next(each for each in received["no pong"] if each[1] != TEXT)
        self.assertEqual(opcode, PING)
        self.assertGreater(after, 14.9)
        self.assertGreater(received["no pong"][-1][0], 29.9)


if __name__ == "__main__":
    unittest.main(verbosity=2)
