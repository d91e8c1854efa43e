#!/usr/bin/env python3
# `coax chat` in a pipe and on a pseudo-terminal, against the hub, against a tutorial's server, and against hostile
# servers.

import os
import re
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
import unittest
from collections.abc import Callable

import support
from support import LOCALHOST, WAIT_S, Hub, HubTest, Program, Server, coax, read_to_end
from terminal import Person


class TutorialServer:
    """The chat server of many tutorials: no line ends, and the bytes of each recv() are a message for all clients."""

    def __init__(self) -> None:
        self.listener = socket.create_server((LOCALHOST, 0))
        self.address = f"{LOCALHOST}:{self.listener.getsockname()[1]}"
        self.clients: list[socket.socket] = []
        self.received: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "TutorialServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def broadcast(self, message: bytes) -> None:
        for client in list(self.clients):
            client.sendall(message)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.sendall(b"NICK")
        nick = client.recv(1024)
        self.received.append(nick)
        self.clients.append(client)
        self.broadcast(nick + b" joined!")
        client.sendall(b"Connected to the server!")
        while message := client.recv(1024):
            self.received.append(message)
            self.broadcast(message)
        self.clients.remove(client)
        client.close()


class Pipe(HubTest):
    def chat(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return support.run("chat", self.hub.address, *arguments, given=given)

    def test_each_line_is_sent_and_comes_back(self) -> None:
        seen = self.join("seen")
        ran = self.chat("--nick", " bot ", given="one\r\n\n/quit\nbot: grüße\nthe last".encode())
        expected = ["bot joined the chat!", "bot: one", "bot: /quit", "bot: grüße", "bot: the last"]
        self.assertEqual((ran.returncode, ran.stderr), (0, b""))
        self.assertEqual(ran.stdout.decode().splitlines(), expected)
        self.assertEqual([line.decode() for line in seen.lines(6)], [*expected, "bot left the chat!"])

    def test_with_nothing_to_say_it_comes_and_goes(self) -> None:
        ran = self.chat("--nick", "bot")
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, b"bot joined the chat!\n", b""))

    def test_many_lines(self) -> None:
        ran = self.chat("--nick", "bot", given=b"".join(b"%d\n" % number for number in range(20_000)))
        self.assertEqual((ran.returncode, ran.stderr), (0, b""))
        self.assertEqual(ran.stdout.splitlines()[1:], [b"bot: %d" % number for number in range(20_000)])

    def test_lines_of_a_program_are_made_fit_and_none_is_rejected(self) -> None:
        lines = [b"a\tb", b"\x1b[1;31merror:\x1b[0m it\x1b[K", b"10%\r100%", b"\xff", b"x" * 5000, "é".encode() * 2100,
                 b"\x1b[0m", b"fine", b"a\tc"]
        ran = self.chat("--nick", "bot", given=b"\n".join(lines) + b"\n")
        said = ["a       b", "error: it", "100%", "\ufffd", "x" * 4096, "x" * 904, "é" * 2048, "é" * 52, "fine",
                "a       c"]
        self.assertEqual(ran.stdout.decode().splitlines()[1:], ["bot: " + text for text in said])
        self.assertEqual(ran.returncode, 0)
        self.assertEqual(ran.stderr.decode().splitlines(), [
            "coax chat: the input has tabs, colours or other controls: they are expanded or left out",
            "coax chat: the input has bytes that are not UTF-8: each becomes \N{REPLACEMENT CHARACTER} (U+FFFD)",
            "coax chat: the input has lines above 4096 bytes: they are split"])

    def test_a_line_above_the_buffer_goes_in_parts(self) -> None:
        ran = self.chat("--nick", "bot", given="€".encode() * 400_000)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual("".join(line.removeprefix("bot: ") for line in ran.stdout.decode().splitlines()[1:]),
                         "€" * 400_000)

    def test_a_taken_nickname(self) -> None:
        self.join("Bot")
        ran = self.chat("--nick", "bot", given=b"hello\n")
        self.assertEqual((ran.returncode, ran.stdout), (1, b""))
        self.assertRegex(ran.stderr, rb"^coax chat: .*taken")

    def start(self, hub: Hub, nick: str) -> Program:
        return self.enterContext(Program(coax(), "chat", hub.address, "--nick", nick))

    def test_a_listener_stays_as_long_as_its_input_is_open(self) -> None:
        other = self.join("other")
        logger = self.start(self.hub, "logger")
        other.skip_to(b"logger joined the chat!")
        for text in "one", "two", "esc: \\x1B":
            other.send(text.encode() + b"\n")
            logger.output.wait_for("other: " + text)
        logger.finish()
        self.assertEqual(logger.wait(), 0)

    def test_it_ends_with_the_hub(self) -> None:
        for number in signal.SIGTERM, signal.SIGKILL:
            with self.subTest(number), Hub() as hub:
                logger = self.start(hub, "logger")
                logger.output.wait_for("logger joined")
                hub.send_signal(number)
                self.assertEqual(logger.wait(), 1)
                self.assertEqual(logger.log.wait_for_end(), "coax chat: the server closed the connection")
                hub.wait()

    def test_signals_without_a_meaning_are_ignored(self) -> None:
        seen = self.join("watcher")
        logger = self.start(self.hub, "steady")
        seen.skip_to(b"steady joined the chat!")
        for number in support.STRAY_SIGNALS:
            logger.send_signal(number)
        logger.send_signal(signal.SIGHUP)
        self.assertEqual(logger.wait(), 0)
        self.assertEqual(seen.line(), b"steady left the chat!")

    def test_ctrl_c_leaves(self) -> None:
        seen = self.join("seen")
        logger = self.start(self.hub, "logger")
        seen.skip_to(b"logger joined the chat!")
        logger.send_signal(signal.SIGINT)
        self.assertEqual(logger.wait(), 0)
        self.assertEqual(seen.line(), b"logger left the chat!")


class Usage(unittest.TestCase):
    def test_wrong_options(self) -> None:
        for arguments, reason in {
            (): b"--nick",
            ("--nick", ""): b"--nick",
            ("--nick", "a\nb"): b"control characters",
            ("--nick", "x" * 33): b"32 characters",
            ("--nick", "a", ":80"): b"HOST:PORT",
            ("--nick", "a", "host:99999"): b"HOST:PORT",
            ("--nick", "a", "host:0"): b"HOST:PORT",
        }.items():
            with self.subTest(arguments):
                ran = support.run("chat", *arguments)
                self.assertEqual((ran.returncode, ran.stdout), (2, b""))
                self.assertIn(reason, ran.stderr)
                self.assertEqual(ran.stderr.count(b"\n"), 1, ran.stderr)

    def test_a_port_alone_is_one_of_this_machine(self) -> None:
        with Hub() as hub:
            for words in [str(hub.port)], [LOCALHOST, str(hub.port)]:
                with self.subTest(words):
                    ran = support.run("chat", *words, "--nick", "alice", given=b"hello\n")
                    self.assertEqual((ran.returncode, ran.stdout), (0, b"alice joined the chat!\nalice: hello\n"))
        ran = support.run("chat", f"http://{LOCALHOST}:1", "--nick", "alice")
        self.assertEqual(ran.returncode, 2)

    def test_nobody_answers(self) -> None:
        with socket.socket() as unused:
            unused.bind((LOCALHOST, 0))  # and does not listen
            port = unused.getsockname()[1]
            ran = support.run("chat", f"{LOCALHOST}:{port}", "--nick", "a")
        self.assertEqual((ran.returncode, ran.stdout), (3, b""))
        self.assertEqual(ran.stderr.decode(), f"coax chat: connect to {LOCALHOST}:{port}: Connection refused; "
                                              f"is the hub running? start it with: coax serve --port {port}\n")

    def test_no_such_host(self) -> None:
        ran = support.run("chat", "no-such-host.invalid", "--nick", "a")
        self.assertEqual(ran.returncode, 3)
        self.assertRegex(ran.stderr, rb"^coax chat: resolve no-such-host\.invalid: ")

    def test_the_help_has_examples(self) -> None:
        ran = support.run("chat", "--help")
        self.assertEqual(ran.returncode, 0)
        self.assertIn(b"coax chat --nick alice", ran.stdout)


class OtherServers(unittest.TestCase):
    def chat(self, serve: Callable[[socket.socket], None], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        with Server(serve) as server:
            return support.run("chat", server.address, "--nick", "bot", given=given)

    def test_the_server_of_a_tutorial(self) -> None:
        with TutorialServer() as server:
            ran = support.run("chat", server.address, "--nick", "bot", given=b"one\ntwo\nbot: three")
            self.assertEqual((ran.returncode, ran.stderr), (0, b""))
            self.assertEqual(server.received, [b"bot", b"bot: one", b"bot: two", b"bot: three"])
        self.assertEqual(ran.stdout.replace(b"\n", b""),
                         b"bot joined!Connected to the server!bot: onebot: twobot: three")

    def test_a_server_with_line_ends_gets_lines(self) -> None:
        received = b""

        def serve(connection: socket.socket) -> None:
            nonlocal received
            connection.sendall(b"NICK")
            self.assertEqual(connection.recv(100), b"bot")
            connection.sendall(b"welcome\r\n")
            received = connection.recv(100)
            connection.sendall(b"bot: " + received)
            self.assertEqual(read_to_end(connection), b"")

        ran = self.chat(serve, b"hello\n")
        self.assertEqual((ran.returncode, ran.stdout, received), (0, b"welcome\nbot: hello\n", b"hello\n"))

    def test_a_message_without_line_end_among_lines_is_shown_in_the_end(self) -> None:
        def serve(connection: socket.socket) -> None:
            connection.sendall(b"NICK")
            connection.recv(100)
            connection.sendall(b"carol\n joined!")  # a tutorial's server forwards what nc sent as a nickname
            self.assertEqual(connection.recv(100), b"hello\n")
            connection.sendall(b"bot: hello")
            read_to_end(connection)

        ran = self.chat(serve, b"hello\n")
        self.assertEqual((ran.returncode, ran.stdout), (0, b"carol\n joined!bot: hello\n"))

    def test_what_does_not_come_back(self) -> None:
        def serve(connection: socket.socket) -> None:
            connection.sendall(b"NICK")
            connection.recv(100)
            connection.sendall(b"bot joined the chat!\n")
            read_to_end(connection)

        begin = time.monotonic()
        ran = self.chat(serve, b"one\ntwo\n")
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stderr, rb"not answered for 2s\ncoax chat: 2 of 2 messages were not echoed\n$")
        self.assertGreater(time.monotonic() - begin, 1.9)

    def test_what_is_no_chat_server(self) -> None:
        greetings = {b"220 mail\r\n": b'it said "220 "', b"": b"it said nothing", b"\x1b[2J": b"x1B[2J"}
        for greeting, expected in greetings.items():
            with self.subTest(greeting):
                ran = self.chat(lambda connection: connection.sendall(greeting))
                self.assertEqual(ran.returncode, 1)
                self.assertIn(expected, ran.stderr)
                self.assertNotIn(b"\x1b", ran.stderr)

    def test_a_reset_is_a_failure(self) -> None:
        def serve(connection: socket.socket) -> None:
            connection.sendall(b"NICK")
            connection.recv(100)
            connection.sendall(b"bot joined the chat!\n")
            connection.recv(100)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        ran = self.chat(serve, b"hello\n")
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stderr, rb"^coax chat: recv from 127\.0\.0\.1:\d+: Connection reset by peer")

    def test_a_close_before_the_last_came_back_is_a_failure(self) -> None:
        def serve(connection: socket.socket) -> None:
            connection.sendall(b"NICK")
            connection.recv(100)
            connection.sendall(b"bot joined the chat!\n")
            connection.recv(100)

        ran = self.chat(serve, b"hello\n")
        self.assertEqual(ran.returncode, 1)
        self.assertEqual(ran.stderr, b"coax chat: the server closed the connection\n"
                                     b"coax chat: 1 of 1 messages were not echoed\n")


class AtTerminal(HubTest):
    def sit(self, *arguments: str, **options: object) -> Person:
        return self.enterContext(Person(self.hub.address, *arguments, **options))

    def enter(self, nick: str = "alice", *arguments: str, **options: object) -> Person:
        person = self.sit("--nick", nick, *arguments, **options)
        person.wait_for_end(f"\n{nick}>")
        return person

    def assert_left(self, person: Person, code: int = 0) -> None:
        self.assertEqual(person.leave(), (code, True), "the exit code, and the terminal as it was")

    def test_what_is_typed_is_sent_and_shown_once(self) -> None:
        seen = self.join("seen")
        alice = self.enter()
        self.assertEqual(seen.line(), b"alice joined the chat!")
        alice.type("grüß dich, 世界\r")
        self.assertEqual(seen.line(), "alice: grüß dich, 世界".encode())
        alice.wait_for_end("\nalice: grüß dich, 世界\nalice>")
        self.assertEqual(alice.screen.text().count("grüß"), 1)

    def test_an_incoming_line_leaves_the_line_that_is_typed_alone(self) -> None:
        other = self.join("other")
        for typed in ["half a li", "long " * 60, "世界" * 50, "x" * 73, "x" * 74, "x" * 153]:
            with self.subTest(typed), Person(self.hub.address, "--nick", "alice") as alice:
                alice.wait_for_end("\nalice>")
                alice.type(typed)
                prompt = f"alice> {typed}".rstrip()
                alice.wait_until(lambda screen: screen.replace("\n", "").endswith(prompt.replace("\n", "")), "the line")
                before = alice.screen.text()
                line = before[before.rindex("\nalice> "):]
                for text in "one", "two":
                    other.send(text.encode() + b"\n")
                    alice.wait_for_end(f"\nother: {text}{line}")
                alice.type("ne\r")
                other.skip_to(f"alice: {typed}ne".encode())
                shown = f"alice: {typed}ne"
                alice.wait_until(lambda screen: screen.replace("\n", "").endswith(shown + "alice>"), "the echo")
                self.assertEqual(alice.screen.text().count("alice> "), 0)

    def test_editing_and_history(self) -> None:
        alice = self.enter()
        alice.type("wrld\x1b[D\x1b[D\x1b[Do\x01hello \x05!\r")  # left, left, left, Home, End
        alice.wait_for_end("\nalice: hello world!\nalice>")
        alice.type("nonsense\x15second\x7f\x7fnd\r")
        alice.wait_for_end("\nalice: second\nalice>")
        alice.type("\x1b[A\x1b[A")
        alice.wait_for_end("\nalice> hello world!")
        alice.type("\x1b[B?\r")
        alice.wait_for_end("\nalice: second?\nalice>")

    def test_the_cursor_may_stand_anywhere_when_a_line_comes(self) -> None:
        other = self.join("other")
        alice = self.enter(columns=40)
        alice.type("0123456789" * 10 + "\x01")
        alice.wait_for("\n" + "3456789" * 1)
        other.send(b"hello\n")
        line = f"alice> {'0123456789' * 10}"
        alice.wait_for_end("\nother: hello\n" + "\n".join(line[at:at + 40] for at in range(0, len(line), 40)))
        alice.type("start \r")
        alice.wait_until(lambda screen: ("alice: start " + "0123456789" * 10 in screen.replace("\n", "")), "the echo")

    def test_a_lone_escape_does_not_stop_the_chat(self) -> None:
        other = self.join("other")
        alice = self.enter()
        alice.type("half\x1b")
        other.send(b"hello\n")
        alice.wait_for("other: hello\nalice> half")
        alice.type("b\x1b[C!\r")  # Alt-B: a word back

    def test_another_size(self) -> None:
        other = self.join("other")
        alice = self.enter()
        alice.type("a line of text")
        alice.wait_for_end("\nalice> a line of text")
        alice.resize(30)
        for text in "one", "two":
            other.send(text.encode() + b"\n")
            alice.wait_for_end(f"\nother: {text}\nalice> a line of text")
        alice.type(" that is longer now")
        alice.wait_for_end("\nalice> a line of text that is\nlonger now")

    def test_after_a_stop_the_line_is_still_there(self) -> None:
        alice = self.enter()
        alice.type("half")
        alice.wait_for_end("\nalice> half")
        editing = termios.tcgetattr(alice.slave)
        os.kill(alice.process.pid, signal.SIGSTOP)
        os.waitpid(alice.process.pid, os.WUNTRACED)
        termios.tcsetattr(alice.slave, termios.TCSANOW, alice.modes)  # as a shell does
        os.write(alice.slave, b"[1]+ Stopped\n$ fg\n")
        os.kill(alice.process.pid, signal.SIGCONT)
        alice.wait_for_end("$ fg\nalice> half")
        self.assertEqual(termios.tcgetattr(alice.slave), editing)
        alice.type(" and whole\r")
        alice.wait_for_end("\nalice: half and whole\nalice>")

    def test_ways_to_leave(self) -> None:
        for keys in "\x04", "/quit\r", "\x03", "half a line\x03":
            with self.subTest(keys), Person(self.hub.address, "--nick", "alice") as alice:
                alice.wait_for_end("\nalice>")
                alice.type(keys)
                self.assert_left(alice)
                alice.wait_for_end("Ctrl-D leaves")  # no prompt and no half line
        for number in signal.SIGTERM, signal.SIGINT:
            with self.subTest(number), Person(self.hub.address, "--nick", "alice") as alice:
                alice.wait_for_end("\nalice>")
                alice.process.send_signal(number)
                self.assert_left(alice)
        with self.subTest("Ctrl-\\"), Person(self.hub.address, "--nick", "alice") as alice:
            alice.wait_for_end("\nalice>")
            alice.type("\x1c")
            self.assert_left(alice, -signal.SIGQUIT)

    def test_what_is_typed_before_the_prompt_is_not_lost_and_shown_once(self) -> None:
        asked = threading.Event()
        received = b""

        def serve(connection: socket.socket) -> None:
            nonlocal received
            self.assertTrue(asked.wait(WAIT_S))
            connection.sendall(b"NICK")
            connection.recv(100)
            connection.sendall(b"alice joined the chat!\n")
            received = connection.recv(100)
            connection.sendall(b"alice: " + received)
            self.assertEqual(read_to_end(connection), b"")

        with Server(serve) as server, Person(server.address, "--nick", "alice") as alice:
            server.accepted.wait(WAIT_S)
            alice.type("early\r")
            asked.set()
            alice.wait_for_end("\nalice: early\nalice>")
            self.assertEqual((alice.screen.text().count("early"), received), (1, b"early\n"))
            alice.type("\x04")
            self.assert_left(alice)

    def test_a_paste_of_many_lines(self) -> None:
        seen = self.join("seen")
        alice = self.enter()
        seen.line()
        alice.type("".join(f"line {number}\r" for number in range(100)))
        self.assertEqual(seen.lines(100), [b"alice: line %d" % number for number in range(100)])
        alice.wait_for_end("\n".join(f"alice: line {number}" for number in range(80, 100)) + "\nalice>")

    def test_commands(self) -> None:
        seen = self.join("seen")
        alice = self.enter()
        seen.line()
        alice.type("/help\r")
        alice.wait_for("/quit or Ctrl-D leaves")
        alice.type("/dance\r")
        alice.wait_for("there is no /dance")
        alice.type("\r   \r//etc/passwd\r")
        self.assertEqual(seen.line(), b"alice: /etc/passwd")

    def test_the_nickname_is_asked_for(self) -> None:
        person = self.sit(extra={"USER": "carol"})
        person.wait_for_end("nickname [carol]:")
        person.type("x" * 33 + "\r")
        person.wait_for("error: a nickname has at most 32 characters")
        person.type("\r")
        person.wait_for_end("\ncarol>")
        anonymous = self.sit(extra={"USER": ""})
        anonymous.wait_for_end("nickname:")
        anonymous.type("\x04")
        self.assert_left(anonymous)

    def test_a_taken_nickname_is_asked_for_again_once(self) -> None:
        self.join("bob")
        person = self.sit("--nick", "bob")
        person.wait_for("bob is taken")
        person.type("bobby\r")
        person.wait_for_end("\nbobby>")
        other = self.sit("--nick", "bob")
        other.wait_for_end("another nickname:")
        other.type("BOB\r")
        self.assert_left(other, 1)
        other.wait_for("coax chat: the nickname BOB is taken")

    def test_colours(self) -> None:
        other = self.join("other")
        for extra, coloured in ({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False):
            with self.subTest(extra), Person(self.hub.address, "--nick", "alice", extra=extra) as alice:
                alice.wait_for("alice joined the chat!")
                other.send(b"hello\n")
                alice.wait_for("other: hello")
                alice.wait_until(lambda screen: screen.endswith("alice>") or "dumb" in extra.values(), "the prompt")
                alice.type("/dance\r" if "dumb" not in extra.values() else "x\r")
                if "dumb" not in extra.values():
                    alice.wait_for("error: there is no /dance")
                has = [re.search(pattern, alice.written) is not None for pattern in
                       (rb"\x1b\[\d+mother\x1b\[0m: hello", rb"\x1b\[2m[^\x1b]*joined", rb"\x1b\[31merror: ")]
                self.assertEqual(has, [coloured] * 3, alice.written)
            other.skip_to(b"alice left the chat!")

    def test_it_ends_with_the_hub(self) -> None:
        alice = self.enter("alice", "--no-reconnect")
        alice.type("half a line")
        alice.wait_for("half a line")
        self.assertEqual(self.hub.stop(), 0)
        self.assert_left(alice, 1)
        alice.wait_for_end("\ncoax chat: the server closed the connection")

    def test_a_tutorials_server(self) -> None:
        with TutorialServer() as server, Person(server.address, "--nick", "alice") as alice:
            alice.wait_for_end("\nalice>")
            server.broadcast(b"bob: hi")
            alice.wait_for("\nbob: hi\nalice>")
            alice.type("hello\r")
            alice.wait_for_end("\nalice: hello\nalice>")
            self.assertEqual(server.received, [b"alice", b"alice: hello"])
            alice.type("\x04")
            self.assert_left(alice)

    def test_no_server_controls_the_terminal(self) -> None:
        evil = b"\x1b[2J\x1b]0;title\a\x9b31m\x0e\x7f \xc2\x9b2J \xe2\x80\xae \xff \rmallory: x"

        def serve(connection: socket.socket) -> None:
            connection.sendall(b"NICK")
            connection.recv(100)
            connection.sendall(evil + b"\nerror: " + evil + b"\nend\n")
            self.assertEqual(read_to_end(connection), b"")

        with Server(serve) as server, Person(server.address, "--nick", "alice", extra={"NO_COLOR": "1"}) as alice:
            alice.wait_for_end("\nalice>")
            self.assertIn("\\x1B[2J\\x1B]0;title\\x07\\x9B31m\\x0E\\x7F \\xC2\\x9B2J", alice.screen.text())
            for wrong in b"\x1b[2J", b"\x1b]", b"\a", b"\x0e", b"\x7f", b"\xc2\x9b", b"\xe2\x80\xae", b"\rmallory":
                self.assertNotIn(wrong, alice.written)
            alice.type("\x04")
            self.assert_left(alice)


if __name__ == "__main__":
    unittest.main(verbosity=2)
