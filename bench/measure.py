"""Starts a server, loads it, and reads its CPU time and memory: the part of the benchmarks that handles processes."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"


class Failure(Exception):
    """The run cannot continue; the text says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Server:
    title: str
    command: tuple[str, ...]  # {port} and {second_port} are free ports, {folder} is an empty folder
    role: str = "peer"  # "limit": what the others are held against; "ours"
    threads: int = 1
    port: str = "{port}"  # the one to load
    optional: bool = False  # when it fails, it is left out
    load: tuple[str, ...] = ()  # further arguments of its clients
    datagrams: bool = False  # it answers to UDP
    warm_up: float = 0.1  # seconds before the measuring: more where a compiler runs along


@dataclasses.dataclass(frozen=True)
class Cores:
    """The cores of the server and of the client. None: there are too few."""

    server: tuple[int, ...]
    client: tuple[int, ...]
    shared: bool = False


def one_core(server: Server) -> Cores | None:
    """Both on the same core, without preemption of each other: whenever the server runs, all bytes of the client have
    arrived. This measures the cost of the work, without the waits."""
    cores = sorted(os.sched_getaffinity(0))
    return Cores((cores[0],), (cores[0],), shared=True) if server.threads == 1 else None


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
    """Requested from the kernel at the same time, so that they differ. Another program could still take one before."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start(command: list[str], cores: tuple[int, ...], shared: bool = False, **options) -> subprocess.Popen:
    """On these cores. Shared with another process: each then runs until it waits (SCHED_BATCH); otherwise a woken
    process may preempt the other, and the amount of input when it runs is random."""
    def prepare() -> None:
        os.sched_setaffinity(0, cores)
        if shared:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    return subprocess.Popen(command, preexec_fn=prepare, text=True, **options)


def end(process: subprocess.Popen) -> None:
    """Ends the process: SIGTERM first, then SIGKILL."""
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
    """A listening server, for the duration of a with statement."""

    def __init__(self, server: Server, cores: tuple[int, ...], port: int = 0, shared: bool = False) -> None:
        self.server = server
        names = dict(zip(("port", "second_port"), [port, port] if port else free_ports(2)))
        self.port = int(server.port.format(**names))
        self.folder = tempfile.TemporaryDirectory()
        names["folder"] = self.folder.name
        self.said = tempfile.TemporaryFile(mode="w+")  # a pipe without a reader would stop a talkative server
        self.process = start([word.format(**names) for word in server.command], cores, shared,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.said)

    def __enter__(self) -> "Running":
        try:
            self.wait_until_it_listens()
        except Failure:
            self.__exit__()
            raise
        return self

    def wait_until_it_listens(self) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                return self.try_to_reach()
            except OSError:
                self.check()
                time.sleep(0.01)
        raise Failure(f"{self.server.title} does not listen on port {self.port} after 10 s")

    def try_to_reach(self) -> None:
        if not self.server.datagrams:
            return socket.create_connection((HOST, self.port), 1).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            client.connect((HOST, self.port))
            client.send(b"are you there?")
            client.recv(100)

    def __exit__(self, *_) -> None:
        end(self.process)
        self.said.close()
        self.folder.cleanup()

    def check(self) -> None:
        """Raises when the server has ended."""
        if self.process.poll() is not None:
            self.said.seek(0)
            said = self.said.read().strip() or "it said nothing"
            raise Failure(f"{self.server.title} died with code {self.process.returncode}: {said}")

    def memory(self) -> int:
        """Private memory of the process in user space, in bytes: without file mappings, which may be shared."""
        text = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Anonymous:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024

    def settled_memory(self) -> int:
        """The same, once it no longer changes."""
        before = self.memory()
        for _ in range(20):
            time.sleep(0.2)
            after = self.memory()
            if abs(after - before) <= 16384:
                break
            before = after
        return after


def start_load(build: pathlib.Path, arguments: list[str], running: Running, cores: tuple[int, ...], shared: bool,
               seconds: float, pids: str = "") -> subprocess.Popen:
    warm_up = max(seconds / 4, running.server.warm_up)
    command = [program(build, "bench/load"), *arguments, *running.server.load, "--host", HOST,
               "--port", str(running.port), "--seconds", str(seconds), "--warm-up", str(warm_up),
               "--server-pid", pids or str(running.process.pid)]
    return start(command, cores, shared, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end_load(process: subprocess.Popen, running: Running, seconds: float) -> dict:
    """The result of bench/load."""
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
    with Running(server, cores.server, shared=cores.shared) as running:
        process = start_load(build, arguments, running, cores.client, cores.shared, seconds)
        return end_load(process, running, seconds)


@dataclasses.dataclass(frozen=True)
class Together:
    """The results of several concurrent clients together."""

    rate: float
    server_cpu: float  # microseconds for a message
    client_share: float  # of the cores


def exchange_on(build: pathlib.Path, servers: list[Server], arguments: list[str], count: int, seconds: float,
                apart: bool = False) -> Together:
    """The servers, and a client for each core, on the first `count` cores; a server that is the only one has all of
    these, else each has one. They share a port, and so each client's connections; apart: each has the client on its
    core for itself."""
    cores = sorted(os.sched_getaffinity(0))[:count]
    if len(cores) < count:
        raise Failure(f"this needs {count} cores")
    port = 0 if apart else free_ports(1)[0]
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(Running(server, tuple(cores) if len(servers) == 1 else (core,), port, True))
                   for server, core in zip(servers, cores)]
        pids = ",".join(str(each.process.pid) for each in running)
        loads = [start_load(build, arguments, running[index if apart else 0], (core,), True, seconds, pids)
                 for index, core in enumerate(cores)]
        for process in loads:
            stack.callback(end, process)
        results = [end_load(process, running[0], seconds) for process in loads]
    rate = sum(result["per_second"] for result in results)
    # Each client has seen all that the servers used, and counted its own messages only.
    used = [result["server_cpu_us"] * result["per_second"] for result in results]
    client = sum(result["client_cpu_us"] * result["per_second"] for result in results)
    return Together(rate, sum(used) / len(used) / rate, client / 1e6 / count)


def alone(program_path: str) -> dict:
    """A program that measures itself and ends."""
    process = start([program_path], (sorted(os.sched_getaffinity(0))[0],), stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        raise Failure(f"{program_path} does not come to its end") from None
    finally:
        end(process)
    if process.returncode != 0:
        raise Failure(f"{program_path}: {errors.strip()}")
    return json.loads(output)


def idle_bytes(build: pathlib.Path, server: Server, arguments: list[str], connections: int, cores: Cores) -> float:
    """The memory of the server for one idle connection. A few connections that open and close before the first
    measurement load the code and the shared buffers."""
    with Running(server, cores.server) as running:
        command = [program(build, "bench/load"), *arguments, "--host", HOST, "--port", str(running.port)]
        hold(running, command, 64, cores)
        before = running.settled_memory()
        after = hold(running, command, connections, cores)
        return (after - before) / connections


def hold(running: Running, command: list[str], connections: int, cores: Cores) -> int:
    """Opens them. Returns: the memory of the server while they are open."""
    process = start([*command, "--connections", str(connections)], cores.client, stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if process.stdout.readline() != "ready\n":
            running.check()
            raise Failure(f"{running.server.title}: {process.stderr.read().strip()}")
        memory = running.settled_memory()
        process.stdin.close()
        process.stdin = None
        if process.wait(30) != 0:
            raise Failure(f"{running.server.title}: {process.stderr.read().strip()}")
        running.check()
        return memory
    finally:
        end(process)
