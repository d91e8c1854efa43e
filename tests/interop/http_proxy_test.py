#!/usr/bin/env python3
# The reverse proxy of the examples: long bodies in constant memory and at the pace of the slower side, WebSockets, and
# servers that are down or disconnect.

import asyncio
import contextlib
import http.client
import os
import pathlib
import select
import socket
import threading
import time
import unittest
from collections.abc import Iterator

import websockets

from support import LOCALHOST, WAIT_S, Program, has_asan

EXAMPLES = pathlib.Path(os.environ["COAX_EXAMPLES"])
MIB = 1024 * 1024
LONG = int(os.environ.get("COAX_PROXY_MIB", "32" if has_asan() else "256")) * MIB


def free_port() -> int:
    with socket.socket() as free:
        free.bind((LOCALHOST, 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def example(name: str, *words: str) -> Iterator[tuple[int, Program]]:
    """An example server, once it accepts connections."""
    port = free_port()
    with Program(str(EXAMPLES / name), str(port), *words) as program:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            try:
                socket.create_connection((LOCALHOST, port)).close()
                break
            except ConnectionRefusedError:
                assert program.process.poll() is None, program.log.wait_for_end()
        yield port, program


class Origin:
    """A server of plain sockets: /down sends LONG bytes, /up counts the received bytes, /cut disconnects early."""

    def __init__(self) -> None:
        self.sent = 0
        self.stalled = threading.Event()  # nothing could be sent for a second
        self.listener = socket.create_server((LOCALHOST, 0))
        self.where = f"{LOCALHOST}:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            got = b""
            while b"\r\n\r\n" not in got:
                got += peer.recv(65536)
            head, body = got.split(b"\r\n\r\n", 1)
            path = head.split(b" ")[1]
            if path == b"/down":
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LONG)
                part = bytes(65536)
                while self.sent < LONG:
                    if not select.select([], [peer], [], 1)[1]:
                        self.stalled.set()
                    self.sent += peer.send(part)
            elif path == b"/up":
                count = len(body)
                while count < LONG:
                    count += len(peer.recv(1 << 20))
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(count)), count))
            elif path == b"/cut":
                peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
            elif path == b"/silent":
                peer.recv(1)


def peak_memory(program: Program) -> int:
    """In bytes, of physical memory."""
    status = pathlib.Path(f"/proc/{program.process.pid}/status").read_text()
    return int(next(line for line in status.split("\n") if line.startswith("VmHWM")).split()[1]) * 1024


class HttpProxy(unittest.TestCase):
    def setUp(self) -> None:
        self.origin = Origin()
        self.addCleanup(self.origin.listener.close)
        self.port, self.proxy = self.enterContext(example("http_proxy", self.origin.where))

    def client(self, port: int) -> http.client.HTTPConnection:
        return self.enterContext(contextlib.closing(http.client.HTTPConnection(LOCALHOST, port, timeout=WAIT_S)))

    def test_long_bodies_take_constant_memory(self) -> None:
        before = peak_memory(self.proxy)
        client = self.client(self.port)
        client.request("GET", "/down")
        response = client.getresponse()
        count = 0
        while part := response.read(1 << 20):
            count += len(part)
        self.assertEqual(count, LONG)
        parts = (bytes(MIB) for _ in range(LONG // MIB))
        client.request("PUT", "/up", body=parts, headers={"Content-Length": str(LONG)})
        self.assertEqual(client.getresponse().read(), str(LONG).encode())
        if not has_asan():
            self.assertLess(peak_memory(self.proxy) - before, 16 * MIB)

    def test_a_client_that_reads_slowly_slows_the_server(self) -> None:
        with socket.create_connection((LOCALHOST, self.port)) as client:
            client.sendall(b"GET /down HTTP/1.1\r\nHost: a\r\n\r\n")
            client.settimeout(WAIT_S)
            client.recv(1)
            self.assertTrue(self.origin.stalled.wait(WAIT_S))
            self.assertLess(self.origin.sent, 24 * MIB)  # what the buffers of two connections can hold

    def test_websockets_pass(self) -> None:
        async def talk(port: int) -> None:
            async with websockets.connect(f"ws://{LOCALHOST}:{port}/", max_size=None) as socket_:
                for message in ["hello", b"\0" * 1_000_000, "ü" * 1000]:
                    await socket_.send(message)
                    self.assertEqual(await socket_.recv(), message)

        with example("websocket_echo") as (echo, _), \
                example("http_proxy", f"{LOCALHOST}:{echo}") as (port, _):
            asyncio.run(asyncio.wait_for(talk(port), WAIT_S))

    def test_a_server_that_breaks_off_leaves_the_body_without_its_end(self) -> None:
        client = self.client(self.port)
        client.request("GET", "/cut")
        with self.assertRaises(http.client.IncompleteRead) as error:
            client.getresponse().read()
        self.assertEqual(error.exception.partial, b"abcde")

    def test_a_server_that_is_not_there_is_502(self) -> None:
        with example("http_proxy", f"{LOCALHOST}:{free_port()}") as (port, _):
            client = self.client(port)
            for _ in range(3):  # on one connection
                client.request("POST", "/x", body=b"abc")
                response = client.getresponse()
                self.assertEqual((response.status, response.read()), (502, b"502 Bad Gateway\n"))

    def test_a_client_that_leaves_ends_the_exchange(self) -> None:
        with socket.create_connection((LOCALHOST, self.port)) as client:
            client.sendall(b"GET /down HTTP/1.1\r\nHost: a\r\n\r\n")
            client.recv(1)
        client = self.client(self.port)
        client.request("GET", "/cut")  # the connection is still open
        self.assertEqual(client.getresponse().status, 200)


if __name__ == "__main__":
    unittest.main()
