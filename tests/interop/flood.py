# A sender that floods a room, and readers that check what they receive.

import json
import pathlib
import selectors
import socket
import time

from support import Client, HubTest, RawWebSocket, frame, has_asan

TEXT = 1
FLOOD_WAIT_S = 90.0


class Reader:
    """A member of the room on a non-blocking socket; collects the lines of `speaker`."""

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


class FloodTest(HubTest):
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
