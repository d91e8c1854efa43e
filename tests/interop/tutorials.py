# Helpers of the tests of the tutorials' programs: starts each program in both languages, and talks to it.

import contextlib
import dataclasses
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from support import WAIT_S

OURS = pathlib.Path(os.environ.get("COAX_EXAMPLES", "build/release/examples"))
PYTHONS = pathlib.Path(__file__).resolve().parent / "tutorial"
# Ours with Python's, the reverse, and ours with ours: a name for a server and for a client.
PAIRS = ("{}", "{}.py"), ("{}.py", "{}"), ("{}", "{}")


def command(name: str) -> list[str]:
    """`echo_server` is ours, `echo_server.py` Python's."""
    return [sys.executable, str(PYTHONS / name)] if name.endswith(".py") else [str(OURS / name)]


def run(name: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command(name), *arguments], input=given, capture_output=True, text=True, timeout=WAIT_S,
                          check=False)


def ask(name: str, *arguments: str, given: str = "") -> tuple[int, str]:
    """Its exit code and what it prints."""
    done = run(name, *arguments, given=given)
    return done.returncode, done.stdout


def is_bound(protocol: str, port: int) -> bool:
    """By the kernel's table, so that the check does not disturb the server."""
    listening = {"tcp": "0A", "udp": "07"}[protocol]
    rows = [row.split() for row in pathlib.Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == listening for row in rows)


def free_port(protocol: str = "tcp") -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@dataclasses.dataclass
class Server:
    process: subprocess.Popen[str]
    port: int

    def printed(self, until: str) -> str:
        """Its output, up to `until`."""
        text = ""
        deadline = time.monotonic() + WAIT_S
        while until not in text and select.select([self.process.stdout], [], [], deadline - time.monotonic())[0]:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                break
            text += data.decode()
        return text


@contextlib.contextmanager
def started(name: str, *arguments: str, is_ready: Callable[[], bool], port: int = 0) -> Iterator[Server]:
    """While the block runs; it must outlive it."""
    with subprocess.Popen([*command(name), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + WAIT_S
            while not is_ready():
                assert process.poll() is None and time.monotonic() < deadline, f"{name} does not listen"
                os.sched_yield()
            yield Server(process, port)
            assert process.poll() is None, f"{name} did not survive"
        finally:
            process.kill()


@contextlib.contextmanager
def serving(name: str, *arguments: str, protocol: str = "tcp", port: int = 0) -> Iterator[Server]:
    port = port or free_port(protocol)
    with started(name, str(port), *arguments, is_ready=lambda: is_bound(protocol, port), port=port) as server:
        yield server


def connect(port: int, **options: int) -> socket.socket:
    client = socket.socket()
    if "receive_buffer" in options:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["receive_buffer"])
    client.settimeout(WAIT_S)
    client.connect(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def rest(client: socket.socket) -> bytes:
    data = b""
    while more := client.recv(65536):
        data += more
    return data


def exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := client.recv(count - len(data))):
        data += more
    return data


def say(port: int, *segments: bytes) -> bytes:
    """Sends each piece by itself, shuts down its side, and returns the answer."""
    with connect(port) as client:
        for segment in segments:
            client.sendall(segment)
        client.shutdown(socket.SHUT_WR)
        return rest(client)


def cuts(*messages: bytes) -> dict[str, list[bytes]]:
    """The ways in which TCP can split them."""
    joined = b"".join(messages)
    return {"whole": list(messages), "joined": [joined], "byte by byte": [bytes([byte]) for byte in joined]}


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def framed(*messages: bytes) -> bytes:
    return b"".join(struct.pack("!I", len(message)) + message for message in messages)


def count_lines(path: pathlib.Path) -> int:
    """Of code: without includes and imports, comments and empty lines."""
    return sum(not re.match(r"\s*(//|#|import |from |$)", line) for line in path.read_text().splitlines())
