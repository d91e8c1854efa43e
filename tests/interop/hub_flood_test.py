#!/usr/bin/env python3
# A talker that floods the room: it is slowed, every reader that keeps up gets every line in order, and only the reader
# that never reads is disconnected. The same for programs with a Topic of their own.

import json
import os
import pathlib
import selectors
import signal
import socket
import time
import unittest

from support import LOCALHOST, WAIT_S, Client, HubTest, Program, RawWebSocket, frame, has_asan, join

TEXT = 1
FLOOD_WAIT_S = 90.0


def examples() -> pathlib.Path:
    return pathlib.Path(os.environ["COAX_EXAMPLES"])


class Reader:
    """In the room and on a non-blocking socket; collects the lines that `speaker` said."""

    def __init__(self, client: Client, speaker: str) -> None:
        self.socket = client.socket
        self.socket.setblocking(False)
        self.unread = bytearray(client.unread)
        self.speaker = speaker.encode() + b": "
        self.said: list[bytes] = []
        self.ended = False

    def read(self) -> None:
        try:
            for _ in range(4):
                data = self.socket.recv(1 << 20)
                if not data:
                    self.ended = True
                    break
                self.unread += data
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.ended = True
        self.decode()

    def decode(self) -> None:
        *lines, rest = bytes(self.unread).split(b"\n")
        self.unread = bytearray(rest)
        self.said += [line.removeprefix(self.speaker) for line in lines if line.startswith(self.speaker)]


class WebSocketReader(Reader):
    def decode(self) -> None:
        data = memoryview(bytes(self.unread))
        at = 0
        while len(data) - at >= 2:
            size, head = data[at + 1], 2
            if size >= 126:
                head = 4 if size == 126 else 10
                size = int.from_bytes(data[at + 2:at + head])
            if len(data) - at < head + size:
                break
            if data[at] & 15 == TEXT:
                message = json.loads(bytes(data[at + head:at + head + size]))
                if message["type"] == "message" and message["nick"].encode() + b": " == self.speaker:
                    self.said.append(message["text"].encode())
            at += head + size
        self.unread = bytearray(data[at:])


class Flood:
    """Sends `data` from one socket while all readers read, until each has `count` lines or has ended."""

    def __init__(self, writer: socket.socket, readers: list[Reader]) -> None:
        self.writer, self.readers = writer, readers
        self.on_turn = lambda: None
        self.is_over = lambda: True

    def run(self, data: bytes, count: int) -> None:
        unsent = memoryview(data)
        with selectors.DefaultSelector() as selector:
            for reader in self.readers:
                selector.register(reader.socket, selectors.EVENT_READ, reader)
            by_socket = {reader.socket: reader for reader in self.readers}
            self.writer.setblocking(False)
            writes_on_own = self.writer in by_socket
            if writes_on_own:
                selector.modify(self.writer, selectors.EVENT_READ | selectors.EVENT_WRITE, by_socket[self.writer])
            else:
                selector.register(self.writer, selectors.EVENT_WRITE, None)
            end = time.monotonic() + FLOOD_WAIT_S
            while not self.is_over() or any(len(reader.said) < count and not reader.ended for reader in self.readers):
                assert time.monotonic() < end, [len(reader.said) for reader in self.readers]
                self.on_turn()
                for key, events in selector.select(0.2):
                    if events & selectors.EVENT_WRITE:
                        unsent = unsent[self.writer.send(unsent[:1 << 18]):]
                        if not unsent:
                            if writes_on_own:
                                selector.modify(self.writer, selectors.EVENT_READ, key.data)
                            else:
                                selector.unregister(self.writer)
                    if events & selectors.EVENT_READ:
                        key.data.read()
                        if key.data.ended:
                            selector.unregister(key.data.socket)


def lines_of(count: int, size: int) -> list[bytes]:
    return [b"%08d " % number + b"x" * (size - 10) for number in range(count)]


class HubFlood(HubTest):
    flags = ("--threads", "2", "--log-level", "warning")
    count = 2_000 if has_asan() else 22_000  # of 900 bytes: 20 MB

    def setUp(self) -> None:
        super().setUp()
        self.lines = lines_of(self.count, 900)

    def member(self, nick: str, **options: int) -> Client:
        return self.join(nick, **options)

    def page(self, nick: str, **options: int) -> RawWebSocket:
        page = self.enterContext(RawWebSocket(self.hub.web_port, **options))
        page.send(frame(TEXT, json.dumps({"type": "join", "nick": nick}).encode()))
        while json.loads(page.frame()[1])["type"] != "joined":
            pass
        return page

    def readers(self, count: int) -> list[Reader]:
        return [Reader(self.member(f"reader {number}"), "writer") if number % 2 == 0 else
                WebSocketReader(self.page(f"reader {number}"), "writer") for number in range(count)]

    def check(self, readers: list[Reader]) -> None:
        for reader in readers:
            self.assertEqual(len(reader.said), self.count)
            self.assertEqual(reader.said, self.lines)

    def memory_kib(self) -> int:
        status = pathlib.Path(f"/proc/{self.hub.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    def test_writer_of_20_mb_and_20_readers_get_all_and_the_lazy_one_is_dropped(self) -> None:
        readers = self.readers(20)
        lazy = self.member("lazy", recv_buffer=4096)
        lazy_page = self.page("lazy page", recv_buffer=4096)
        writer = Reader(self.member("writer"), "writer")
        before = self.memory_kib()
        Flood(writer.socket, [*readers, writer]).run(b"".join(line + b"\n" for line in self.lines), self.count)
        self.check([*readers, writer])
        if has_asan():
            return
        self.hub.log.wait_for("reads too slowly", 2)
        self.assertLess(self.memory_kib() - before, 64 << 10)
        with self.assertRaises(ConnectionResetError, msg="what was cut must not look like an end"):
            lazy.rest()
        with self.assertRaises(ConnectionResetError):
            lazy_page.rest()

    def test_writer_over_websocket_floods_too(self) -> None:
        readers = self.readers(6)
        page = self.page("writer")
        writer = WebSocketReader(page, "writer")
        data = b"".join(frame(TEXT, json.dumps({"type": "message", "text": line.decode()}).encode(), masked=True)
                        for line in self.lines[:2000])
        self.lines = self.lines[:2000]
        self.count = 2000
        Flood(writer.socket, [*readers, writer]).run(data, self.count)
        self.check([*readers, writer])

    def test_joins_and_leaves_meanwhile_count_against_nobody(self) -> None:
        readers = self.readers(10)
        writer = Reader(self.member("writer"), "writer")
        flood = Flood(writer.socket, [*readers, writer])
        come_and_gone = []

        def come_and_go() -> None:
            """100 join and 100 leave in a turn, as connections that are reset."""
            if len(come_and_gone) == 30:
                return
            come_and_gone.append(None)
            clients = []
            for number in range(100):
                client = Client(self.hub.port)
                client.send(f"guest {len(come_and_gone)} {number}\n".encode())
                clients.append(client)
            for client in clients:
                client.reset()

        flood.on_turn = come_and_go
        flood.is_over = lambda: len(come_and_gone) == 30
        flood.run(b"".join(line + b"\n" for line in self.lines), self.count)
        self.check([*readers, writer])
        self.assertNotIn("reads too slowly", self.hub.log.text())

    def test_32000_shortest_lines_at_once(self) -> None:
        readers = self.readers(6)
        writer = Reader(self.member("writer"), "writer")
        self.count = 32_000
        self.lines = [b"x"] * self.count
        Flood(writer.socket, [*readers, writer]).run(b"x\n" * self.count, self.count)
        self.check([*readers, writer])

    def test_members_that_leave_at_once_drop_nobody(self) -> None:
        count = 300 if has_asan() else 1500
        readers = self.readers(4)
        crowd = [self.member(f"guest {number}") for number in range(count)]
        writer = self.member("writer")
        for client in crowd:
            client.reset()
        self.count = 1
        self.lines = [b"done"]
        Flood(writer.socket, readers).run(b"done\n", 1)
        self.check(readers)

    def test_a_hub_that_was_stopped_for_a_while_drops_nobody(self) -> None:
        self.count //= 10
        self.lines = self.lines[:self.count]
        readers = self.readers(6)
        writer = Reader(self.member("writer"), "writer")
        flood = Flood(writer.socket, [*readers, writer])
        self.hub.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()

        def resume() -> None:
            if time.monotonic() - stopped > 7:  # longer than a reader may be behind
                self.hub.send_signal(signal.SIGCONT)

        flood.on_turn = resume
        flood.run(b"".join(line + b"\n" for line in self.lines), self.count)
        self.check([*readers, writer])

    def test_error_answers_to_a_client_that_does_not_read_are_bounded(self) -> None:
        self.page("witness")
        noisy = Client(self.hub.port, recv_buffer=4096)
        self.enterContext(noisy)
        noisy.send(b"z\n" + b"\xff\n" * 7000)
        end = time.monotonic() + WAIT_S
        data = b""
        while data.count(b"error: ") < 7000 and time.monotonic() < end:
            data += noisy.socket.recv(65536)
        self.assertEqual(data.count(b"error: a message must be UTF-8; it was not sent\n"), 7000)
        noisy.send(b"hello\n")
        while not data.endswith(b"z: hello\n") and time.monotonic() < end:
            data += noisy.socket.recv(65536)


class LargeWelcome(HubTest):
    flags = ("--outbox-bytes-max", "16KiB")

    def test_a_welcome_above_the_bound_of_an_outbox_arrives(self) -> None:
        for number in range(300):
            self.join("\N{GRINNING FACE}" * 29 + f"{number:03}")
        page = self.enterContext(RawWebSocket(self.hub.web_port))
        page.send(frame(TEXT, b'{"type":"join","nick":"page"}'))
        welcome = page.frame()[1]
        self.assertGreater(len(welcome), 16 << 10)
        self.assertEqual(len(json.loads(welcome)["users"]), 301)
        page.send(frame(TEXT, b'{"type":"message","text":"hello"}'))
        while (event := json.loads(page.frame()[1]))["type"] != "message":
            pass
        self.assertEqual(event["text"], "hello")


class ExampleFlood(unittest.TestCase):
    """The README's chat, and the chat of the tutorials: a user's own program with a Topic."""

    def flood(self, name: str) -> None:
        count = 1_000 if has_asan() else 11_000
        lines = lines_of(count, 900)
        with socket.socket() as free:
            free.bind((LOCALHOST, 0))
            port = free.getsockname()[1]
        with Program(str(examples() / name), str(port)) as program:
            end = time.monotonic() + WAIT_S
            while time.monotonic() < end:
                try:
                    socket.create_connection((LOCALHOST, port)).close()
                    break
                except ConnectionRefusedError:
                    assert program.process.poll() is None, program.log.wait_for_end()

            class Example:
                pass

            hub = Example()
            hub.port = port
            readers = [Reader(self.enterContext(join(hub, f"reader{number}")), "writer") for number in range(8)]
            lazy = self.enterContext(join(hub, "lazy", recv_buffer=4096))
            writer = Reader(self.enterContext(join(hub, "writer")), "writer")
            Flood(writer.socket, [*readers, writer]).run(b"".join(line + b"\n" for line in lines), count)
            for reader in [*readers, writer]:
                self.assertEqual(reader.said, lines)
            if not has_asan():
                with self.assertRaises(ConnectionResetError):
                    lazy.rest()

    def test_chat(self) -> None:
        self.flood("chat")

    def test_chat_server(self) -> None:
        self.flood("chat_server")


if __name__ == "__main__":
    unittest.main()
