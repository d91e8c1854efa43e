#!/usr/bin/env python3
# Blocking sockets of ours and of Python's talk to each other, in both roles and over each family: examples/sockets.cpp.

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import unittest
from collections.abc import Iterator

from support import WAIT_S, has_ipv6

SOCKETS = pathlib.Path(os.environ.get("COAX_EXAMPLES", "build/release/examples")) / "sockets"


@contextlib.contextmanager
def serving(where: str) -> Iterator[str]:
    """The address of our listener, while the block runs."""
    with subprocess.Popen([SOCKETS, "serve", where], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().removeprefix("listening on ").strip()
        finally:
            server.kill()


def connect(where: str) -> socket.socket:
    if where.startswith("unix:"):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(WAIT_S)
        client.connect(where.removeprefix("unix:").replace("@", "\0"))
        return client
    host, port = where.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=WAIT_S)


def ask(where: str, *lines: str) -> list[str]:
    done = subprocess.run([SOCKETS, "ask", where, *lines], capture_output=True, text=True, timeout=WAIT_S, check=True)
    return done.stdout.splitlines()


class Sockets(unittest.TestCase):
    def places(self, folder: str) -> list[str]:
        v6 = ["[::1]:0"] if has_ipv6() else []
        return ["127.0.0.1:0", *v6, f"unix:{folder}/socket", f"unix:@coax-{os.getpid()}"]

    def test_pythons_clients_are_answered_one_beside_the_other(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for place in self.places(folder):
                with self.subTest(place), serving(place) as where, connect(where) as one, connect(where) as two:
                    for peer, text in (two, b"second"), (one, b"first"), (two, b"again"):
                        peer.sendall(text)
                        self.assertEqual(peer.recv(100), text)
                    one.shutdown(socket.SHUT_WR)
                    self.assertEqual(one.recv(100), b"")
                    two.sendall(b"still here")
                    self.assertEqual(two.recv(100), b"still here")

    def test_a_client_that_resets_harms_nobody(self) -> None:
        with serving("127.0.0.1:0") as where, connect(where) as other:
            rude = connect(where)
            rude.sendall(b"x")
            self.assertEqual(rude.recv(1), b"x")
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            rude.close()
            other.sendall(b"y")
            self.assertEqual(other.recv(1), b"y")

    def test_our_client_asks_a_server_of_python(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(WAIT_S)
            heard: list[bytes] = []

            def answer() -> None:
                peer, _ = listener.accept()
                with peer, peer.makefile("rwb") as lines:
                    for line in lines:
                        heard.append(line)
                        lines.write(line.upper())
                        lines.flush()

            server = threading.Thread(target=answer)
            server.start()
            said = ask(f"localhost:{listener.getsockname()[1]}", "one", "two words")
            server.join(WAIT_S)
        self.assertEqual(said, ["ONE", "TWO WORDS"])
        self.assertEqual(heard, [b"one\n", b"two words\n"])

    def test_nobody_there_is_told_in_one_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        done = subprocess.run([SOCKETS, "ask", f"127.0.0.1:{port}", "x"], capture_output=True, text=True,
                              timeout=WAIT_S, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f"sockets: connect to 127.0.0.1:{port}: Connection refused\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
