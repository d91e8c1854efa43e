#!/usr/bin/env python3
# `coax connect` and `coax listen` against Python's sockets, nc and each other: the end of the input, forms of output,
# errors, and large data.

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import threading
import time
import unittest
from collections.abc import Iterator

import support
from exchange import Listening, connect, connecting, events, started
from support import LOCALHOST, WAIT_S, Program, Server, coax, read_to_end
from terminal import Person

LARGE = 64 << 20


@contextlib.contextmanager
def folder() -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


class TheEnd(unittest.TestCase):
    def test_the_end_of_the_input_is_a_half_close_and_the_answer_is_printed(self) -> None:
        def answer_when_all_has_come(peer: socket.socket) -> None:
            peer.sendall(b"you said: " + read_to_end(peer))

        with Server(answer_when_all_has_come) as server:
            self.assertEqual(connect(server.address, given=b"hello"), (0, b"you said: hello", ""))

    def test_listen_does_the_same_from_the_other_side(self) -> None:
        with Listening() as listening, listening.connect() as client:
            client.sendall(b"from the client\n")
            listening.output.wait_for("from the client")
            listening.send(b"from the server\n")
            listening.finish()
            self.assertEqual(read_to_end(client), b"from the server\n")
            self.assertIsNone(listening.process.poll())  # the client has not finished
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(listening.wait(), 0)

    def test_what_the_input_still_has_is_sent_to_a_peer_that_has_finished(self) -> None:
        received = b""

        def finish_at_once(peer: socket.socket) -> None:
            nonlocal received
            peer.shutdown(socket.SHUT_WR)
            received = read_to_end(peer)

        data = os.urandom(1 << 20)
        with Server(finish_at_once) as server:
            self.assertEqual(connect(server.address, given=data)[0], 0)
        self.assertEqual(received, data)

    def test_a_peer_that_stays_silent_is_left_after_the_wait(self) -> None:
        released = threading.Event()
        with Server(lambda peer: released.wait(WAIT_S)) as server:
            code, out, said = connect(server.address, "--wait", "50ms", given=b"x")
            released.set()
        self.assertEqual((code, out, said), (0, b"", ""))  # the wait was requested

    def test_without_input_the_peer_has_the_last_word(self) -> None:
        def speak(peer: socket.socket) -> None:
            peer.sendall(b"news")
            peer.settimeout(0.1)
            with self.assertRaises(TimeoutError):  # our side is open
                peer.recv(1)

        with Server(speak) as server:
            self.assertEqual(connect(server.address, "--no-input"), (0, b"news", ""))

    def test_an_answer_of_one_who_does_not_read_is_printed_although_sending_fails(self) -> None:
        answer = os.urandom(100_000)  # more than a pipe holds

        def refuse(peer: socket.socket) -> None:
            peer.recv(1)
            peer.sendall(answer)
            for _ in range(1000):  # the reset would destroy what has not arrived yet
                if fcntl.ioctl(peer, termios.TIOCOUTQ, bytes(4)) == bytes(4):
                    return
                select.select([], [], [], 0.01)

        with folder() as path:
            (path / "file").write_bytes(bytes(LARGE))
            with open(path / "file", "rb") as file, Server(refuse) as server, \
                    started("connect", server.address, stdin=file, stdout=subprocess.PIPE) as process:
                server.thread.join(WAIT_S)  # it has closed with many unread bytes, which resets the connection
                with self.assertRaises(subprocess.TimeoutExpired):  # it waits for the reader of its output
                    process.wait(0.5)
                self.assertEqual(process.stdout.read(), answer)
                self.assertEqual(process.wait(WAIT_S), 1)

    def test_the_peer_is_killed(self) -> None:
        with Listening() as peer, connecting(peer.address) as client:
            peer.send(b"x\n")
            client.output.wait_for("x")
            client.send(b"never read\n")
            peer.output.wait_for("never read")
            peer.kill()
            client.send(b"y\n")
            with contextlib.suppress(BrokenPipeError):
                client.send(b"z\n")
                client.finish()
            self.assertIn(client.wait(), {0, 1})  # a kill may look like an end, or like a reset

    def test_a_reset_is_a_failure(self) -> None:
        with Listening() as listening:
            with listening.connect() as client:
                client.sendall(b"x\n")
                listening.output.wait_for("x")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self.assertEqual(listening.wait(), 1)
            self.assertIn("reset", listening.log.wait_for_end())


class Shown(unittest.TestCase):
    def test_bytes_are_verbatim_in_a_pipe(self) -> None:
        every_byte = bytes(range(256))
        with Server(lambda peer: peer.sendall(every_byte)) as server:
            self.assertEqual(connect(server.address)[:2], (0, every_byte))

    def test_a_terminal_gets_no_control_characters(self) -> None:
        def attack(peer: socket.socket) -> None:
            for part in (b"\x1b[2Jred\x07\tgr\xc3", b"\xbc\xc3\x9fe \xff\r\nnext line", b"\r\nend\n"):
                peer.sendall(part)
                peer.recv(1)

        with Server(attack) as server, Person(server.address, command="connect") as person:
            person.wait_for("red")
            person.type("\n")
            person.wait_for("next line")
            person.type("\n")
            person.wait_for("end")
            person.type("\n")
            self.assertEqual(person.leave()[0], 0)  # the peer's end is the end
            self.assertNotIn(b"\x1b", person.written)
            shown = person.screen.text()
            self.assertIn("\\x1B[2Jred\\x07", shown)
            self.assertIn("gr\nüße \\xFF", shown)  # between them what was typed

    def test_a_hex_dump_has_both_directions(self) -> None:
        def answer(peer: socket.socket) -> None:
            peer.sendall(b"\x00\xffanswer" + read_to_end(peer))

        with Server(answer) as server:
            code, out, _ = connect(server.address, "--hex", given=b"0123456789abcdefg\n")
        self.assertEqual(code, 0)
        rows = [
            "> 00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|",
            "> 00000010  67 0a                                            |g.|",
            "< 00000000  00 ff 61 6e 73 77 65 72 30 31 32 33 34 35 36 37  |..answer01234567|",
            "< 00000010  38 39 61 62 63 64 65 66 67 0a                    |89abcdefg.|",
        ]
        self.assertEqual(out.decode().splitlines(), rows)

    def test_json_tells_every_event(self) -> None:
        def answer(peer: socket.socket) -> None:
            peer.sendall(read_to_end(peer) + b"\xff")

        with Server(answer) as server:
            code, out, _ = connect(server.address, "--json", given="grüße\n".encode())
        self.assertEqual(code, 0)
        reported = events(out.decode())
        self.assertEqual([event["event"] for event in reported],
                         ["connected", "sent", "finished", "received", "finished", "closed"])
        self.assertEqual((reported[1]["text"], reported[1]["bytes"], reported[2]["by"]), ("grüße\n", 8, "us"))
        self.assertEqual(base64.b64decode(reported[3]["base64"]), "grüße\n".encode() + b"\xff")
        self.assertEqual((reported[5]["why"], reported[5]["received"], reported[5]["sent"]), ("finished", 9, 8))
        self.assertTrue(all(event["peer"] == server.address for event in reported))
        self.assertRegex(reported[0]["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")

    def test_json_is_text_wherever_a_read_cuts_a_character(self) -> None:
        text = "aé€😀ß"
        for lines in (), ("--line",):
            for size in 1, 2, 3, 5:
                with self.subTest(lines=lines, size=size):
                    def answer(peer: socket.socket) -> None:
                        data = text.encode()
                        for at in range(0, len(data), size):
                            peer.sendall(data[at:at + size])
                            peer.recv(1)  # the next piece is another read

                    with Server(answer) as server, connecting(server.address, "--json", *lines) as client:
                        for at in range(0, len(text.encode()), size):
                            client.send(b"\n")
                        client.finish()
                        reported = events(client.output.wait_for_end())
                    got = [event for event in reported if event["event"] == "received"]
                    self.assertEqual("".join(event["text"] for event in got), text)
                    self.assertEqual(sum(event["bytes"] for event in got), len(text.encode()))

    def test_json_shows_a_character_that_never_ends(self) -> None:
        with Server(lambda peer: peer.sendall(b"ok\xe2\x82")) as server:
            reported = events(connect(server.address, "--json")[1].decode())
        got = [event.get("text", event.get("base64")) for event in reported if event["event"] == "received"]
        self.assertEqual(got, ["ok", base64.b64encode(b"\xe2\x82").decode()])
        self.assertEqual(reported[-1]["received"], 4)

    def test_json_tells_failures(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as closed:
            port = closed.getsockname()[1]
        code, out, said = connect(f"{LOCALHOST}:{port}", "--json")
        self.assertEqual((code, [event["event"] for event in events(out.decode())]), (3, ["error"]))
        self.assertIn("Connection refused", said)

    def test_lines(self) -> None:
        def answer(peer: socket.socket) -> None:
            got = read_to_end(peer)
            self.assertEqual(got, b"one\ntwo\n")
            peer.sendall(b"three\nfour")

        with Server(answer) as server:
            self.assertEqual(connect(server.address, "--line", given=b"one\ntwo"), (0, b"three\nfour\n", ""))
        with Server(answer) as server:
            out = connect(server.address, "--line", "--json", given=b"one\ntwo")[1].decode()
            self.assertEqual([event["text"] for event in events(out) if "text" in event],
                             ["one\n", "two\n", "three\n", "four"])

    def test_crlf(self) -> None:
        def expect(peer: socket.socket) -> None:
            self.assertEqual(read_to_end(peer), b"GET / HTTP/1.0\r\nHost: x\r\n\r\nrest\r\n")

        with Server(expect) as server:
            self.assertEqual(connect(server.address, "--crlf", given=b"GET / HTTP/1.0\nHost: x\r\n\nrest")[0], 0)

    def test_a_line_without_end_is_passed_on_all_the_same(self) -> None:
        data = b"x" * 300_000

        def expect(peer: socket.socket) -> None:
            self.assertEqual(read_to_end(peer), data + b"\n")

        with Server(expect) as server:
            self.assertEqual(connect(server.address, "--line", given=data)[0], 0)


class Time(unittest.TestCase):
    def test_idle_connections_are_given_up(self) -> None:
        released = threading.Event()
        with Server(lambda peer: released.wait(WAIT_S)) as server, \
                connecting(server.address, "--idle", "50ms") as client:
            self.assertEqual(client.wait(), 1)
            self.assertIn("no traffic for 50ms (--idle)", client.log.wait_for_end())
            released.set()

    def test_connecting_takes_at_most_so_long(self) -> None:
        with socket.socket() as full:  # its backlog is full: the kernel does not answer
            full.bind((LOCALHOST, 0))
            full.listen(0)
            address = full.getsockname()
            waiting = [socket.socket() for _ in range(3)]
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(address)
            code, _, said = connect(f"{LOCALHOST}:{address[1]}", "--timeout", "100ms")
            for each in waiting:
                each.close()
        self.assertEqual(code, 3)
        self.assertIn("no connection within 100ms", said)

    def test_it_connects_again(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as first:
            port = first.getsockname()[1]
            first.settimeout(WAIT_S)
            with connecting(f"{LOCALHOST}:{port}", "--reconnect", "10ms", "--json") as client:
                connection, _ = first.accept()
                connection.close()
                client.output.wait_for('"closed"')
                connection, _ = first.accept()
                with connection:
                    client.send(b"still here")
                    self.assertEqual(connection.recv(100), b"still here")
                    client.finish()
                    self.assertEqual(connection.recv(100), b"")
                self.assertEqual(client.wait(), 0)

    def test_it_connects_when_the_server_comes(self) -> None:
        with socket.socket() as server:
            server.bind((LOCALHOST, 0))
            with connecting(f"{LOCALHOST}:{server.getsockname()[1]}", "--reconnect", "10ms") as client:
                client.log.wait_for("Connection refused", times=2)
                server.listen()
                server.settimeout(WAIT_S)
                connection, _ = server.accept()
                with connection:
                    client.finish()
                    self.assertEqual(connection.recv(1), b"")
                self.assertEqual(client.wait(), 0)


class Listen(unittest.TestCase):
    def test_one_client_and_no_more(self) -> None:
        with Listening() as listening, listening.connect() as client:
            client.sendall(b"x\n")
            listening.output.wait_for("x")
            with self.assertRaises(ConnectionRefusedError):
                listening.connect()
            listening.finish()

    def test_keep_open_takes_one_after_the_other(self) -> None:
        with Listening("--keep-open", "--line") as listening:
            for number in range(3):
                with listening.connect() as client:
                    client.sendall(f"client {number}".encode())
                    client.shutdown(socket.SHUT_WR)
                    listening.output.wait_for(f"client {number}")
                    listening.send(f"answer {number}\n".encode())
                    self.assertEqual(client.recv(100), f"answer {number}\n".encode())
            with listening.connect() as client:
                client.sendall(b"reset me\n")
                listening.output.wait_for("reset me")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            with listening.connect() as client:  # the previous one disturbs no later client
                client.sendall(b"the last\n")
                listening.output.wait_for("the last")
            listening.send_signal(signal.SIGINT)
            self.assertEqual(listening.wait(), 0)

    def test_keep_open_gives_a_file_that_is_read_slowly_whole(self) -> None:
        with folder() as path:
            (path / "file").write_bytes(bytes(LARGE))
            with open(path / "file", "rb") as file, \
                    started("listen", "--keep-open", "0", stdin=file, stdout=subprocess.DEVNULL) as process:
                port = int(process.stderr.readline().rpartition(b":")[2])
                with socket.create_connection((LOCALHOST, port), WAIT_S) as client:
                    client.shutdown(socket.SHUT_WR)
                    client.settimeout(WAIT_S)
                    self.assertEqual(len(client.recv(1, socket.MSG_PEEK)), 1)
                    time.sleep(1)  # nothing else shows that it waits longer than the pause of an input would be
                    self.assertEqual(len(read_to_end(client)), LARGE)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(WAIT_S), 0)

    def test_an_address_that_is_taken_or_not_ours(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as taken:
            ran = support.run("listen", str(taken.getsockname()[1]))
        self.assertEqual((ran.returncode, ran.stdout), (3, b""))
        self.assertIn(b"another program listens there", ran.stderr)
        self.assertEqual(support.run("listen", "192.0.2.200:0").returncode, 3)

    def test_unix_sockets_leave_no_file_behind(self) -> None:
        with folder() as path:
            name = f"unix:{path}/socket"
            with Listening(at=name) as listening, connecting(name) as client:
                client.send(b"over a path\n")
                listening.output.wait_for("over a path")
                client.finish()
                listening.finish()
                self.assertEqual((client.wait(), listening.wait()), (0, 0))
            self.assertEqual(list(path.iterdir()), [])
            with Listening(at=name) as listening:
                listening.send_signal(signal.SIGINT)
                self.assertEqual(listening.wait(), 1)
            self.assertEqual(list(path.iterdir()), [])

    def test_json_tells_where_it_listens_and_who_comes(self) -> None:
        with Listening("--json") as listening:
            with listening.connect() as client:
                own = "%s:%d" % client.getsockname()
                listening.finish()
                self.assertEqual(read_to_end(client), b"")
            self.assertEqual(listening.wait(), 0)
            reported = events(listening.output.wait_for_end())
        self.assertEqual(reported[0]["address"], listening.address)
        self.assertEqual((reported[1]["event"], reported[1]["peer"]), ("connected", own))
        self.assertEqual(reported[-1]["event"], "closed")


class Check(unittest.TestCase):
    def test_which_of_them_answer(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as server:
            port = server.getsockname()[1]
            code, out, _ = connect(f"{LOCALHOST}:{port}", "--check")
            self.assertEqual(code, 0)
            self.assertRegex(out.decode(), rf"^{LOCALHOST}:{port} +open +\d+\.\d ms")
            code, out, _ = connect(f"127.0.0.2:{port}", "--check", "--json")
            self.assertEqual((code, json.loads(out)["state"]), (3, "closed"))
            low = max(1, port - 100)
            out = connect(f"{LOCALHOST}:{low}-{port}", "--check", "--json")[1]
            self.assertEqual([each["port"] for each in map(json.loads, out.splitlines())], [*range(low, port + 1)])

    def test_some_is_a_code_of_its_own(self) -> None:
        with socket.create_server(("127.0.0.5", 0)) as server:
            port = server.getsockname()[1]
            ran = support.run("connect", "--check", "127.0.0.5", f"{port - 1}-{port}")
            self.assertEqual(ran.returncode, 1)
            self.assertIn(b"1 of 2 ports answer", ran.stdout)


class Programs(unittest.TestCase):
    def test_large_data_passes_with_little_memory_and_unchanged(self) -> None:
        block = os.urandom(1 << 20)
        with folder() as path, open(path / "out", "wb") as out:
            with started("listen", "0", stdin=subprocess.DEVNULL, stdout=out) as listening:
                address = listening.stderr.readline().decode().split()[-1]
                with connecting(address) as client:
                    for _ in range(LARGE >> 20):
                        client.send(block)
                    peaks = [peak_kib(each.pid) for each in (client.process, listening)]
                    client.finish()
                    self.assertEqual((client.wait(), listening.wait(WAIT_S)), (0, 0))
            self.assertEqual(hashlib.sha256((path / "out").read_bytes()).digest(),
                             hashlib.sha256(block * (LARGE >> 20)).digest())
        if not support.has_asan():
            self.assertLess(max(peaks), 32 << 10)

    def test_a_reader_that_stops_holds_up_the_writer(self) -> None:
        resumed = threading.Event()
        got = 0

        def read_late(peer: socket.socket) -> None:
            nonlocal got
            resumed.wait(WAIT_S)
            got = len(read_to_end(peer))

        with Server(read_late) as server, connecting(server.address) as client:
            os.set_blocking(client.process.stdin.fileno(), False)
            written = 0
            with contextlib.suppress(BlockingIOError):
                while written < 1 << 30:
                    try:
                        written += os.write(client.process.stdin.fileno(), bytes(1 << 16))
                    except BlockingIOError:
                        if not can_write(client.process.stdin.fileno(), 0.5):
                            raise
            self.assertLess(written, 64 << 20)
            resumed.set()
            client.finish()
            self.assertEqual(client.wait(), 0)
        self.assertEqual(got, written)

    def test_an_unread_transcript_holds_up_the_peer_and_loses_nothing(self) -> None:
        sent = 0
        held_up = threading.Event()

        def send_until_it_is_held_up(peer: socket.socket) -> None:
            nonlocal sent
            peer.setblocking(False)
            while sent < LARGE and can_write(peer.fileno(), 0.5):
                sent += peer.send(bytes(1 << 16))
            held_up.set()

        with Server(send_until_it_is_held_up) as server, \
                started("connect", "--json", "--no-input", server.address, stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE) as process:
            self.assertTrue(held_up.wait(WAIT_S))
            self.assertLess(sent, LARGE)
            records = [json.loads(line) for line in process.stdout]
            self.assertEqual(process.wait(WAIT_S), 0)
        received = sum(each["bytes"] for each in records if each["event"] == "received")
        self.assertEqual((received, records[-1]["received"]), (sent, sent))
        self.assertEqual([each["event"] for each in records[-2:]], ["finished", "closed"])

    def test_a_reader_of_our_output_that_leaves_is_a_failure_and_no_crash(self) -> None:
        def flood(peer: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer.sendall(bytes(1 << 16))

        out, ours = os.pipe()
        with Server(flood) as server, \
                started("connect", server.address, stdin=subprocess.PIPE, stdout=ours) as process:
            os.close(ours)
            os.read(out, 1)
            os.close(out)
            self.assertEqual(process.wait(WAIT_S), 1)
            self.assertEqual(process.stderr.read(), b"")

    def test_a_reader_of_our_output_that_stops_does_not_hold_up_ctrl_c(self) -> None:
        stop = threading.Event()

        def flood(peer: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while not stop.is_set():
                    peer.sendall(bytes(1 << 16))

        with Server(flood) as server, \
                started("connect", server.address, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.read(1)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(WAIT_S), 1)
            stop.set()

    def test_ctrl_c_while_it_waits(self) -> None:
        with Listening() as listening:
            listening.send_signal(signal.SIGINT)
            self.assertEqual(listening.wait(), 1)

    def test_standard_descriptors_may_be_closed(self) -> None:
        with Server(read_to_end) as server:
            ran = subprocess.run(f"{coax()} connect {server.address} <&- >&-", shell=True, check=False, timeout=WAIT_S,
                                 env=support.environment())
        self.assertEqual(ran.returncode, 0)

    def test_bad_input(self) -> None:
        for arguments, part in ((["localhost"], "which port?"), (["::1:80"], "could be an address with or without"),
                                (["localhost:70000"], "is no port"), (["localhost:1-5"], "--check takes several"),
                                (["unix:"], "needs a path"), (["80", "--wait", "5"], "is not a duration"),
                                (["80", "--hex", "--json"], "give one of them"), ([], "TARGET is missing"),
                                (["a", "b", "c"], "")):
            with self.subTest(arguments):
                ran = support.run("connect", *arguments)
                self.assertEqual((ran.returncode, ran.stdout), (2, b""))
                self.assertIn(part, ran.stderr.decode())
        self.assertEqual(connect("no-such-name.invalid:80")[0], 3)

    def test_help_has_examples_and_exit_codes(self) -> None:
        for command in ("connect", "listen"):
            out = support.run(command, "--help").stdout.decode()
            self.assertIn("Exit codes: 0", out)
            self.assertIn(f"\n  coax {command}", out)


def peak_kib(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def can_write(descriptor: int, seconds: float) -> bool:
    return bool(select.select([], [descriptor], [], seconds)[1])


@unittest.skipUnless(shutil.which("nc"), "nc is not installed")
class WithNc(unittest.TestCase):
    def test_nc_connects_to_listen(self) -> None:
        with Listening() as listening:
            with Program("nc", "-N", LOCALHOST, str(listening.port)) as nc:
                nc.send(b"from nc\n")
                listening.output.wait_for("from nc")
                listening.send(b"to nc\n")
                nc.output.wait_for("to nc")
                nc.finish()
                listening.finish()
                self.assertEqual((nc.wait(), listening.wait()), (0, 0))

    def test_connect_connects_to_nc_over_a_unix_socket(self) -> None:
        with folder() as path, Program("nc", "-l", "-N", "-v", "-U", f"{path}/socket") as nc:
            nc.log.wait_for("istening on")
            with connecting(f"unix:{path}/socket") as client:
                client.send(b"to nc\n")
                nc.output.wait_for("to nc")
                nc.send(b"from nc\n")
                client.output.wait_for("from nc")
                client.finish()
                nc.finish()
                self.assertEqual((client.wait(), nc.wait()), (0, 0))

    def test_connect_sends_a_file_to_nc(self) -> None:
        data = os.urandom(3 << 20)
        with folder() as path, socket.socket() as reserved:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind((LOCALHOST, 0))
            port = str(reserved.getsockname()[1])
            reserved.close()
            with open(path / "out", "wb") as out:
                nc = subprocess.Popen(["nc", "-l", "-N", "-v", LOCALHOST, port], stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=subprocess.PIPE)
            with nc:
                self.assertIn(b"istening on", nc.stderr.readline())
                self.assertEqual(connect(f"{LOCALHOST}:{port}", given=data)[0], 0)
                self.assertEqual(nc.wait(WAIT_S), 0)
            self.assertEqual((path / "out").read_bytes(), data)


if __name__ == "__main__":
    unittest.main()
