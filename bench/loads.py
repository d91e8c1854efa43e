"""The measured loads: each group gives its tables."""

import dataclasses
import pathlib
import sys

import measure
import report
from measure import Failure, Server
from report import Row, Table
from servers import BUFFER_MAX, FILES, Servers

MESSAGES = ("message", "messages")
DATAGRAMS = ("datagram", "datagrams")
REQUESTS = ("request", "requests")
DELIVERIES = ("delivery", "deliveries")
CONNECTIONS = ("connection", "connections")
HANDSHAKES = ("handshake", "handshakes")
MEGABYTES = ("megabyte", "megabytes")
GROUPS = ["echo", "udp", "latency", "broadcast", "http", "idle", "timers", "threads", "tls"]
THROUGHPUT = ("cpu", "rate", "p50", "p99", "max", "busy")
LATENCY = ("p50", "p99", "max", "rate", "cpu")


@dataclasses.dataclass(frozen=True)
class Load:
    """Messages in flight between a client and each of the servers."""

    title: str
    explanation: str
    units: tuple[str, str]  # one, many
    servers: list[Server]
    arguments: list[str]
    columns: tuple[str, ...] = THROUGHPUT
    compared: tuple[str, ...] = ("cpu", "rate")
    size: float = 1  # of a message, in these units
    seconds_min: float = 0  # where the slowest peers finish few messages in a second


@dataclasses.dataclass(frozen=True)
class Held:
    """Idle connections: the server, the arguments of bench/load, and their number."""

    server: Server
    connections: int
    arguments: tuple[str, ...] = ()


class Loads:
    def __init__(self, build: pathlib.Path, short: bool) -> None:
        self.build = build
        self.servers = Servers(build)
        self.rounds = 2 if short else 5
        self.seconds = 0.2 if short else 0.8

    def echo(self) -> list[Table]:
        limits = [self.servers.raw("raw_echo"), self.servers.raw_uring(), self.servers.ours("examples/echo")]
        shapes = [
            ("Echo, 64 B, 64 connections", "One message", (64, 64, 1), ""),
            ("Echo, 64 B, 1,000 connections", "One message", (1000, 64, 1), ""),
            ("Echo, 64 B, 64 connections, 16 deep", "Sixteen messages", (64, 64, 16), ""),
            ("Echo, 16 KiB, 64 connections", "One message", (64, 16384, 1), ""),
            ("Echo, 1 MiB, 16 connections", "One message", (16, 1 << 20, 1), BUFFER_MAX),
        ]
        return [self.exchange(Load(title, f"{depth} under way on each connection.", MESSAGES,
                                   [*limits, *self.servers.echoes(buffer)], echo_arguments(*shape)))
                for title, depth, shape, buffer in shapes]

    def udp(self) -> list[Table]:
        """So few in flight that all fit into a receive buffer of the default size: otherwise some are lost."""
        servers = self.servers.datagram_echoes()
        joined = "The client sends the eight as one message, which the kernel cuts. Who asks gets them so, too."
        shapes = [
            ("UDP echo, 64 B, 64 sockets, 2 deep", "Two datagrams under way on each socket.", (64, 64, 2), ()),
            ("UDP echo, 1,200 B, 64 sockets", "One datagram under way on each socket.", (64, 1200, 1), ()),
            ("UDP echo, 1,200 B, 8 sockets, 8 deep, joined", joined, (8, 1200, 8), ("--joined",)),
        ]
        return [self.exchange(Load(title, text, DATAGRAMS, servers, [*echo_arguments(*shape, verb="udp"), *more]))
                for title, text, shape, more in shapes]

    def latency(self) -> list[Table]:
        servers = [self.servers.raw("raw_echo"), self.servers.raw("raw_echo", "--spin", title="raw_echo, spinning"),
                   self.servers.raw_uring(), self.servers.ours("examples/echo"), *self.servers.echoes()]
        trip = Load("Latency, 64 B, one connection: the time of a round trip",
                    "One message under way. Who spins looks for 50 µs for new events before it sleeps.", MESSAGES,
                    servers, echo_arguments(1, 64, 1), LATENCY, ("p50", "p99"))
        at_rates = [
            Load(f"Latency, 64 B, 64 connections, {rate:,} messages a second",
                 "An open loop: a message is due at a fixed time, whatever has come back, and its latency is counted "
                 "from then. The client spins.", MESSAGES, servers,
                 ["open", "--connections", "64", "--bytes", "64", "--rate", str(rate)], LATENCY, ("p50", "p99"))
            for rate in (10_000, 30_000)]
        return [self.exchange(load) for load in [trip, *at_rates]]

    def broadcast(self) -> list[Table]:
        text = ("One member publishes and keeps 16 messages under way; one is finished when all members have it, and "
                "counts as 1,000 deliveries. The latencies are of a message to all. ")
        arguments = ["broadcast", "--subscribers", "1000", "--bytes", "100", "--in-flight", "16"]
        lines = [self.servers.raw("raw_chat"), self.servers.ours("examples/chat"), self.servers.hub(1),
                 self.servers.hub(2), *self.servers.chats()]
        rooms = [self.servers.raw("raw_room"), self.servers.web(),
                 self.servers.hub(1, "{second_port}", load=("--join",)), *self.servers.websockets()]
        return [
            self.exchange(Load("Broadcast over TCP, 100 B to 1,000 members",
                               text + "Our servers put the sender's name before each message, the others do not. With "
                               "two threads the second one shares its core with the client where there are only two.",
                               DELIVERIES, lines, arguments, seconds_min=0.5)),
            self.exchange(Load("Broadcast over WebSocket, 100 B to 1,000 members",
                               text + "Each gives on what it gets; but the hub puts it into JSON, with a number, the "
                               "time, and the sender, which makes it nearly twice as long.",
                               DELIVERIES, rooms, [*arguments, "--websocket"], seconds_min=0.5)),
        ]

    def http(self) -> list[Table]:
        """The framework. The table of HTTPS with keep-alive belongs to the group tls."""
        loads = [load for secure in (False, True) for load in self.requests(secure)]
        return [self.exchange(load) for load in [*loads, *self.websockets()]]

    def requests(self, secure: bool) -> list[Load]:
        servers, name = self.servers, "HTTPS" if secure else "HTTP"
        tls = ["--tls"] if secure else []

        def gets(path: str, depth: int = 1) -> list[str]:
            return ["http", "--connections", "64", "--depth", str(depth), "--path", path, *tls]

        def makers(path: str, plain: str, spaced: str) -> list[Server]:
            bodies = {"Tornado": spaced}
            return [dataclasses.replace(server, load=("--body", bodies.get(server.title, plain)))
                    for server in servers.makers(path, secure)]

        def file(title: str, text: str, connections: int, name: str, **more) -> Load:
            peers = servers.file_servers(secure)
            if name == "large":  # Tornado reads the whole file for its ETag
                peers = [server for server in peers if server.title != "Tornado"]
            return Load(title, text, servers=peers,
                        arguments=["download", "--connections", str(connections), "--path", f"/files/{name}", "--bytes",
                                   str(FILES[name]), *tls], **more)

        limits = [] if secure else [servers.raw("raw_http")]
        greeters = [*limits, *servers.greeters(secure)]
        spaced = '{"id": 7, "title": "Write the report", "done": false, "tags": ["work", "today"]}'
        plain = spaced.replace(": ", ":").replace(", ", ",")
        rows = "".join(f"<tr><td>{id}</td><td>Item &lt;{id}&gt; &amp; more</td><td>{100 * id}</td></tr>"
                       for id in range(1, 51))
        table = f"<!doctype html><title>Items</title><table>{rows}</table>"
        loads = [
            Load(f"{name}, GET with keep-alive, 64 connections, 16 deep", "Sixteen requests in a pipeline.", REQUESTS,
                 greeters, gets("/hello", 16)),
            Load(f"{name}, JSON, 64 connections", "A structure with a number, a text, a truth value and a list.",
                 REQUESTS, makers("/json", plain, spaced), gets("/json")),
            Load(f"{name}, a template of 50 rows, 64 connections",
                 "The same template everywhere; each row has two numbers and a text that has to be escaped.", REQUESTS,
                 makers("/table", table, table), gets("/table")),
            file(f"{name}, a file of 64 KiB, 64 connections",
                 "One request under way on each connection. None looks for pre-compressed files.", 64, "block",
                 units=REQUESTS),
            file(f"{name}, a file of 1 GiB, 4 connections", "From the page cache.", 4, "large", units=MEGABYTES,
                 size=65536 / 1e6, columns=("cpu", "rate", "busy")),
        ]
        if not secure:
            loads.insert(0, Load("HTTP, GET with keep-alive, 64 connections",
                                 "raw_http looks for the ends of requests and answers with constant bytes.", REQUESTS,
                                 greeters, gets("/hello")))
        return loads

    def websockets(self) -> list[Load]:
        peers = [self.servers.web(), *self.servers.websockets()]
        # Tornado agrees to do without context takeover, and does not
        compressing = [server for server in peers if server.title != "Tornado"]
        deflate = ("permessage-deflate without context takeover, each server at its default level; the texts are 1 KiB "
                   "of words in a random order. ")
        return [
            Load("WebSocket echo, 100 B, 64 connections", "One message under way on each connection.", MESSAGES,
                 [self.servers.raw("raw_room"), *peers], ["websocket", "--connections", "64", "--bytes", "100"]),
            Load("WebSocket echo, compressed, 1 KiB, 64 connections", deflate + "One under way on each connection.",
                 MESSAGES, compressing, ["websocket", "--connections", "64", "--bytes", "1024", "--deflate"]),
            Load("Broadcast over WebSocket, compressed, 1 KiB to 1,000 members",
                 deflate + "One member publishes and keeps 16 under way.", DELIVERIES, compressing,
                 ["broadcast", "--subscribers", "1000", "--bytes", "1024", "--in-flight", "16", "--websocket",
                  "--deflate"], seconds_min=0.5),
        ]

    def idle(self) -> list[Table]:
        text = ("In user space: the growth of the process's own memory, divided by the number of connections. The "
                "kernel takes about 4.5 KB more for each. Every connection has been in use once: ")
        websocket, join = "--websocket", "--join"
        tcp = [self.servers.raw("raw_echo"), self.servers.ours("examples/echo"), *self.servers.echoes()]
        websockets = [Held(server, 10_000, (websocket,))
                      for server in [self.servers.raw("raw_room"), self.servers.ours("examples/websocket_echo")]]
        websockets += [Held(server, 2_000, (websocket,)) for server in self.servers.websockets()]
        rooms = [Held(self.servers.hub(1, title="coax serve, over TCP"), 1000, (join,)),
                 Held(self.servers.hub(1, "{second_port}", "coax serve, over WebSocket"), 1000, (websocket, join))]
        return [
            self.hold("Memory of an idle connection: TCP echo", text + "it had one message echoed.",
                      [Held(server, 10_000) for server in tcp]),
            self.hold("Memory of an idle connection: WebSocket echo", text + "it had one message echoed.", websockets),
            self.hold("Memory of an idle connection: a member of the hub's room",
                      text + "it joined, and has read who else did.", rooms),
        ]

    def timers(self) -> list[Table]:
        """Programs that measure themselves and end."""
        servers = [self.servers.ours("bench/coax_timers"), *self.servers.compiled("libuv/timers", "libuv"),
                   *self.servers.compiled("libevent/timers", "libevent"),
                   *self.servers.compiled("asio/timers", "Boost.Asio")]
        columns = ("start", "stop", "fire")
        table = Table("A million timers", "Nanoseconds of processor time for each timer: a million are started for "
                      "between one second and ten minutes and stopped in another order; then a million are started for "
                      "between 1 and 100 ms, and fired once all are due.", "timer", "timers",
                      [Row(server.title, server.role) for server in servers], columns, columns)

        def once(row: Row, server: Server) -> None:
            result = measure.alone(server.command[0])
            row.add(**{name: result[f"{name}_ns"] for name in columns})

        return [self.in_rounds(table, servers, once)]

    def threads(self) -> list[Table]:
        text = ("A loop and a client share a core; two of both share two. The client gets twice as much of the machine "
                "as well, so it is not what keeps two loops from doing twice as much. The connections of each client "
                "are spread over both loops, so half of all messages go from core to core; what that costs show two "
                "processes of the raw server, which share nothing but the port. Two processes with a port each, where "
                "all that a client says stays on its core, show what the cores could do, and that the clients can.")
        shared = self.servers.raw("raw_echo", "--reuse-port", title="two processes of raw_echo, one port")
        apart = dataclasses.replace(self.servers.raw("raw_echo", title="two processes of raw_echo, a port each"),
                                    role="aside")
        one, two = (self.servers.program("bench/echo_loops", "{port}", str(count), title="examples/echo on two loops",
                                         role="ours", threads=count) for count in (1, 2))
        servers = [apart, shared, two]
        table = Table("Two loops against one: echo, 64 B, 500 connections for each", text, *MESSAGES,
                      [Row(server.title, server.role) for server in servers],
                      ("one", "two", "gain", "cpu_one", "cpu_two", "client_one", "client_two"), ("gain",))
        arguments = echo_arguments(500, 64, 1)

        def once(row: Row, server: Server) -> None:
            before = measure.exchange_on(self.build, [one if server is two else server], arguments, 1, self.seconds)
            after = measure.exchange_on(self.build, [two] if server is two else [server, server], arguments, 2,
                                        self.seconds, apart=server is apart)
            row.add(one=before.rate, two=after.rate, gain=after.rate / before.rate, cpu_one=before.server_cpu,
                    cpu_two=after.server_cpu, client_one=before.client_share, client_two=after.client_share)

        return [self.in_rounds(table, servers, once)]

    def tls(self) -> list[Table]:
        """TLS 1.3 with AES-128-GCM, X25519 and an ECDSA certificate for P-256: the client offers nothing else."""
        echoes, https = self.servers.tls_echoes(), self.servers.tls_https()
        loads = [Load(f"TLS echo, {size >> 10} KiB, {'one connection' if count == 1 else f'{count} connections'}",
                      "One message under way on each connection. Each megabyte is decrypted, and encrypted again.",
                      MEGABYTES, echoes, [*echo_arguments(count, size, 1), "--tls"], size=size / 1e6)
                 for size in (16 << 10, 256 << 10) for count in (1, 64)]
        loads.append(Load("TLS echo, 64 B, 64 connections", "One message under way on each connection.", MESSAGES,
                          echoes, [*echo_arguments(64, 64, 1), "--tls"]))
        loads.append(Load("HTTPS, GET with keep-alive, 64 connections", "One request under way on each connection.",
                          REQUESTS, https, ["http", "--connections", "64", "--depth", "1", "--tls"]))
        text = ("A connection is accepted, {} made, a byte echoed (with nginx and the rows of HTTP: a request "
                "answered), and closed; 16 at once. The client has as much to do as the server, or more.")
        both = [*echoes, *self.servers.tls_https(("--http",))]
        for title, kind, more in [("TLS handshakes, full", "a full handshake", []),
                                  ("TLS handshakes, resumed", "a handshake with a ticket", ["--resume"])]:
            loads.append(Load(title, text.format(kind), HANDSHAKES, both,
                              ["handshakes", "--connections", "16", *more]))
        memory = ("In user space: the growth of the process's own memory, divided by the number of connections. Each "
                  "had one message echoed, or one request answered.")
        held = [Held(server, 2_000, ("--tls",)) for server in echoes]
        held += [Held(server, 2_000, ("--tls", "--http")) for server in https]
        return [*(self.exchange(load) for load in loads), self.hold("Memory of an idle TLS connection", memory, held)]

    # --- how ---

    def exchange(self, load: Load) -> Table:
        table = Table(load.title, load.explanation, *load.units, [Row(each.title, each.role) for each in load.servers],
                      load.columns, load.compared)

        seconds = max(self.seconds, load.seconds_min)

        def once(row: Row, server: Server) -> None:
            one_core = measure.one_core(server) if "busy" in load.columns else None
            if one_core:
                result = measure.exchange(self.build, server, load.arguments, one_core, seconds)
                row.add(cpu=result["server_cpu_us"] / load.size)
            if cores := measure.two_cores(server):
                result = measure.exchange(self.build, server, load.arguments, cores, seconds)
                row.add(rate=result["per_second"] * load.size, p50=result["p50_us"], p99=result["p99_us"],
                        max=result["max_us"],
                        server_busy=result["server_cpu_us"] * result["per_second"] / 1e6 / server.threads,
                        client_busy=result["client_cpu_us"] * result["per_second"] / 1e6)
                if "busy" not in load.columns:
                    row.add(cpu=result["server_cpu_us"] / load.size)

        return self.in_rounds(table, load.servers, once)

    def hold(self, title: str, explanation: str, all_held: list[Held]) -> Table:
        rows = [Row(held.server.title, held.server.role, connections=held.connections) for held in all_held]
        table = Table(title, explanation, *CONNECTIONS, rows, ("memory",), ("memory",))
        by_server = {held.server: held for held in all_held}

        def once(row: Row, server: Server) -> None:
            cores = measure.two_cores(server) or measure.one_core(server)
            held = by_server[server]
            row.add(memory=measure.idle_bytes(self.build, server, ["idle", *held.arguments], held.connections, cores))

        return self.in_rounds(table, [held.server for held in all_held], once, min(self.rounds, 3))

    def in_rounds(self, table: Table, servers: list[Server], once, rounds: int = 0) -> Table:
        """All in turn, in several rounds that begin with different ones. An optional server that fails is left out,
        and the table says so; the others must not fail."""
        rounds = rounds or self.rounds
        pairs = list(zip(table.rows, servers))
        for turn in range(rounds):
            first = turn % len(pairs)
            for row, server in pairs[first:] + pairs[:first]:
                if row.failed:
                    continue
                try:
                    once(row, server)
                except Failure as failure:
                    if not server.optional:
                        raise
                    row.failed = str(failure)
            if sys.stderr.isatty():
                print(f"  {table.title}: round {turn + 1} of {rounds}", file=sys.stderr)
        print(report.plain(table), flush=True)
        return table


def echo_arguments(connections: int, size: int, depth: int, verb: str = "echo") -> list[str]:
    return [verb, "--connections", str(connections), "--bytes", str(size), "--depth", str(depth)]
