"""Starts a server, loads it, and reads what it cost: the part of the benchmarks that touches processes."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"


class Failure(Exception):
    """The run cannot go on; the text says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Server:
    title: str
    command: tuple[str, ...]  # {port} and {second_port} are free ports
    role: str = "peer"  # "limit": what the others are held against; "ours"
    threads: int = 1
    port: str = "{port}"  # the one to load


@dataclasses.dataclass(frozen=True)
class Cores:
    """Which cores the server and the client may use. None: there are too few."""

    server: tuple[int, ...]
    client: tuple[int, ...]


def one_core(server: Server) -> Cores | None:
    """Both on the same core: whenever the server runs, all that the client has to say is there. What it costs then is
    the cost of the work, not of waiting for it."""
    cores = sorted(os.sched_getaffinity(0))
    return Cores((cores[0],), (cores[0],)) if server.threads == 1 else None


def two_cores(server: Server) -> Cores | None:
    """The client on the last core, the server on the first ones: throughput and latency."""
    cores = sorted(os.sched_getaffinity(0))
    return Cores(tuple(cores[:server.threads]), (cores[-1],)) if len(cores) >= max(2, server.threads) else None


def program(build: pathlib.Path, path: str) -> str:
    found = build / path
    if not os.access(found, os.X_OK):
        raise Failure(f"there is no {path} in {build}: build it with ./dev build release")
    return str(found)


def free_ports(count: int) -> list[int]:
    """Asked of the kernel all at once, so that they differ. Another program could still take one before we do."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start(command: list[str], cores: tuple[int, ...], **options) -> subprocess.Popen:
    return subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, cores), text=True, **options)


def end(process: subprocess.Popen) -> None:
    """By its own id, kindly first."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


class Running:
    """A server that listens, for the time of a with statement."""

    def __init__(self, server: Server, cores: tuple[int, ...]) -> None:
        self.server = server
        names = {"port": 0, "second_port": 0}
        names = dict(zip(names, free_ports(len(names))))
        self.port = int(server.port.format(**names))
        self.process = start([word.format(**names) for word in server.command], cores, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def __enter__(self) -> "Running":
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((HOST, self.port), 1).close()
                return self
            except OSError:
                self.check()
                if time.monotonic() > until:
                    end(self.process)
                    raise Failure(f"{self.server.title} does not listen on port {self.port} after 10 s") from None
                time.sleep(0.01)

    def __exit__(self, *_) -> None:
        end(self.process)

    def check(self) -> None:
        """Raises when the server is not there any more."""
        if self.process.poll() is not None:
            said = self.process.stderr.read().strip() or "it said nothing"
            raise Failure(f"{self.server.title} died with code {self.process.returncode}: {said}")

    def pss(self) -> int:
        """The proportional set size in bytes: memory in user space, what is shared with others counted in part."""
        text = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024

    def settled_pss(self) -> int:
        """The same, once it has stopped moving."""
        before = self.pss()
        for _ in range(20):
            time.sleep(0.2)
            after = self.pss()
            if abs(after - before) <= 16384:
                break
            before = after
        return after


def load(build: pathlib.Path, arguments: list[str], running: Running, cores: Cores, seconds: float) -> dict:
    """What bench/load measured."""
    command = [program(build, "bench/load"), *arguments, "--host", HOST, "--port", str(running.port),
               "--seconds", str(seconds), "--server-pid", str(running.process.pid)]
    process = start(command, cores.client, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=seconds * 2 + 90)
    except subprocess.TimeoutExpired:
        raise Failure(f"the load on {running.server.title} does not come to its end") from None
    finally:
        end(process)
    running.check()
    if process.returncode != 0:
        raise Failure(f"{running.server.title}: {errors.strip()}")
    return json.loads(output)


def exchange(build: pathlib.Path, server: Server, arguments: list[str], cores: Cores, seconds: float) -> dict:
    with Running(server, cores.server) as running:
        return load(build, arguments, running, cores, seconds)


def idle_bytes(build: pathlib.Path, server: Server, arguments: list[str], connections: int, cores: Cores) -> float:
    """What one idle connection takes of the server's memory. A few connections that come and go before the first look
    bring in the code and the buffers that all share."""
    with Running(server, cores.server) as running:
        command = [program(build, "bench/load"), *arguments, "--host", HOST, "--port", str(running.port)]
        hold(running, command, 64, cores)
        before = running.settled_pss()
        after = hold(running, command, connections, cores)
        return (after - before) / connections


def hold(running: Running, command: list[str], connections: int, cores: Cores) -> int:
    """Opens them, and returns the server's memory while they are there."""
    process = start([*command, "--connections", str(connections)], cores.client, stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if process.stdout.readline() != "ready\n":
            running.check()
            raise Failure(f"{running.server.title}: {process.stderr.read().strip()}")
        memory = running.settled_pss()
        process.stdin.close()
        process.stdin = None
        if process.wait(30) != 0:
            raise Failure(f"{running.server.title}: {process.stderr.read().strip()}")
        running.check()
        return memory
    finally:
        end(process)
