"""The measured servers: the limits, those of Coax, and the peers that are installed."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import measure
from measure import Failure, Server

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
WS_LIBRARY = pathlib.Path("/usr/share/nodejs/ws")  # Debian's place for it
FILES = {"block": 64 << 10, "large": 1 << 30}
BUFFER_MAX = str(512 << 10)  # what the limit and ours read at a time


class Servers:
    def __init__(self, build: pathlib.Path) -> None:
        self.build = build
        self.left_out: list[str] = []
        debian = "/usr/bin/python3"  # has the packages, where another python3 comes first in the PATH
        self.python = debian if os.access(debian, os.X_OK) else sys.executable
        self.node = shutil.which("node")
        self.modules: dict[str, bool] = {}
        self.certificates: tempfile.TemporaryDirectory | None = None
        self.content: tempfile.TemporaryDirectory | None = None

    def raw(self, name: str, *options: str, title: str = "", **more) -> Server:
        return self.program(f"bench/{name}", "{port}", "127.0.0.1", *options, title=title or name, role="limit", **more)

    def raw_uring(self) -> Server:
        return self.raw("raw_uring_echo", optional=True)  # many containers forbid io_uring

    def ours(self, path: str) -> Server:
        return self.program(path, "{port}", title=path, role="ours")

    def hub(self, threads: int, port: str = "{port}", title: str = "", load: tuple[str, ...] = ()) -> Server:
        arguments = ("serve", "--port", "{port}", "--web-port", "{second_port}", "--threads", str(threads),
                     "--log-level", "error")
        return self.program("coax", *arguments, title=title or f"coax serve --threads {threads}", role="ours",
                            threads=threads, port=port, load=load)

    def program(self, path: str, *arguments: str, **options) -> Server:
        return Server(command=(measure.program(self.build, path), *arguments), **options)

    # --- peers: none of them when it is not there ---

    def compiled(self, path: str, title: str, *arguments: str) -> list[Server]:
        command = self.build / "bench" / "peers" / path
        there = os.access(command, os.X_OK)
        return self.peer(there, title, str(command), "{port}", *arguments)

    def in_python(self, script: str, title: str, module: str, *arguments: str) -> list[Server]:
        return self.peer(self.has(module), title, self.python, str(PEERS / script), "{port}", *arguments)

    def nginx(self, *arguments: str) -> list[Server]:
        there = bool(shutil.which("nginx")) or os.access("/usr/sbin/nginx", os.X_OK)
        return self.peer(there, "nginx", self.python, str(PEERS / "nginx.py"), "{port}", "{folder}", *arguments)

    def h2o(self, *arguments: str) -> list[Server]:
        return self.peer(bool(shutil.which("h2o")), "h2o", self.python, str(PEERS / "h2o.py"), "{port}", "{folder}",
                         *arguments)

    def in_node(self, script: str, title: str, *arguments: str, needs_library: bool = False) -> list[Server]:
        there = bool(self.node) and (WS_LIBRARY.exists() or not needs_library)
        return [dataclasses.replace(server, warm_up=1)
                for server in self.peer(there, title, self.node or "", str(PEERS / script), "{port}", *arguments)]

    def peer(self, there: bool, title: str, *command: str) -> list[Server]:
        if there:
            return [Server(title, command, optional=True)]
        if title not in self.left_out:
            self.left_out.append(title)
        return []

    def has(self, module: str) -> bool:
        if module not in self.modules:
            run = subprocess.run([self.python, "-c", f"import {module}"], capture_output=True, check=False)
            self.modules[module] = run.returncode == 0
        return self.modules[module]

    # --- TLS ---

    def certificate(self) -> tuple[str, str]:
        """The files of a certificate and its key (ECDSA, P-256), made for this run."""
        if self.certificates is None:
            self.certificates = tempfile.TemporaryDirectory()
            folder = pathlib.Path(self.certificates.name)
            folder.chmod(0o755)
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                       "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                       "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
            if (run := subprocess.run(command, capture_output=True, text=True, check=False)).returncode != 0:
                raise Failure(f"openssl makes no certificate: {run.stderr.strip()}")
        return f"{self.certificates.name}/cert.pem", f"{self.certificates.name}/key.pem"

    def tls_echoes(self) -> list[Server]:
        files = self.certificate()
        return [
            self.program("bench/raw_tls_echo", "{port}", *files, title="raw_tls_echo", role="limit"),
            self.program("examples/tls_echo", "{port}", *files, title="examples/tls_echo", role="ours"),
            *self.compiled("asio/tls_echo", "Boost.Asio, callbacks", *files),
            *self.in_python("asyncio_echo.py", "Python asyncio", "asyncio", *files),
            *self.in_python("asyncio_echo.py", "uvloop", "uvloop", *files, "--uvloop"),
        ]

    def tls_https(self, load: tuple[str, ...] = ()) -> list[Server]:
        files = self.certificate()
        servers = [
            self.program("bench/raw_tls_echo", "{port}", *files, "--http", title="raw_tls_echo --http", role="limit"),
            self.web(*files),
            *self.nginx(self.files(), *files),
        ]
        return [dataclasses.replace(server, load=load) for server in servers]

    # --- files ---

    def files(self) -> str:
        """A folder with the files "block", of 64 KiB, and "large", of 1 GiB, made for this run."""
        if self.content is None:
            self.content = tempfile.TemporaryDirectory()
            folder = pathlib.Path(self.content.name)
            folder.chmod(0o755)
            for name, size in FILES.items():
                with (folder / name).open("wb") as file:
                    command = [measure.program(self.build, "bench/load"), "pattern", "--bytes", str(size)]
                    if subprocess.run(command, stdout=file, check=False).returncode != 0:
                        raise Failure(f"the file {name} of {size} bytes cannot be written in {folder}")
        return self.content.name

    # --- together ---

    def echoes(self, buffer: str = "") -> list[Server]:
        """Peers with an echo server; the buffer is for those that have one for each connection."""
        asio = [buffer] if buffer else []
        return [
            *self.compiled("asio/callback_echo", "Boost.Asio, callbacks", *asio),
            *self.compiled("asio/coroutine_echo", "Boost.Asio, coroutines", *asio),
            *self.compiled("libuv/echo", "libuv"),
            *self.compiled("libevent/echo", "libevent"),
            *self.in_python("asyncio_echo.py", "Python asyncio", "asyncio"),
            *self.in_python("asyncio_echo.py", "uvloop", "uvloop", "--uvloop"),
        ]

    def datagram_echoes(self) -> list[Server]:
        servers = [
            self.raw("raw_udp_echo"),
            self.ours("examples/udp_echo"),
            *self.compiled("asio/udp_echo", "Boost.Asio, callbacks"),
            *self.compiled("libuv/udp_echo", "libuv"),
            *self.in_python("asyncio_udp_echo.py", "Python asyncio", "asyncio"),
            *self.in_python("asyncio_udp_echo.py", "uvloop", "uvloop", "--uvloop"),
        ]
        return [dataclasses.replace(server, datagrams=True) for server in servers]

    def chats(self) -> list[Server]:
        return [*self.compiled("asio/chat", "Boost.Asio, callbacks"),
                *self.in_python("asyncio_chat.py", "Python asyncio", "asyncio")]

    def websockets(self) -> list[Server]:
        """Each is a room at /room and an echo server at /."""
        return [*self.compiled("asio/beast_websocket", "Boost.Beast"),
                *self.in_node("ws_room.mjs", "node ws", needs_library=True),
                *self.in_python("websockets_room.py", "Python websockets", "websockets"),
                *self.in_python("tornado_server.py", "Tornado", "tornado")]

    def web(self, *certificate: str) -> Server:
        return self.program("bench/web", "{port}", measure.HOST, self.files(), *certificate, title="bench/web",
                            role="ours")

    def greeters(self, secure: bool) -> list[Server]:
        """Answer /hello."""
        files = self.certificate() if secure else ()
        ours = self.web(*files) if secure else self.ours("examples/http_hello")
        return [ours, *self.nginx(self.files(), *files), *self.h2o(self.files(), *files),
                *([] if secure else self.compiled("asio/beast_http", "Boost.Beast")),
                *self.in_node("node_http.mjs", "node", *files), *self.tornado(*files)]

    def makers(self, path: str, secure: bool) -> list[Server]:
        """Make the answers to /json or /table."""
        files = self.certificate() if secure else ()
        node = self.in_node("node_http.mjs", "node", *files) if path == "/json" else []
        return [self.web(*files), *node, *self.tornado(*files)]

    def file_servers(self, secure: bool) -> list[Server]:
        files = self.certificate() if secure else ()
        return [self.web(*files), *self.nginx(self.files(), *files), *self.h2o(self.files(), *files),
                *self.tornado(*files)]

    def tornado(self, *certificate: str) -> list[Server]:
        return self.in_python("tornado_server.py", "Tornado", "tornado", self.files(), *certificate)
