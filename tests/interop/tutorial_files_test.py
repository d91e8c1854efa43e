#!/usr/bin/env python3
# The tutorials' programs that need more than a port: files, folders, pages, groups, a terminal. As in tutorial_test.py
# both languages talk to each other in both directions.

import contextlib
import fcntl
import functools
import http.server
import os
import pathlib
import pty
import select
import signal
import socket
import subprocess
import tempfile
import termios
import threading
import unittest
from collections.abc import Iterator

from support import WAIT_S
from tutorials import (PAIRS, Server, ask, command, connect, cuts, exactly, framed, free_port, is_bound, reset, rest,
                       run, say, serving, started)

CONTENT = bytes(range(256)) * 5000


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


class Files(Folder):
    def setUp(self) -> None:
        super().setUp()
        self.source = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "grüße.bin"
        self.source.write_bytes(CONTENT)

    def receiving(self, name: str = "receive_file") -> contextlib.AbstractContextManager[Server]:
        return serving(name, str(self.folder))

    def test_cross_both_ways(self) -> None:
        for receiver, sender in PAIRS:
            for content in CONTENT, b"":
                with (self.subTest(receiver=receiver, sender=sender, size=len(content)),
                      self.receiving(receiver.format("receive_file")) as to):
                    self.source.write_bytes(content)
                    expected = f"{self.source.name} ({len(content)} bytes)\n"
                    self.assertEqual(ask(sender.format("send_file"), "127.0.0.1", str(to.port), str(self.source)),
                                     (0, f"Sent {expected}"))
                    self.assertEqual(to.printed("\n"), f"Received {expected}")
                    stored = self.folder / self.source.name
                    self.assertEqual(stored.read_bytes(), content)
                    stored.unlink()

    def test_are_whole_however_they_are_cut(self) -> None:
        with self.receiving() as to:
            for cut, segments in cuts(b"name:12\n", b"twelve", b" bytes").items():
                with self.subTest(cut):
                    self.assertEqual(say(to.port, *segments), b"OK")
                    self.assertEqual((self.folder / "name").read_bytes(), b"twelve bytes")
                    (self.folder / "name").unlink()
            with connect(to.port) as tutorial:  # which sends no line end, and waits
                tutorial.sendall(b"name:3")
                self.assertEqual(exactly(tutorial, 2), b"OK")
                tutorial.sendall(b"abc")
                tutorial.shutdown(socket.SHUT_WR)
                self.assertEqual(rest(tutorial), b"")
            self.assertEqual((self.folder / "name").read_bytes(), b"abc")

    def test_have_a_plain_name_and_a_size(self) -> None:
        with self.receiving() as to:
            for header in (b"../name:1", b"/tmp/name:1", b".name:1", b"a/b:1", b":1", b"\xff:1", b"a\x1b[2J:1",
                           b"x" * 256 + b":1"):
                with self.subTest(header):
                    self.assertEqual(say(to.port, header + b"\nx"), b"Error: that is not a plain file name\n")
            self.assertEqual(say(to.port, b"../name:1"), b"Error: that is not a plain file name\n", "and then the end")
            for header in b"name", b"name:", b"name:-1", b"name:x", b"name:1KiB", b"name:1073741825", b"name:1e3":
                with self.subTest(header):
                    self.assertEqual(say(to.port, header + b"\nx"), b"Error: that is no size of at most 1 GiB\n")
        self.assertEqual(self.names(), [])

    def test_that_are_cut_off_or_too_long_are_not_stored_and_none_is_replaced(self) -> None:
        (self.folder / "there").write_bytes(b"before")
        with self.receiving() as to:
            self.assertEqual(say(to.port, b"name:4\nabc"), b"OKError: the file is cut off\n")
            self.assertEqual(say(to.port, b"name:4\nabcde"), b"OKError: more bytes came than were announced\n")
            self.assertEqual(say(to.port, b"there:4\nabcd"), b"OKError: File exists\n")
            vanishing = connect(to.port)
            vanishing.sendall(b"name:4\nabc")
            self.assertEqual(exactly(vanishing, 2), b"OK")
            reset(vanishing)
            with connect(to.port) as halfway:
                halfway.sendall(b"name:4\nabc")
                self.assertEqual(exactly(halfway, 2), b"OK")
                self.assertEqual(self.names(), ["there"], "no reader sees half a file")
                self.assertEqual(say(to.port, b"other:1\nx"), b"OK")
        self.assertEqual(self.names(), ["other", "there"])
        self.assertEqual((self.folder / "there").read_bytes(), b"before")

    def test_the_sender_takes_ok_in_pieces_and_fails_on_anything_else(self) -> None:
        for pieces, status, expected in (([b"O", b"K"], 0, ""), ([b"NO"], 1, "the receiver said NO"),
                                     ([b"Error: disk full\n"], 1, "the receiver said Error: disk full"),
                                     ([b"O"], 1, "the stream ended after 1 of 2 bytes"),
                                     ([b"OK", b"Error: late\n"], 1, "the receiver said Error: late")):
            with self.subTest(pieces), socket.create_server(("127.0.0.1", 0)) as listener:
                listener.settimeout(WAIT_S)
                words = "127.0.0.1", str(listener.getsockname()[1]), str(self.source)
                with subprocess.Popen([*command("send_file"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True) as sender:
                    peer, _ = listener.accept()
                    with peer:
                        header = f"{self.source.name}:{len(CONTENT)}\n".encode()
                        self.assertEqual(exactly(peer, len(header)), header)
                        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        for piece in pieces[:2] if pieces[0] == b"O" else pieces[:1]:
                            peer.sendall(piece)
                        if b"".join(pieces).startswith(b"OK"):
                            self.assertEqual(rest(peer), CONTENT)
                        if pieces[0] == b"OK":
                            peer.sendall(pieces[1])
                    printed, errors = sender.communicate(timeout=WAIT_S)
                    self.assertEqual(sender.returncode, status)
                    self.assertIn(expected, errors)
                    self.assertEqual(bool(printed), status == 0)

    def test_that_are_not_there_are_told(self) -> None:
        done = run("send_file", "127.0.0.1", "1", "/nowhere/at/all")
        self.assertEqual((done.returncode, done.stderr),
                         (1, "send_file: open /nowhere/at/all: No such file or directory\n"))


class Unix(Folder):
    def test_echo_both_ways_and_again_where_a_dead_server_left_its_socket(self) -> None:
        path = str(self.folder / "echo")

        def listens() -> bool:
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(path) == 0

        for server, client in PAIRS:  # each is killed, and its socket stays
            with self.subTest(server=server), started(server.format("unix_echo_server"), path, is_ready=listens):
                self.assertEqual(ask(client.format("unix_echo_client"), path, "grüße"), (0, "Received: grüße\n"))
        with started("unix_echo_server", path, is_ready=listens):
            done = run("unix_echo_server", path)
            self.assertEqual(done.returncode, 1)
            self.assertIn("Address already in use", done.stderr)
            self.assertEqual(ask("unix_echo_client", path), (0, "Received: Hello from the client!\n"))


class Multicast(unittest.TestCase):
    def test_what_is_sent_is_received_and_acknowledged(self) -> None:
        group, in_kernel = "239.255.17.4", "0411FFEF"
        for receiver, sender in PAIRS:
            port = free_port("udp")

            def joined(port: int = port) -> bool:
                return is_bound("udp", port) and in_kernel in pathlib.Path("/proc/net/igmp").read_text()

            with (self.subTest(receiver=receiver, sender=sender),
                  started(receiver.format("multicast_receiver"), group, str(port), "lo", is_ready=joined) as running):
                status, said = ask(sender.format("multicast_sender"), group, str(port), "grüße", "lo")
                self.assertEqual(status, 0)
                self.assertRegex(said, r'^received "ack" from [0-9.]+\n$')
                self.assertEqual(running.printed("\n"), 'received "grüße"\n')


@contextlib.contextmanager
def web_server(folder: pathlib.Path) -> Iterator[int]:
    """Python's own."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class Pages(Folder):
    def test_come_from_pythons_server_and_from_ours(self) -> None:
        (self.folder / "page.txt").write_text("first\n  second, grüße\n")
        with web_server(self.folder) as port:
            for client in "http_get", "http_get.py":
                with self.subTest(client):
                    words = "127.0.0.1", str(port)
                    status, said = ask(client, *words, "/page.txt")
                    self.assertEqual((status, said), (0, "200 OK\nfirst\n  second, grüße\n"))
                    status, said = ask(client, *words, "/none")
                    self.assertEqual((status, said.split("\n")[0]), (1, "404 File not found"))
        with serving("http_hello") as server:
            for client in "http_get", "http_get.py":
                with self.subTest(client):
                    said = ask(client, "127.0.0.1", str(server.port), "/hello")
                    self.assertEqual(said, (0, "200 OK\nHello world!\n"))

    def answer(self, *segments: bytes) -> subprocess.CompletedProcess[str]:
        """The output of http_get for this answer of a server."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(WAIT_S)

            def serve() -> None:
                peer, _ = listener.accept()
                with peer:
                    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    request = b""
                    while not request.endswith(b"\r\n\r\n"):
                        request += peer.recv(1000)
                    for segment in segments:
                        peer.sendall(segment)

            server = threading.Thread(target=serve)
            server.start()
            done = run("http_get", "127.0.0.1", str(listener.getsockname()[1]))
            server.join(WAIT_S)
            return done

    def test_are_read_however_they_are_framed_and_cut(self) -> None:
        for message in (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", b"HTTP/1.0 200 OK\r\n\r\nbody",
                        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"):
            for cut, segments in cuts(message).items():
                with self.subTest(message, cut=cut):
                    done = self.answer(*segments)
                    self.assertEqual((done.returncode, done.stdout), (0, "200 OK\nbody\n"))

    def test_that_are_none_or_cut_off_are_an_error_and_no_page_controls_the_terminal(self) -> None:
        for message in b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbod":
            with self.subTest(message):
                done = self.answer(message)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn("its answer is not HTTP, or cut off", done.stderr)
        self.assertEqual(self.answer(b"HTTP/1.0 200 OK\r\n\r\n\x1b[2J\xff").stdout, "200 OK\n\\x1B[2J\\xFF\n")


class Ports(unittest.TestCase):
    def test_are_open_or_closed(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            shut = closed.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            for name in "port_check", "port_check.py":
                with self.subTest(name):
                    self.assertEqual(ask(name, "127.0.0.1", str(port)), (0, f"{port} open\n"))
                    self.assertEqual(ask(name, "127.0.0.1", str(shut)), (1, f"{shut} closed\n"))
                    _, said = ask(name, "127.0.0.1", f"{port - 1}-{port}")
                    self.assertTrue(said.endswith(f"\n{port} open\n"), said)
                    self.assertEqual(run(name, "no-such-name.invalid", "80").returncode, 1)

    def test_without_an_answer_are_filtered(self) -> None:
        with socket.socket() as full, contextlib.ExitStack() as stack:  # its queue is full
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            for _ in range(4):
                guest = stack.enter_context(socket.socket())
                guest.setblocking(False)
                guest.connect_ex(("127.0.0.1", port))
            for name in "port_check", "port_check.py":
                with self.subTest(name):
                    self.assertEqual(ask(name, "127.0.0.1", str(port)), (1, f"{port} filtered\n"))

    def test_that_are_none_are_told(self) -> None:
        for ports in "x", "1-x", "2-1", "70000", "":
            with self.subTest(ports):
                self.assertEqual(run("port_check", "127.0.0.1", ports).returncode, 2)


class Password(unittest.TestCase):
    """At a terminal."""

    def setUp(self) -> None:
        self.server = self.enterContext(serving("credentials_server"))
        self.master, slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        self.slave = slave
        self.addCleanup(os.close, slave)
        self.modes = termios.tcgetattr(slave)
        words = "127.0.0.1", str(self.server.port), "ada"
        self.client = self.enterContext(subprocess.Popen(
            [*command("credentials_client"), *words], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)))
        self.addCleanup(self.client.kill)

    def shown(self, until: str) -> str:
        text = b""
        while until.encode() not in text:
            self.assertTrue(select.select([self.master], [], [], WAIT_S)[0], text)
            text += os.read(self.master, 1000)
        return text.decode()

    def test_is_not_shown_and_the_terminal_is_as_it_was(self) -> None:
        self.shown("Password: ")
        os.write(self.master, b"lovelace\n")
        self.assertEqual(self.shown("!").strip(), "Welcome!")
        self.assertEqual(self.client.wait(WAIT_S), 0)
        self.assertEqual(termios.tcgetattr(self.slave), self.modes)

    def test_a_signal_gives_the_terminal_its_echo_back(self) -> None:
        self.shown("Password: ")
        self.assertFalse(termios.tcgetattr(self.slave)[3] & termios.ECHO)
        os.write(self.master, b"love\x03")
        self.assertEqual(self.client.wait(WAIT_S), -signal.SIGINT)
        self.assertEqual(termios.tcgetattr(self.slave), self.modes)


class Credentials(unittest.TestCase):
    def test_a_frame_above_the_limit_ends_its_connection_only(self) -> None:
        with serving("credentials_server") as server:
            self.assertEqual(say(server.port, framed(b"x" * 257, b"y")), b"")
            self.assertEqual(say(server.port, framed(b"\xff", b"y")), framed(b"Wrong user or password."))


if __name__ == "__main__":
    unittest.main(verbosity=2)
