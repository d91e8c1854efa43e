#!/usr/bin/env python3
# A user's own program with a Topic: a flooding sender is slowed, every reader that keeps up receives every line in
# order, and only the reader that never reads is disconnected.

import os
import pathlib
import socket
import time
import unittest

from flood import Flood, Reader, lines_of
from support import LOCALHOST, WAIT_S, Program, has_asan, join


def examples() -> pathlib.Path:
    return pathlib.Path(os.environ["COAX_EXAMPLES"])


class ExampleFlood(unittest.TestCase):
    """The README's chat, and the chat of the tutorials: a user's own program with a Topic."""

    def flood(self, name: str) -> None:
        count = 1_000 if has_asan() else 20_000  # above 16 MiB
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
