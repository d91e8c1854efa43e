#!/usr/bin/env python3
# Many joins, leaves, answers and short lines at once, a hub that was stopped, a large room: no reader that keeps up is
# disconnected.

import json
import signal
import time
import unittest

from flood import TEXT, Flood, FloodTest, Reader
from support import WAIT_S, Client, HubTest, RawWebSocket, frame, has_asan, join


class HubCrowd(FloodTest):
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


if __name__ == "__main__":
    unittest.main()
