#!/usr/bin/env python3
# The reverse proxy of the examples: long bodies in constant memory and at the pace of the slower side, WebSockets,
# early and interim responses, clients that leave, and servers that are down or disconnect.

import asyncio
import contextlib
import http.client
import os
import pathlib
import select
import signal
import socket
import threading
import time
import unittest
from collections.abc import Callable, Iterator

import websockets

from support import LOCALHOST, WAIT_S, Program, Server, has_asan, read_to_end

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


def recv_until(peer: socket.socket, end: bytes) -> bytes:
    got = b""
    while not got.endswith(end):
        more = peer.recv(1)
        assert more, got
        got += more
    return got


class Scripted(unittest.TestCase):
    """The server behind the proxy is a function of the test, on one connection."""

    def serve(self, script: Callable[[socket.socket], None]) -> socket.socket:
        """A client of the proxy."""
        server = self.enterContext(Server(script))
        port, self.proxy = self.enterContext(example("http_proxy", server.address))
        return self.enterContext(socket.create_connection((LOCALHOST, port), WAIT_S))

    def silent_stream(self) -> tuple[socket.socket, threading.Event]:
        """A client that has received an event, the last one; the event is set when the server is free again."""
        is_free = threading.Event()

        def script(peer: socket.socket) -> None:
            recv_until(peer, b"\r\n\r\n")
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
            self.assertEqual(peer.recv(1), b"")
            is_free.set()

        client = self.serve(script)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        recv_until(client, b"data: 1\n\n\r\n")
        return client, is_free

    def test_a_client_that_leaves_a_silent_stream_frees_the_server(self) -> None:
        client, is_free = self.silent_stream()
        client.close()
        self.assertTrue(is_free.wait(WAIT_S))
        self.proxy.send_signal(signal.SIGTERM)
        self.assertEqual(self.proxy.process.wait(5), 0)  # without the 10 s for responses in progress

    def test_a_client_that_half_closes_a_silent_stream_is_reset(self) -> None:
        client, is_free = self.silent_stream()
        client.shutdown(socket.SHUT_WR)
        self.assertTrue(is_free.wait(WAIT_S))
        with self.assertRaises(ConnectionResetError):  # the body is not complete
            read_to_end(client)

    def test_a_client_that_has_only_half_closed_gets_the_whole_body(self) -> None:
        has_half_closed = threading.Event()

        def script(peer: socket.socket) -> None:
            recv_until(peer, b"\r\n\r\n")
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
            has_half_closed.wait(WAIT_S)
            peer.sendall(b"def")

        client = self.serve(script)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        recv_until(client, b"abc")
        client.shutdown(socket.SHUT_WR)
        has_half_closed.set()
        self.assertEqual(read_to_end(client), b"def")

    def upload_and_reset(self, answer: bytes) -> bytes:
        """What the client gets when the server answers and resets, and the proxy, which is stopped meanwhile, continues
        with sending the body."""
        has_head, has_body, may_answer, has_reset = (threading.Event() for _ in range(4))

        def script(peer: socket.socket) -> None:
            recv_until(peer, b"\r\n\r\n")
            has_head.set()
            peer.recv(1, socket.MSG_PEEK)  # the body stays unread: closing then sends a reset
            has_body.set()
            may_answer.wait(WAIT_S)
            peer.sendall(answer)
            peer.close()
            has_reset.set()

        client = self.serve(script)
        client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        self.assertTrue(has_head.wait(WAIT_S))
        client.sendall(b"abc")
        self.assertTrue(has_body.wait(WAIT_S))
        self.proxy.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.proxy.process.pid, os.WSTOPPED | os.WNOWAIT)
        client.sendall(b"def")
        may_answer.set()
        self.assertTrue(has_reset.wait(WAIT_S))
        self.proxy.send_signal(signal.SIGCONT)
        return read_to_end(client)

    def test_an_early_answer_passes_though_the_server_resets(self) -> None:
        got = self.upload_and_reset(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nsmall")
        self.assertTrue(got.startswith(b"HTTP/1.1 413 Content Too Large\r\n"), got)
        self.assertTrue(got.endswith(b"\r\n\r\nsmall"), got)

    def test_a_head_that_a_reset_cuts_short_is_502(self) -> None:
        got = self.upload_and_reset(b"HTTP/1.1 413 Content Too Large\r\nContent-Le")
        self.assertTrue(got.startswith(b"HTTP/1.1 502 Bad Gateway\r\n"), got)

    def test_the_server_gets_one_list_of_clients_and_one_of_proxies(self) -> None:
        heads: list[bytes] = []

        def script(peer: socket.socket) -> None:
            heads.append(recv_until(peer, b"\r\n\r\n"))
            peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        for fields, expected in [
                (b"", [b"X-Forwarded-For: 127.0.0.1", b"Via: 1.1 coax"]),
                (b"x-forwarded-for: 10.0.0.1\r\nVIA: 1.0 a\r\nX-Forwarded-For: 10.0.0.2, 10.0.0.3\r\n"
                 b"Via: 1.1 b (c)\r\n",
                 [b"X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.1", b"Via: 1.0 a, 1.1 b (c), 1.1 coax"])]:
            with self.subTest(fields):
                client = self.serve(script)
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
                recv_until(client, b"\r\n\r\n")
                lists = [line for line in heads[-1].split(b"\r\n")
                         if line.lower().startswith((b"x-forwarded-for:", b"via:"))]
                self.assertEqual(lists, expected)
        client = self.serve(script)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        read_to_end(client)
        self.assertIn(b"\r\nVia: 1.0 coax\r\n", heads[-1])

    def test_the_client_decides_neither_scheme_nor_host(self) -> None:
        heads: list[bytes] = []

        def script(peer: socket.socket) -> None:
            heads.append(recv_until(peer, b"\r\n\r\n"))
            peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        for claimed in (b"", b"x-forwarded-proto: https\r\nX-Forwarded-Proto: https\r\n"
                             b"Forwarded: proto=https;for=10.0.0.1\r\nX-Forwarded-Host: evil.example\r\n"):
            client = self.serve(script)
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + claimed + b"\r\n")
            recv_until(client, b"\r\n\r\n")
            stated = [line for line in heads[-1].split(b"\r\n") if b"forwarded" in line.lower()]
            self.assertEqual(stated, [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http"])

    def test_the_date_is_that_of_the_server(self) -> None:
        def script(peer: socket.socket) -> None:
            recv_until(peer, b"\r\n\r\n")
            peer.sendall(b"HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n")

        client = self.serve(script)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = recv_until(client, b"\r\n\r\n")
        self.assertTrue(answer.startswith(
            b"HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nVia: 1.1 coax\r\n"), answer)

    def test_requests_that_count_proxies(self) -> None:
        heads: list[bytes] = []

        def script(peer: socket.socket) -> None:
            heads.append(recv_until(peer, b"\r\n\r\n"))
            peer.sendall(b"HTTP/1.1 204 No Content\r\nVia: 1.0 a\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n")

        client = self.serve(script)
        client.sendall(b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n")
        answer = recv_until(client, b"\r\n\r\n")
        self.assertIn(b"\r\nMax-Forwards: 0\r\n", heads[-1])
        self.assertIn(b"\r\nVia: 1.0 a, 1.1 coax\r\n", answer)
        self.assertNotIn(b"X-Hop", answer)
        for method, status in [(b"OPTIONS", b"204"), (b"TRACE", b"405")]:
            client.sendall(method + b" / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
            answer = recv_until(client, b"\r\n\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer)
            self.assertIn(b"\r\nAllow: GET, HEAD, ", answer)
        self.assertEqual(len(heads), 1)
        for unlimited in [b"GET / HTTP/1.1\r\nMax-Forwards: 0\r\n", b"OPTIONS / HTTP/1.1\r\nMax-Forwards: x\r\n"]:
            client = self.serve(script)
            client.sendall(unlimited + b"Host: a\r\n\r\n")
            recv_until(client, b"\r\n\r\n")
        self.assertIn(b"\r\nMax-Forwards: x\r\n", heads[-1])

    def early_hints(self, peer: socket.socket) -> None:
        head = recv_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
                     b"\r\n")
        if b"Content-Length: 3\r\n" in head:
            self.assertEqual(recv_until(peer, b"abc"), b"abc")
        peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def test_interim_responses_pass_and_the_upload_goes_on(self) -> None:
        client = self.serve(self.early_hints)
        client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        self.assertEqual(recv_until(client, b"\r\n\r\n"),
                         b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        client.sendall(b"abc")
        self.assertTrue(recv_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 204 No Content\r\n"))

    def test_http_1_0_gets_no_interim_response(self) -> None:
        client = self.serve(self.early_hints)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        self.assertTrue(read_to_end(client).startswith(b"HTTP/1.1 204 No Content\r\n"))

    def test_a_status_line_without_a_reason_passes(self) -> None:
        def script(peer: socket.socket) -> None:
            recv_until(peer, b"\r\n\r\n")
            peer.sendall(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nab")

        client = self.serve(script)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got = recv_until(client, b"\r\n\r\nab")
        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK\r\n"), got)


if __name__ == "__main__":
    unittest.main()
