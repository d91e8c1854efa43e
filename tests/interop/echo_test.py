#!/usr/bin/env python3
# `coax echo`: its server against Python's sockets and nc, its client against correct, wrong and silent echo servers.

import contextlib
import json
import pathlib
import shutil
import signal
import socket
import struct
import tempfile
import threading
import unittest
from collections.abc import Callable, Iterator

import support
from support import LOCALHOST, WAIT_S, Program, Server, coax, read_to_end


class Echo(Program):
    """`coax echo listen`, which listens."""

    def __init__(self, *arguments: str, at: str = "0") -> None:
        super().__init__(coax(), "echo", "listen", at, *arguments)
        self.address = self.output.wait_for("listening on ").rpartition(" ")[2]

    def connect(self) -> socket.socket:
        client = socket.create_connection((LOCALHOST, int(self.address.rpartition(":")[2])), WAIT_S)
        client.settimeout(WAIT_S)
        return client


def echo(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    ran = support.run("echo", *arguments)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


def give_back(peer: socket.socket) -> None:
    while data := peer.recv(65536):
        peer.sendall(data)


@contextlib.contextmanager
def udp_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Its address; `serve` runs on a thread."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((LOCALHOST, 0))
        server.settimeout(WAIT_S)
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield "%s:%d" % server.getsockname()
        thread.join(WAIT_S)


class TheServer(unittest.TestCase):
    def test_gives_back_every_byte_to_everybody(self) -> None:
        every_byte = bytes(range(256)) * 1000
        with Echo() as server, server.connect() as first, server.connect() as second:
            for client in (first, second):
                client.sendall(every_byte)
                client.shutdown(socket.SHUT_WR)
            self.assertEqual(read_to_end(first), every_byte)
            self.assertEqual(read_to_end(second), every_byte)

    def test_ends_with_0_on_signals_although_somebody_is_there(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with Echo() as server, server.connect() as client:
                client.sendall(b"x")
                self.assertEqual(client.recv(1), b"x")
                server.send_signal(number)
                self.assertEqual(server.wait(), 0)

    def test_signals_without_a_meaning_are_ignored_and_a_hangup_ends_it(self) -> None:
        for flags in (), ("--udp",):
            with Echo(*flags) as server:
                for number in support.STRAY_SIGNALS:
                    server.send_signal(number)
                server.send_signal(signal.SIGHUP)
                self.assertEqual(server.wait(), 0)

    def test_a_client_that_resets_disturbs_nobody(self) -> None:
        with Echo() as server:
            with server.connect() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(b"x")
            with server.connect() as client:
                client.sendall(b"y")
                self.assertEqual(client.recv(1), b"y")

    def test_an_address_that_is_taken(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as taken:
            code, out, said = echo("listen", str(taken.getsockname()[1]))
        self.assertEqual((code, out), (3, ""))
        self.assertIn("another program listens there", said)

    @unittest.skipUnless(shutil.which("nc"), "nc is not installed")
    def test_nc(self) -> None:
        with Echo() as server, Program("nc", "-N", *server.address.rsplit(":", 1)) as nc:
            nc.send(b"over and out\n")
            nc.output.wait_for("over and out")
            nc.finish()
            self.assertEqual(nc.wait(), 0)


class TheClient(unittest.TestCase):
    def test_tells_times_and_rate(self) -> None:
        with Server(give_back) as server:
            code, out, said = echo(server.address, "--count", "20")
        self.assertEqual((code, said), (0, ""))
        self.assertIn(f"{server.address}: 20 of 20 messages of 64B came back unchanged\n", out)
        self.assertRegex(out, r"round trip  p50 \d+\.\d us, p99 \d+\.\d us, max \d+\.\d us\n  rate +\d+ messages/s")

    def test_json(self) -> None:
        with Server(give_back) as server:
            code, out, _ = echo(server.address, "--count", "20", "--size", "1MiB", "--json")
        report = json.loads(out)
        self.assertEqual((code, report["sent"], report["unchanged"], report["lost"]), (0, 20, 20, 0))
        self.assertEqual(report["size"], 1 << 20)
        self.assertLessEqual(report["p50_us"], report["p99_us"])
        self.assertLessEqual(report["p99_us"], report["max_us"])

    def test_over_a_unix_socket_which_leaves_no_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            with Echo(at=f"unix:{folder}/echo") as server:
                self.assertEqual(echo(server.address, "--count", "5")[0], 0)
                server.send_signal(signal.SIGTERM)
                self.assertEqual(server.wait(), 0)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])

    def test_a_byte_that_differs_is_a_failure(self) -> None:
        def change(peer: socket.socket) -> None:
            data = bytearray(peer.recv(64, socket.MSG_WAITALL))
            data[13] ^= 1
            with contextlib.suppress(OSError):
                peer.sendall(data)
                peer.recv(1)

        with Server(change) as server:
            code, out, said = echo(server.address)
        self.assertEqual(code, 1)
        self.assertIn("byte 13 of a message came back changed", said)
        self.assertIn("0 of 1 messages", out)

    def test_a_byte_too_many_is_a_failure(self) -> None:
        def add(peer: socket.socket) -> None:
            with contextlib.suppress(OSError):
                peer.sendall(peer.recv(64, socket.MSG_WAITALL) + b"!")
                peer.recv(1)

        with Server(add) as server:
            self.assertEqual(echo(server.address, "--count", "2")[0], 1)

    def test_one_who_finishes_early_or_never_answers_is_a_failure(self) -> None:
        with Server(lambda peer: peer.sendall(peer.recv(64, socket.MSG_WAITALL)[:10])) as server:
            code, _, said = echo(server.address)
        self.assertEqual(code, 1)
        self.assertIn("finished after 10 of 64 bytes", said)
        with Server(read_to_end) as server:
            self.assertEqual(echo(server.address, "--timeout", "50ms")[0], 1)

    def test_nobody_answers(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as closed:
            port = str(closed.getsockname()[1])
        self.assertEqual(echo(port)[0], 3)

    def test_over_udp(self) -> None:
        with Echo("--udp") as server:
            code, out, _ = echo("--udp", server.address, "--count", "50", "--size", "1KiB", "--json")
            report = json.loads(out)
            self.assertEqual((code, report["sent"], report["unchanged"], report["lost"]), (0, 50, 50, 0))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(WAIT_S)
                client.sendto(b"", (LOCALHOST, int(server.address.rpartition(":")[2])))
                self.assertEqual(client.recv(10), b"")

    def test_datagrams_that_are_lost_or_late_are_counted(self) -> None:
        def echo_badly(server: socket.socket) -> None:
            first, peer = server.recvfrom(100)  # kept
            second, _ = server.recvfrom(100)
            for answer in (first, second):  # the first one too late, when the second is waited for
                server.sendto(answer, peer)
            third, _ = server.recvfrom(100)
            server.sendto(third, peer)

        with udp_server(echo_badly) as address:
            code, out, _ = echo("--udp", address, "--count", "3", "--timeout", "300ms", "--json")
        report = json.loads(out)
        self.assertEqual((code, report["sent"], report["unchanged"], report["lost"]), (1, 3, 2, 1))

    def test_a_datagram_that_differs_is_a_failure(self) -> None:
        def cut(server: socket.socket) -> None:
            data, peer = server.recvfrom(100)
            server.sendto(data[:-1], peer)

        with udp_server(cut) as address:
            code, _, said = echo("--udp", address)
        self.assertEqual(code, 1)
        self.assertIn("came back changed", said)

    def test_a_name_goes_on_to_its_next_address_over_udp(self) -> None:
        with Echo("--udp") as server:
            port = server.address.rpartition(":")[2]
            code, out, _ = echo("--udp", f"localhost:{port}", "--count", "5", "--json")
            report = json.loads(out)
            self.assertEqual((code, report["sent"], report["unchanged"]), (0, 5, 5))

    def test_nobody_answers_over_udp(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind((LOCALHOST, 0))
            port = str(closed.getsockname()[1])
        code, _, said = echo("--udp", port, "--count", "3", "--timeout", "100ms")
        self.assertEqual(code, 3)
        self.assertIn("refused", said)

    def test_bad_input(self) -> None:
        for arguments, part in ((["80", "--size", "0B"], "--size 0B"), (["80", "--size", "12"], "is not a size"),
                                (["80", "--count", "0"], '--count "0"'), (["80", "--timeout", "1"], "not a duration"),
                                (["host"], "is no port"), (["--udp", "80", "--size", "7B"], "--size 7B"),
                                (["--udp", "unix:/x"], "--udp is for"), ([], "TARGET is missing")):
            with self.subTest(arguments):
                code, out, said = echo(*arguments)
                self.assertEqual((code, out), (2, ""))
                self.assertIn(part, said)


if __name__ == "__main__":
    unittest.main()
