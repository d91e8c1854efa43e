#!/usr/bin/env python3
# The tutorials' programs in both languages (examples/, tests/interop/tutorial/) talk to each other in both directions,
# however TCP cuts what they say; and ours stand what breaks the others.

import contextlib
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import time
import unittest
from collections.abc import Iterator

from support import SOURCE, WAIT_S

OURS = pathlib.Path(os.environ.get("COAX_EXAMPLES", "build/release/examples"))
PYTHONS = pathlib.Path(__file__).resolve().parent / "tutorial"


def command(name: str) -> list[str]:
    """`echo_server` is ours, `echo_server.py` Python's."""
    return [sys.executable, str(PYTHONS / name)] if name.endswith(".py") else [str(OURS / name)]


def ask(name: str, *arguments: str) -> tuple[int, str]:
    done = subprocess.run([*command(name), *arguments], capture_output=True, text=True, timeout=WAIT_S, check=False)
    return done.returncode, done.stdout


def is_bound(protocol: str, port: int) -> bool:
    """In the kernel's table, so that a server is not disturbed by being looked for."""
    listening = {"tcp": "0A", "udp": "07"}[protocol]
    rows = [row.split() for row in pathlib.Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == listening for row in rows)


@contextlib.contextmanager
def serving(name: str, protocol: str = "tcp", port: int = 0) -> Iterator[int]:
    """The port that it serves, while the block runs."""
    if not port:
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    with subprocess.Popen([*command(name), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + WAIT_S
            while not is_bound(protocol, port):
                assert server.poll() is None and time.monotonic() < deadline, f"{name} does not listen"
                os.sched_yield()
            yield port
            assert server.poll() is None, f"{name} did not survive"
        finally:
            server.kill()


def connect(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def rest(client: socket.socket) -> bytes:
    data = b""
    while more := client.recv(65536):
        data += more
    return data


def say(port: int, *segments: bytes) -> bytes:
    """Sends each of them for itself, finishes, and returns all that comes."""
    with connect(port) as client:
        for segment in segments:
            client.sendall(segment)
        client.shutdown(socket.SHUT_WR)
        return rest(client)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


SERVERS = ["tcp_server", "limited_server", "echo_server", "broadcast_server", "quit_server", "half_close",
           "async_server", "threaded_server"]
CLIENTS = ["tcp_client", "udp_client", "error_client", "echo_client"]


class BothWays(unittest.TestCase):
    PAIRS = ("{}", "{}.py"), ("{}.py", "{}"), ("{}", "{}")

    def test_tcp(self) -> None:
        for server, client in self.PAIRS:
            with self.subTest(server=server, client=client), serving(server.format("tcp_server")) as port:
                self.assertEqual(ask(client.format("tcp_client"), "127.0.0.1", str(port)),
                                 (0, "Received: Hello from the server!\n"))

    def test_udp(self) -> None:
        for server, client in self.PAIRS:
            with self.subTest(server=server, client=client), serving(server.format("udp_server"), "udp") as port:
                self.assertEqual(ask(client.format("udp_client"), "127.0.0.1", str(port)),
                                 (0, "Received: Response from server\n"))

    def test_echo(self) -> None:
        for server, client in self.PAIRS:
            with self.subTest(server=server, client=client), serving(server.format("echo_server")) as port:
                status, said = ask(client.format("echo_client"), "127.0.0.1", str(port))
                first, *pieces = [line.split('"')[1] for line in said.splitlines()]
                self.assertEqual((status, "".join(pieces)), (0, first))
                self.assertTrue(all(len(piece) <= 16 for piece in pieces), pieces)

    def test_failures_are_told_alike(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = str(closed.getsockname()[1])
        for client in "error_client", "error_client.py":
            with self.subTest(client):
                self.assertEqual(ask(client, "127.0.0.1", port), (1, "Connection refused: is the server running?\n"))
                self.assertEqual(ask(client, "no-such-name.invalid", "80"), (1, "Unknown host name.\n"))


class Segments(unittest.TestCase):
    TEXTS = {
        "tcp_server": (b"one\ntwo\n", b"Hello from the server!" * 2),
        "limited_server": (b"one\ntwo\n", b"Processed: one\nProcessed: two\n"),
        "echo_server": (b"a text that is longer than a piece", b"a text that is longer than a piece"),
        "threaded_server": (b"any text", b"any text"),
        "quit_server": (b"one\nquit\n", b"You said: one\nGoodbye!\n"),
        "half_close": (b"twelve bytes", b"Received 12 bytes"),
        "async_server": (b"one\ntwo\n", b"Response\nResponse\n"),
    }

    def test_joined_or_byte_by_byte_the_answers_are_the_same(self) -> None:
        for name, (text, answer) in self.TEXTS.items():
            with serving(name) as port:
                for cut in [text], text.splitlines(keepends=True), [bytes([byte]) for byte in text]:
                    with self.subTest(name, cut=cut):
                        self.assertEqual(say(port, *cut), answer)


class Limited(unittest.TestCase):
    def test_each_bad_line_gets_its_answer_and_the_next_is_processed(self) -> None:
        with serving("limited_server") as port:
            self.assertEqual(say(port, b"x" * 1025 + b"\n" + b"\xff\n" + "ä".encode() * 101 + b"\n"),
                             b"Error: Message too long\nError: Not UTF-8\nProcessed: " + "ä".encode() * 100 + b"\n")

    def test_the_eleventh_is_refused_until_a_place_is_free(self) -> None:
        with serving("limited_server") as port, contextlib.ExitStack() as stack:
            guests = [stack.enter_context(connect(port)) for _ in range(10)]
            for guest in guests:
                guest.sendall(b"in\n")
                self.assertEqual(guest.recv(100), b"Processed: in\n")
            with connect(port) as eleventh:
                self.assertEqual(rest(eleventh), b"Server busy. Try again later.\n")
            guests[0].shutdown(socket.SHUT_WR)
            self.assertEqual(rest(guests[0]), b"")
            self.assertEqual(say(port, b"now\n"), b"Processed: now\n")


class Broadcast(unittest.TestCase):
    def test_all_who_are_there_are_told_of_each_newcomer(self) -> None:
        welcome = b"Welcome to the server!"
        with serving("broadcast_server") as port, connect(port) as first:
            self.assertEqual(first.recv(len(welcome), socket.MSG_WAITALL), welcome)
            with connect(port) as second:
                self.assertEqual(second.recv(len(welcome), socket.MSG_WAITALL), welcome)
                self.assertEqual(first.recv(len(welcome), socket.MSG_WAITALL), welcome)


class Rude(unittest.TestCase):
    def test_one_who_is_silent_one_who_resets_and_bytes_that_are_no_text_harm_nobody(self) -> None:
        for name in SERVERS:
            with self.subTest(name), serving(name) as port, connect(port):
                rude = connect(port)
                rude.sendall(b"\xff\xfe\x80")
                reset(rude)
                if name == "broadcast_server":  # whoever finishes has left
                    with connect(port) as good:
                        self.assertEqual(good.recv(7, socket.MSG_WAITALL), b"Welcome")
                else:
                    self.assertNotEqual(say(port, b"good\n"), b"")

    def test_a_datagram_that_is_no_text_or_empty_is_answered(self) -> None:
        with serving("udp_server", "udp") as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(WAIT_S)
            for datagram in b"\xff", b"", b"text":
                client.sendto(datagram, ("127.0.0.1", port))
                self.assertEqual(client.recv(100), b"Response from server")

    def test_a_server_that_is_killed_while_somebody_is_connected_starts_again_on_its_port(self) -> None:
        for name in SERVERS:
            with self.subTest(name):
                with serving(name) as port, connect(port) as client:
                    client.sendall(b"x\n")
                with serving(name, port=port), connect(port):
                    pass


def count_lines(path: pathlib.Path) -> int:
    """Of code: without includes and imports, comments and empty lines."""
    return sum(not re.match(r"\s*(//|#|import |from |$)", line) for line in path.read_text().splitlines())


class Guide(unittest.TestCase):
    def test_the_table_counts_the_lines_of_both_sides(self) -> None:
        guide = (SOURCE / "docs/guide/tutorials.md").read_text()
        rows = re.findall(r"^\| `(\w+) .*` \|.*\| (\d+) \| (\d*) ?\|$", guide, re.MULTILINE)
        self.assertEqual({row[0] for row in rows}, {*SERVERS, *CLIENTS, "udp_server"})
        for name, ours, pythons in rows:
            with self.subTest(name):
                self.assertEqual(int(ours), count_lines(SOURCE / "examples" / f"{name}.cpp"))
                python = PYTHONS / f"{name}.py"
                self.assertEqual(pythons, str(count_lines(python)) if python.exists() else "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
