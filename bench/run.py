#!/usr/bin/env python3
# The benchmarks: our servers, the raw limit of the kernel, and peers, in turns on the same machine, so that the ratios
# hold even where the figures do not. docs/benchmarks.md explains what is measured and has the last figures.
"""Usage: bench/run.py [echo|broadcast|http|idle|all]... [--short] [--write] [--build FOLDER]"""

import argparse
import dataclasses
import os
import pathlib
import shutil
import signal
import sys
import time

import measure
import report
from measure import Failure, Server
from report import Row, Table

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
DOCUMENT = measure.ROOT / "docs" / "benchmarks.md"
MESSAGES = ("message", "messages")
REQUESTS = ("request", "requests")
GROUPS = ["echo", "broadcast", "http", "idle"]


@dataclasses.dataclass(frozen=True)
class Load:
    """Messages under way between a client and each of the servers."""

    title: str
    explanation: str
    units: tuple[str, str]  # one, many
    servers: list[Server]
    arguments: list[str]
    one_core: bool = True


@dataclasses.dataclass(frozen=True)
class Held:
    """Idle connections: the server, what to tell bench/load, and how many."""

    server: Server
    arguments: list[str]
    connections: int


class Bench:
    def __init__(self, build: pathlib.Path, short: bool) -> None:
        self.build = build
        self.rounds = 2 if short else 5
        self.seconds = 0.4 if short else 2.0

    # --- who takes part ---

    def program(self, path: str, *arguments: str, title: str = "", **options) -> Server:
        command = (measure.program(self.build, path), *(arguments or ("{port}",)))
        return Server(title or path, command, **options)

    def raw(self, name: str) -> Server:
        return self.program(f"bench/{name}", title=f"{name}, the limit", role="limit")

    def ours(self, name: str) -> Server:
        return self.program(f"examples/{name}", role="ours")

    def hub(self, threads: int, port: str = "{port}", title: str = "") -> Server:
        arguments = ("serve", "--port", "{port}", "--web-port", "{second_port}", "--threads", str(threads),
                     "--log-level", "error")
        return self.program("coax", *arguments, title=title or f"coax serve --threads {threads}", role="ours",
                            threads=threads, port=port)

    def asio(self) -> Server:
        return self.program("bench/asio_echo", title="Boost.Asio, coroutines")

    def asyncio(self) -> Server:
        return Server("Python asyncio", (sys.executable, str(PEERS / "asyncio_echo.py"), "{port}"))

    def node(self) -> list[Server]:
        node = shutil.which("node")
        return [Server("node", (node, str(PEERS / "node_http.mjs"), "{port}"))] if node else []

    # --- what is measured ---

    def echo(self) -> list[Table]:
        servers = [self.raw("raw_echo"), self.ours("echo"), self.asio(), self.asyncio()]
        shapes = [
            ("Echo, 64 B, 64 connections", "One message", (64, 64, 1)),
            ("Echo, 64 B, 1,000 connections", "One message", (1000, 64, 1)),
            ("Echo, 64 B, 64 connections, 16 deep", "Sixteen messages", (64, 64, 16)),
            ("Echo, 16 KiB, 64 connections", "One message", (64, 16384, 1)),
        ]
        loads = [Load(title, f"{depth} under way on each connection.", MESSAGES, servers, echo_arguments(*shape))
                 for title, depth, shape in shapes]
        loads.append(Load("Echo, 64 B, one connection: the time of a round trip", "On two cores; CPU as well.",
                          MESSAGES, servers, echo_arguments(1, 64, 1), one_core=False))
        return [self.exchange(each) for each in loads]

    def broadcast(self) -> list[Table]:
        text = ("One member publishes and keeps 16 messages under way; one is finished when all members have it, and "
                "counts as 1,000 deliveries. The latencies are of a message to all. Our servers put the sender's name "
                "before each message. With two threads the second one shares its core with the client where there are "
                "only two cores.")
        servers = [self.raw("raw_chat"), self.ours("chat"), self.hub(1), self.hub(2)]
        arguments = ["broadcast", "--subscribers", "1000", "--bytes", "100", "--in-flight", "16"]
        return [self.exchange(Load("Broadcast, 100 B to 1,000 members", text, ("delivery", "deliveries"), servers,
                                   arguments))]

    def http(self) -> list[Table]:
        servers = [self.raw("raw_http"), self.ours("http_hello"), *self.node()]
        arguments = ["http", "--connections", "64", "--depth"]
        return [
            self.exchange(Load("HTTP, GET with keep-alive, 64 connections",
                               "raw_http looks for the ends of requests and answers with constant bytes.", REQUESTS,
                               servers, [*arguments, "1"])),
            self.exchange(Load("HTTP, GET with keep-alive, 64 connections, 16 deep", "Sixteen requests in a pipeline.",
                               REQUESTS, servers, [*arguments, "16"])),
        ]

    def idle(self) -> list[Table]:
        text = ("In user space: the growth of the process's Pss, divided by the number of connections. The kernel "
                "takes about 4.5 KB more for each. Every connection has been in use once: ")
        websocket, join = "--websocket", "--join"
        rooms = [Held(self.hub(1, title="coax serve, over TCP"), [join], 1000),
                 Held(self.hub(1, "{second_port}", "coax serve, over WebSocket"), [websocket, join], 1000)]
        return [
            self.hold("Memory of an idle connection: TCP echo", text + "it had one message echoed.",
                      [Held(self.raw("raw_echo"), [], 10_000), Held(self.ours("echo"), [], 10_000),
                       Held(self.asyncio(), [], 2000)]),
            self.hold("Memory of an idle connection: WebSocket echo", text + "it had one message echoed.",
                      [Held(self.ours("websocket_echo"), [websocket], 10_000)]),
            self.hold("Memory of an idle connection: a member of the hub's room",
                      text + "it joined, and has read who else did.", rooms),
        ]

    # --- how ---

    def exchange(self, load: Load) -> Table:
        rows = {server.title: Row(server.title, server.role) for server in load.servers}
        for turn in range(self.rounds):
            for server in load.servers:
                row = rows[server.title]
                if load.one_core and (cores := measure.one_core(server)):
                    result = measure.exchange(self.build, server, load.arguments, cores, self.seconds)
                    row.cpu = [*(row.cpu or []), result["server_cpu_us"]]
                if cores := measure.two_cores(server):
                    result = measure.exchange(self.build, server, load.arguments, cores, self.seconds)
                    row.rate = [*(row.rate or []), result["per_second"]]
                    row.p50 = [*(row.p50 or []), result["p50_us"]]
                    row.p99 = [*(row.p99 or []), result["p99_us"]]
                    if not load.one_core:
                        row.cpu = [*(row.cpu or []), result["server_cpu_us"]]
            self.progress(load.title, turn, [f"{row.title.split(',')[0]} {report.number(row.cpu[-1])} µs"
                                             for row in rows.values() if row.cpu])
        return finished(Table(load.title, load.explanation, *load.units, list(rows.values())))

    def hold(self, title: str, explanation: str, all_held: list[Held]) -> Table:
        rows = [Row(held.server.title, held.server.role, memory=[], connections=held.connections) for held in all_held]
        for turn in range(self.rounds):
            for row, held in zip(rows, all_held):
                cores = measure.two_cores(held.server) or measure.one_core(held.server)
                row.memory.append(measure.idle_bytes(self.build, held.server, ["idle", *held.arguments],
                                                     held.connections, cores))
            self.progress(title, turn, [f"{row.title} {report.number(row.memory[-1])} B" for row in rows])
        return finished(Table(title, explanation, "connection", "connections", rows))

    def progress(self, title: str, turn: int, values: list[str]) -> None:
        if sys.stderr.isatty():
            print(f"  {title}: round {turn + 1} of {self.rounds}: {', '.join(values)}", file=sys.stderr)


def echo_arguments(connections: int, size: int, depth: int) -> list[str]:
    return ["echo", "--connections", str(connections), "--bytes", str(size), "--depth", str(depth)]


def finished(table: Table) -> Table:
    print(report.plain(table), flush=True)
    return table


class Others:
    """What everybody but us takes of the processors, the host of a virtual machine included: it spoils the figures."""

    def __init__(self) -> None:
        self.before = self.reading()

    @staticmethod
    def reading() -> tuple[float, float]:
        """Seconds of all processors together, and those of them that others had."""
        line = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0]
        seconds = [int(word) / os.sysconf("SC_CLK_TCK") for word in line.split()[1:9]]
        own = sum(os.times()[:4])  # with the children that have ended
        return sum(seconds), sum(seconds) - seconds[3] - seconds[4] - own

    def share(self) -> float:
        whole, others = (now - before for now, before in zip(self.reading(), self.before))
        return max(0.0, others / whole) if whole else 0.0


def warn(share: float) -> None:
    if share > 0.03:
        print(f"Others take {share:.0%} of this machine: the figures are noise.")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Our servers beside the raw limit and peers.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"{', '.join(GROUPS)} or all (the default)")
    parser.add_argument("--short", action="store_true", help="2 rounds instead of 5, and short ones: a first look")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/benchmarks.md")
    parser.add_argument("--build", type=pathlib.Path, default=measure.ROOT / "build" / "release", metavar="FOLDER",
                        help="where the programs are (build/release)")
    options = parser.parse_args(arguments)
    if unknown := set(options.groups) - {*GROUPS, "all"}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)} and all")
    if not options.groups or "all" in options.groups:
        options.groups = GROUPS
    if options.write and set(options.groups) != set(GROUPS):
        parser.error("--write replaces all figures, which belong to one run: it takes no group")
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that what was started is ended
    bench = Bench(options.build, options.short)
    others = Others()
    time.sleep(1)
    print(f"TCP congestion control: {report.congestion_control()}; {bench.rounds} rounds of {bench.seconds:g} s")
    warn(others.share())
    print(flush=True)
    try:
        tables = [table for group in options.groups for table in getattr(bench, group)()]
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    warn(others.share())
    for loss in report.losses(tables):
        print(f"behind: {loss}")
    if options.write:
        command = "./dev bench" + (" --short" if options.short else "")
        facts = report.machine(measure.ROOT, others.share())
        report.write(DOCUMENT, report.document(tables, facts, command, bench.rounds, bench.seconds))
        print(f"written: {DOCUMENT.relative_to(measure.ROOT)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
