#!/usr/bin/env python3
# The statements of the benchmarks follow from the measurements: ratios, the bottleneck, and where Coax is slower. And
# the load generator reports a server with a wrong answer as failed, not as fast.
import json
import os
import pathlib
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import plot  # noqa: E402
import report  # noqa: E402
from report import Row, Table  # noqa: E402


def table(*rows: Row, columns: tuple[str, ...] = ("cpu", "rate", "busy")) -> Table:
    return Table("Echo", "One message.", "message", "messages", list(rows), columns,
                 tuple(name for name in columns if name != "busy"))


def row(title: str, role: str, **values: list[float]) -> Row:
    return Row(title, role, values)


class Ratios(unittest.TestCase):
    def test_a_ratio_compares_what_was_measured_in_the_same_round(self) -> None:
        limit = row("raw", "limit", cpu=[1.0, 10.0, 1.0])
        self.assertEqual(report.ratio(row("ours", "ours", cpu=[2.0, 20.0, 2.0]), limit, "cpu"), 2.0)

    def test_the_best_of_two_limits_is_the_limit_for_each_figure(self) -> None:
        both = table(row("epoll", "limit", cpu=[1.0], rate=[10.0]), row("uring", "limit", cpu=[2.0], rate=[20.0]))
        self.assertEqual((both.best("limit", "cpu").title, both.best("limit", "rate").title), ("epoll", "uring"))

    def test_a_peer_that_failed_is_not_compared_with(self) -> None:
        failed = row("peer", "peer", cpu=[1.0])
        failed.failed = "load: the echo is wrong"
        alone = table(failed, row("ours", "ours", cpu=[2.0]))
        self.assertIsNone(alone.best("peer", "cpu"))
        self.assertIn("Left out: peer, which failed (load: the echo is wrong).", report.markdown(alone))


class Losses(unittest.TestCase):
    def losses(self, ours: list[float], peer: list[float], metric: str = "cpu") -> list[str]:
        rows = (row("ours", "ours", **{metric: ours}), row("peer", "peer", **{metric: peer}))
        return [str(loss) for loss in report.losses([table(*rows, columns=(metric,))], "peer")]

    def test_what_costs_more_in_four_rounds_of_five_is_a_loss(self) -> None:
        found = self.losses([1.2, 1.2, 1.2, 1.2, 0.9], [1.0] * 5)
        self.assertEqual(found, ["Echo: ours: 1.20 times the CPU of peer"])

    def test_a_lower_rate_is_a_loss(self) -> None:
        found = self.losses([50.0] * 5, [100.0] * 5, "rate")
        self.assertEqual(found, ["Echo: ours: 2.00 times the lower rate of peer"])

    def test_what_differs_from_round_to_round_is_no_loss(self) -> None:
        self.assertEqual(self.losses([1.5, 0.9, 1.5, 0.9, 1.5], [1.0] * 5), [])

    def test_two_per_cent_are_noise(self) -> None:
        self.assertEqual(self.losses([1.02] * 5, [1.0] * 5), [])


class Bottleneck(unittest.TestCase):
    def limited(self, server: float, client: float) -> str:
        return report.limited_by(row("ours", "ours", server_busy=[server], client_busy=[client]))

    def test_who_has_nothing_left_of_its_core_is_the_bottleneck(self) -> None:
        self.assertEqual(self.limited(0.99, 0.5), "server (99%, 50%)")
        self.assertEqual(self.limited(0.5, 0.99), "client (50%, 99%)")
        self.assertEqual(self.limited(0.99, 0.99), "server and client (99%, 99%)")
        self.assertEqual(self.limited(0.5, 0.5), "neither (50%, 50%)")


class Document(unittest.TestCase):
    def test_where_we_lose_comes_first(self) -> None:
        tables = [table(row("ours", "ours", cpu=[2.0] * 5), row("peer", "peer", cpu=[1.0] * 5))]
        text = report.document(tables, [("cores", "2")], "![picture](picture.svg)", "Again: `./dev bench`.")
        self.assertTrue(text.startswith("## Where Coax loses\n"))
        self.assertIn("| Echo | ours | peer | CPU | 2.00 |", text)

    def test_what_stands_around_the_figures_stays(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "benchmarks.md"
            path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
            report.write(path, "new\n")
            self.assertEqual(path.read_text(), f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n")

    def test_the_picture_is_well_formed_and_has_a_line_for_each_of_ours(self) -> None:
        rows = row("raw", "limit", cpu=[1.0]), row("a & b", "ours", cpu=[1e9]), row("<p>", "peer", cpu=[0.01])
        tables = [table(*rows)]
        root = xml.etree.ElementTree.fromstring(plot.picture(tables))
        words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("CPU · a & b", words)
        self.assertIn("<p>", words)


class Server:
    """Answers on a thread until it is left: answer(number, bytes), for the connection of that number, gives what is
    sent for the bytes received, none at the end. A delay in seconds passes before the first bytes are read."""

    def __init__(self, answer, delay: float = 0, kind: int = socket.SOCK_STREAM) -> None:
        self.answer, self.delay, self.kind = answer, delay, kind
        self.listener = socket.socket(socket.AF_INET, kind)
        self.listener.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.stop, self.stopped = socket.socketpair()
        self.connections: dict[socket.socket, int] = {}
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self) -> "Server":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop.close()
        self.thread.join()
        for each in [self.listener, self.stopped, *self.connections]:
            each.close()

    def serve(self) -> None:
        time.sleep(self.delay)
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.register(self.stopped, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self.stopped:
                        return
                    self.ready(key.fileobj, selector)

    def ready(self, ready: socket.socket, selector: selectors.BaseSelector) -> None:
        if self.kind == socket.SOCK_DGRAM:
            data, sender = ready.recvfrom(65536)
            for answer in self.answer(0, data):
                ready.sendto(answer, sender)
        elif ready is self.listener:
            connection = ready.accept()[0]
            self.connections[connection] = len(self.connections)
            selector.register(connection, selectors.EVENT_READ)
        else:
            try:
                data = ready.recv(65536)
                ready.sendall(self.answer(self.connections[ready], data))
            except ConnectionError:
                data = b""
            if not data:
                selector.unregister(ready)
                self.connections.pop(ready)
                ready.close()


class AfterBytes:
    """An echo that becomes spoilt(bytes) once that many bytes were received."""

    def __init__(self, count: int, spoilt) -> None:
        self.count, self.spoilt = count, spoilt

    def __call__(self, _: int, data: bytes) -> bytes:
        self.count -= len(data)
        return data if self.count > 0 or not data else self.spoilt(data)


HTTP_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello world!"


class Generator(unittest.TestCase):
    LOAD = pathlib.Path(os.environ.get("COAX_BUILD", ROOT / "build/release")) / "bench/load"

    def load(self, server: Server, verb: str, *arguments: str) -> subprocess.CompletedProcess:
        command = [str(self.LOAD), verb, "--port", str(server.port), "--connections", "2", "--seconds", "0.1",
                   "--warm-up", "0", "--stall", "0.5", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def assert_refused(self, server: Server, reason: str, verb: str, *arguments: str) -> None:
        with server:
            run = self.load(server, verb, *arguments)
        self.assertEqual((run.returncode, run.stdout), (1, ""), (verb, run))
        self.assertRegex(run.stderr, f"^load: .*{reason}")

    def test_a_right_answer_is_measured(self) -> None:
        for verb in ["echo", "open"]:
            with Server(lambda _, data: data) as server:
                run = self.load(server, verb)
            self.assertEqual((run.returncode, run.stderr), (0, ""), verb)
            self.assertGreater(json.loads(run.stdout)["messages"], 0)
        with Server(lambda _, data: [data], kind=socket.SOCK_DGRAM) as server:
            self.assertEqual(self.load(server, "udp").returncode, 0)
        with Server(lambda _, data: HTTP_ANSWER * data.count(b"\r\n\r\n")) as server:
            self.assertEqual(self.load(server, "http").returncode, 0)

    def test_wrong_bytes_fail(self) -> None:
        def flip(data: bytes) -> bytes:
            return data[:-1] + bytes([data[-1] ^ 1])

        for verb in ["echo", "open"]:
            self.assert_refused(Server(AfterBytes(1000, flip)), "the echo is wrong", verb)
        self.assert_refused(Server(lambda _, data: [flip(data)], kind=socket.SOCK_DGRAM), "the echo is wrong", "udp")
        wrong = HTTP_ANSWER.replace(b"world", b"World")
        self.assert_refused(Server(lambda *_: wrong), "the body is not the expected one", "http")

    def test_too_much_fails(self) -> None:
        more = "more than it was asked for|the echo is wrong"
        for verb in ["echo", "open"]:
            self.assert_refused(Server(AfterBytes(1000, lambda data: data + data)), more, verb)
            self.assert_refused(Server(AfterBytes(1000, lambda data: data + b"x")), more, verb)
        self.assert_refused(Server(lambda _, data: [data, data], kind=socket.SOCK_DGRAM), more, "udp")
        self.assert_refused(Server(lambda *_: HTTP_ANSWER * 2), more, "http")

    def test_what_is_sent_after_the_last_answer_fails(self) -> None:
        for verb, answer in [("echo", lambda data: data), ("open", lambda data: data),
                             ("http", lambda data: HTTP_ANSWER * data.count(b"\r\n\r\n"))]:
            late = Server(lambda _, data, answer=answer: answer(data) if data else b"late")
            self.assert_refused(late, "more than it was asked for", verb)

    def test_too_little_fails(self) -> None:
        for verb in ["echo", "open"]:
            self.assert_refused(Server(AfterBytes(1000, lambda data: data[:-1])), "the echo is wrong|did not answer",
                                verb)

    def test_a_connection_without_answers_fails(self) -> None:
        for verb, answer in [("echo", lambda data: data), ("open", lambda data: data),
                             ("http", lambda data: HTTP_ANSWER * data.count(b"\r\n\r\n"))]:
            silent = Server(lambda number, data, answer=answer: b"" if number == 1 else answer(data))
            self.assert_refused(silent, r"did not answer \d+ of \d+ messages", verb)

    def test_a_server_that_stops_answering_fails(self) -> None:
        for verb in ["echo", "open"]:
            self.assert_refused(Server(AfterBytes(1000, lambda data: b"")), "stalls|did not answer", verb)

    def test_an_open_loop_counts_no_answers_of_before(self) -> None:
        with Server(lambda _, data: data, delay=0.15) as server:
            run = self.load(server, "open", "--rate", "1000", "--warm-up", "0.1")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertLess(json.loads(run.stdout)["messages"], 110)  # 1,000 a second for 0.1 s


if __name__ == "__main__":
    unittest.main()
