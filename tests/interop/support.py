# Helpers of the tests of this folder: a hub of its own for each test, on ports that no other process has, and a TCP
# client. Everything waits for events, with a time limit.

import contextlib
import dataclasses
import functools
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest
from collections.abc import Callable, Mapping
from typing import IO

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
WAIT_S = 30.0  # for immediate answers, on a busy machine and under a sanitizer
LOCALHOST = "127.0.0.1"


def coax() -> str:
    """The program to test."""
    assert "COAX" in os.environ, "COAX must name the program to test"
    return os.environ["COAX"]


def has_asan() -> bool:
    return b"__asan_init" in pathlib.Path(coax()).read_bytes()


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment, without variables that change the program's output."""
    foreign = re.compile(r"COAX_(?!BACKEND$|SPIN$)|NO_COLOR$|LC_|LANG")
    own = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    return {**own, "TERM": "xterm", **(extra or {})}


def run(*arguments: str, extra: Mapping[str, str] | None = None,
        given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The program from start to end, with `given` as its standard input."""
    return subprocess.run([coax(), *arguments], input=given, capture_output=True, timeout=WAIT_S, check=False,
                          env=environment(extra))


class Output:
    """The output of a program, line by line, and waits for it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                with self._changed:
                    self.lines.append(line.decode(errors="replace").rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def text(self) -> str:
        with self._changed:
            return "\n".join(self.lines)

    def wait_for(self, part: str, times: int = 1) -> str:
        """The line that contains `part`, when there were `times` of them."""
        def found() -> list[str]:
            return [line for line in self.lines if part in line]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= times or self._ended, WAIT_S)
            if len(found()) < times:
                raise AssertionError(f"{part!r} was not printed {times} times; the output:\n" + "\n".join(self.lines))
            return found()[times - 1]

    def wait_for_end(self) -> str:
        self._thread.join(WAIT_S)
        return self.text()


class Program:
    """A program as a child process; the end of the `with` ends it, unless it has ended."""

    def __init__(self, *command: str, extra: Mapping[str, str] | None = None, **options: object) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment(extra), **options)
        self.output = Output(self.process.stdout)
        self.log = Output(self.process.stderr)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def send(self, data: bytes) -> None:
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def finish(self) -> None:
        """Closes its standard input."""
        self.process.stdin.close()

    def send_signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(WAIT_S)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


class Server:
    """A server of the test's own on one connection; `serve` runs on a thread."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self.listener = socket.create_server((LOCALHOST, 0))
        self.listener.settimeout(WAIT_S)
        self.address = f"{LOCALHOST}:{self.listener.getsockname()[1]}"
        self.accepted = threading.Event()
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(serve,), daemon=True)
        self.thread.start()

    def _run(self, serve: Callable[[socket.socket], None]) -> None:
        try:
            connection, _ = self.listener.accept()
            self.accepted.set()
            with connection:
                connection.settimeout(WAIT_S)
                serve(connection)
        except BaseException as failure:  # noqa: for the test's thread
            self.failure = failure

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self.listener.close()
        self.thread.join(WAIT_S)
        if self.failure and not failed:
            raise self.failure


def read_to_end(connection: socket.socket) -> bytes:
    data = bytearray()
    while more := connection.recv(65536):
        data += more
    return bytes(data)


# Of signal(7): the default action is to end the process, and they have no meaning for a server.
STRAY_SIGNALS = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO,
                 signal.SIGPWR, signal.SIGSTKFLT, signal.SIGPIPE, signal.SIGXFSZ,
                 *range(signal.SIGRTMIN, signal.SIGRTMAX + 1)]


class Hub(Program):
    """`coax serve`, which must exit with 0 at the end of the `with`."""

    def __init__(self, *flags: str, extra: Mapping[str, str] | None = None, ports: bool = True,
                 descriptors_max: int | None = None, preexec_fn: Callable[[], object] | None = None) -> None:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors_max, descriptors_max))

        any_ports = ["--port", "0", "--web-port", "0"] if ports else []
        super().__init__(coax(), "serve", *any_ports, *flags, extra=extra,
                         preexec_fn=limit if descriptors_max else preexec_fn)

    def __enter__(self) -> "Hub":
        try:
            self.output.wait_for("Ctrl-C closes it")
        except AssertionError as failure:
            self.kill()
            raise AssertionError(f"{failure}\non standard error:\n{self.log.wait_for_end()}") from None
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        try:
            code = self.stop() if self.process.poll() is None else 0
        finally:
            self.kill()
        if code != 0 and failed is None:
            raise AssertionError(f"the hub ended with {code}:\n{self.log.wait_for_end()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit code."""
        self.send_signal(number)
        return self.wait()

    def begin_to_stop(self) -> None:
        """Sends SIGTERM and waits until new connections are refused."""
        self.send_signal(signal.SIGTERM)
        with contextlib.suppress(ConnectionError):
            end = time.monotonic() + WAIT_S
            while time.monotonic() < end:
                socket.create_connection((LOCALHOST, self.web_port), WAIT_S).close()
            raise AssertionError("the hub listens on")

    def port_of(self, wire: str) -> int:
        return int(re.search(rf"listening  {wire} +\S+:(\d+)$", self.output.text(), re.MULTILINE)[1])

    @functools.cached_property
    def port(self) -> int:
        return self.port_of("tcp")

    @functools.cached_property
    def web_port(self) -> int:
        return self.port_of("http")

    @property
    def address(self) -> str:
        return f"{LOCALHOST}:{self.port}"


class Client:
    """A TCP client of the hub that compares received bytes exactly."""

    def __init__(self, port: int, recv_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if recv_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, recv_buffer)
        self.socket.settimeout(WAIT_S)
        self.socket.connect((LOCALHOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self.unread += data
        return data != b""

    def exactly(self, count: int) -> bytes:
        while len(self.unread) < count and self._more():
            pass
        data, self.unread = self.unread[:count], self.unread[count:]
        return data

    def line(self) -> bytes:
        """The next line without its line end; at the end of the stream the bytes without one."""
        while b"\n" not in self.unread and self._more():
            pass
        data, _, self.unread = self.unread.partition(b"\n")
        return data

    def lines(self, count: int) -> list[bytes]:
        return [self.line() for _ in range(count)]

    def skip_to(self, line: bytes) -> None:
        """Reads up to the line, and skips the lines before it."""
        while (got := self.line()) != line:
            assert got or self.unread, f"the hub has finished before {line!r}"

    def rest(self) -> bytes:
        """All bytes until the hub closes."""
        while self._more():
            pass
        data, self.unread = self.unread, b""
        return data

    def finish(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Closes with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


def join(hub: Hub, nick: str, line_end: bytes = b"\n", **options: int) -> Client:
    """A client that is in the room and has read nothing after its own `joined`."""
    client = Client(hub.port, **options)
    asked = client.exactly(4)
    client.send(nick.encode() + line_end)
    answer = client.line()
    if (asked, answer) != (b"NICK", f"{nick} joined the chat!".encode()):
        client.close()
        raise AssertionError(f"no way into the room: {asked!r}, then {answer!r}")
    return client


class HubTest(unittest.TestCase):
    """Each test has a hub of its own, without clients of other tests."""

    flags: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.hub = self.enterContext(Hub(*self.flags))

    def join(self, nick: str, line_end: bytes = b"\n", **options: int) -> Client:
        return self.enterContext(join(self.hub, nick, line_end, **options))

    def connect(self) -> Client:
        return self.enterContext(Client(self.hub.port))


# --- HTTP and WebSockets, byte by byte ---

@dataclasses.dataclass
class Response:
    status: int
    headers: dict[str, list[str]]  # by the name in lower case
    body: bytes

    def header(self, name: str) -> str | None:
        values = self.headers.get(name.lower(), [])
        return ", ".join(values) if values else None


class Http(Client):
    """Sends bytes that a library would not, and reads the answer."""

    def response(self, to_head: bool = False) -> Response | None:
        """The next answer; nothing when the hub has closed."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.exactly(1)
            if not byte:
                assert not head, f"cut: {head!r}"
                return None
            head += byte
        first, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        headers: dict[str, list[str]] = {}
        for field in fields:
            name, value = field.split(":", 1)
            headers.setdefault(name.lower(), []).append(value.strip())
        status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", first)[1])
        bodiless = to_head or status < 200 or status in {204, 304}
        length = 0 if bodiless else int(headers["content-length"][0])
        body = self.exactly(length)
        assert len(body) == length, "the body is cut"
        return Response(status, headers, body)

    def get(self, target: str, *fields: str, method: str = "GET") -> Response:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *fields, "", ""]
        self.send("\r\n".join(lines).encode())
        response = self.response(to_head=method == "HEAD")
        assert response, "no answer"
        return response


def frame(opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """A WebSocket frame (RFC 6455, section 5.2), right or wrong."""
    size = len(payload)
    short = size if size < 126 else 126 if size < 65536 else 127
    head = bytes([final << 7 | reserved << 4 | opcode, masked << 7 | short])
    head += b"" if size < 126 else struct.pack("!H" if size < 65536 else "!Q", size)
    if not masked:
        return head + payload
    mask = b"\x12\x34\x56\x78"
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def upgrade_request(port: int) -> bytes:
    """With the key of RFC 6455, section 1.3."""
    return (f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()


class RawWebSocket(Http):
    """An open WebSocket that sends any bytes."""

    def __init__(self, port: int, early: bytes = b"", **options: int) -> None:
        super().__init__(port, **options)
        self.send(upgrade_request(port) + early)
        response = self.response()
        assert response.status == 101, response
        assert response.header("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    def frame(self) -> tuple[int, bytes] | None:
        """The next frame's opcode and payload; nothing at the end."""
        head = self.exactly(2)
        if len(head) < 2:
            return None
        assert head[0] & 0xF0 == 0x80 and head[1] < 0x80, "a server's frames are whole and not masked"
        size = head[1]
        if size >= 126:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8))
        return head[0] & 15, self.exactly(size)

    def close_code(self) -> int:
        """Reads up to the close frame, and the end after it."""
        while (got := self.frame()) and got[0] != 8:
            pass
        assert got, "no close frame came"
        assert self.rest() == b"", "something came after the close frame"
        return int.from_bytes(got[1][:2])
