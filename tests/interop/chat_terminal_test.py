#!/usr/bin/env python3
# `coax chat` on a terminal that is not read, with every kind of key, and on a hub that restarts.

import contextlib
import os
import pty
import signal
import socket
import subprocess
import termios
import threading
import time
import unittest

import support
from support import LOCALHOST, WAIT_S, Hub, HubTest, Program, Server, coax, join
from terminal import Person


class Keys(HubTest):
    def enter(self, **options: object) -> Person:
        alice = self.enterContext(Person(self.hub.address, "--nick", "alice", **options))
        alice.wait_for_end("\nalice>")
        return alice

    def test_sequences_leave_nothing_in_the_line(self) -> None:
        seen = self.join("seen")
        alice = self.enter()
        seen.skip_to(b"alice joined the chat!")
        for keys, said in {
            "one two\x1b[1;5D\x1b[1;5DX": "Xone two",
            "one two\x1bbX": "one Xtwo",
            "ab\x1b[5~\x1b[6~\x1b[2~\x1bOP\x1b[15;5~\x1b[[A\x1b[Ic": "abc",
            "ab\x1b[<0;10;20M\x1b[<0;10;20m\x1b[M !!c": "abc",
            "ab\x1bx\x1b]11;rgb:0/0/0\x07c": "abc",
            "bc\x1b[Ha\x1b[Fd": "abcd",
            "abXc\x1b[D\x1b[D\x1b[3~": "abc",
        }.items():
            with self.subTest(keys):
                alice.type(keys + "\r")
                self.assertEqual(seen.line().decode(), f"alice: {said}")

    def test_an_escape_alone_and_a_sequence_that_is_cut_are_dropped_at_a_pause(self) -> None:
        seen = self.join("seen")
        alice = self.enter()
        seen.skip_to(b"alice joined the chat!")
        for cut in "\x1b", "\x1b[", "\x1b[1;", "\x1bO":
            with self.subTest(cut):
                alice.type("a" + cut)
                with contextlib.suppress(TimeoutError):  # the pause itself: nothing comes
                    seen.socket.settimeout(1.3)
                    self.assertEqual(seen.line(), b"")
                seen.socket.settimeout(WAIT_S)
                alice.type("b\r")
                self.assertEqual(seen.line(), b"alice: ab")

    def test_backspace_takes_what_a_reader_takes_for_one_character(self) -> None:
        seen = self.join("seen")
        alice = self.enter()
        seen.skip_to(b"alice joined the chat!")
        for cluster in "e\u0301", "世", "\U0001F468\u200d\U0001F469\u200d\U0001F467":
            with self.subTest(cluster):
                alice.type(f"a{cluster}b\x7f\x7f")
                alice.wait_for_end("\nalice> a")
                alice.type(f"{cluster}b\x1b[D\x1b[D|")
                alice.wait_for_end(f"\nalice> a|{cluster}b")
                alice.type("\r")
                self.assertEqual(seen.line().decode(), f"alice: a|{cluster}b")

    def test_a_paste_is_sent_after_enter(self) -> None:
        seen = self.join("seen")
        alice = self.enter()
        seen.skip_to(b"alice joined the chat!")
        alice.type("\x1b[200~one\r\n\ttwo\rthree\x1b[201~")
        alice.wait_for_end("\nalice> one\n        two\nthree")
        alice.type("!\r")
        self.assertEqual(seen.lines(3), [b"alice: one", b"alice:         two", b"alice: three!"])
        self.assertIn(b"\x1b[?2004h", alice.written)
        alice.type("\x04")
        self.assertEqual(alice.leave(), (0, True))
        self.assertTrue(alice.written.endswith(b"\x1b[?2004l"))

    def test_a_long_paste_in_one_line_does_not_hold_it_up(self) -> None:
        alice = self.enter()
        alice.type("\x1b[200~" + "x" * 900_000 + "\x1b[201~")
        alice.type("\x15/help\r")  # Ctrl-U erases the line
        alice.wait_for("Ctrl-D")
        alice.type("\x04")
        self.assertEqual(alice.leave(), (0, True))

    def test_a_message_above_the_limit_is_split(self) -> None:
        seen = self.join("seen")
        alice = self.enter()
        seen.skip_to(b"alice joined the chat!")
        alice.type("\x1b[200~" + "é" * 2100 + "\x1b[201~\r")
        self.assertEqual([line.decode() for line in seen.lines(2)], ["alice: " + "é" * 2048, "alice: " + "é" * 52])


class NotRead(HubTest):
    """A terminal that is not read: a stopped terminal program."""

    def start(self) -> tuple[subprocess.Popen[bytes], int]:
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = subprocess.Popen([coax(), "chat", self.hub.address, "--nick", "alice"], stdin=slave, stdout=slave,
                                   stderr=slave, env=support.environment(), start_new_session=True)
        os.close(slave)
        self.addCleanup(process.kill)
        return process, master

    def flood(self, talker: support.Client, count: int) -> None:
        """Sends `count` lines of 1 KB, which the hub has received."""
        line = b"x" * 1000 + b"\n"
        for _ in range(count):
            talker.send(line)
            talker.skip_to(b"talker: " + b"x" * 1000)

    def test_it_obeys_signals_and_still_reads_the_hub(self) -> None:
        for number in signal.SIGTERM, signal.SIGINT:
            with self.subTest(number):
                talker = self.join("talker")
                process, _ = self.start()
                talker.skip_to(b"alice joined the chat!")
                self.flood(talker, 1000)
                process.send_signal(number)
                self.assertEqual(process.wait(WAIT_S), 0)
                talker.skip_to(b"alice left the chat!")
                talker.close()
                with self.join("watcher") as watcher, contextlib.suppress(TimeoutError):
                    watcher.socket.settimeout(0.2)
                    watcher.skip_to(b"talker left the chat!")

    def test_it_is_not_cut_and_counts_what_it_drops(self) -> None:
        talker = self.join("talker")
        process, master = self.start()
        talker.skip_to(b"alice joined the chat!")
        self.flood(talker, 3000)  # 3 MB: more than the queue and more than the hub's patience
        os.write(master, b"hello\r")  # keys work during the flood
        talker.skip_to(b"alice: hello")
        written = b""
        while b"alice: hello" not in written and len(written) < 10_000_000:
            written += os.read(master, 65536)
            if b"lines are missing here" in written:
                break
        self.assertRegex(written, rb"\[\d+ lines are missing here: the terminal took no more\]")
        self.assertLess(len(written), 3_000_000)
        process.terminate()
        reader = threading.Thread(target=self.drain, args=(master,), daemon=True)
        reader.start()
        self.assertEqual(process.wait(WAIT_S), 0)

    @staticmethod
    def drain(master: int) -> None:
        with contextlib.suppress(OSError):
            while os.read(master, 65536):
                pass

    def test_flow_control_stops_the_output_alone(self) -> None:
        other = self.join("other")
        alice = self.enterContext(Person(self.hub.address, "--nick", "alice"))
        alice.wait_for_end("\nalice>")
        termios.tcflow(alice.slave, termios.TCOOFF)  # as Ctrl-S
        alice.type("hello\r")
        other.skip_to(b"alice: hello")
        alice.process.terminate()
        self.assertEqual(alice.process.wait(WAIT_S), 0)
        termios.tcflow(alice.slave, termios.TCOON)


class Reconnecting(unittest.TestCase):
    def hub(self, port: int = 0) -> Hub:
        return Hub("--port", str(port), "--web-port", "0", ports=False)

    def test_at_a_terminal_under_the_same_name_and_nothing_typed_is_lost(self) -> None:
        for number in signal.SIGTERM, signal.SIGKILL:
            with self.subTest(number), contextlib.ExitStack() as stack:
                first = stack.enter_context(self.hub())
                alice = stack.enter_context(Person(first.address, "--nick", "alice"))
                alice.wait_for_end("\nalice>")
                alice.type("half")
                alice.wait_for_end("\nalice> half")
                first.send_signal(number)
                first.wait()
                alice.wait_for("the server closed the connection; connecting again in 0.")
                alice.type(" and whole\rsecond\r")
                alice.wait_for("Connection refused; connecting again in")
                second = stack.enter_context(self.hub(first.port))
                seen = stack.enter_context(join(second, "seen"))
                seen.skip_to(b"alice joined the chat!")
                self.assertEqual(seen.lines(2), [b"alice: half and whole", b"alice: second"])
                alice.wait_for("connected again as alice")
                alice.type("third\r")
                self.assertEqual(seen.line(), b"alice: third")
                alice.wait_for("alice: third")
                alice.type("\x04")
                self.assertEqual(alice.leave(), (0, True))

    def test_it_enters_its_rooms_again(self) -> None:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(Hub())
            ports = ["--port", str(first.port), "--web-port", str(first.web_port)]
            alice = stack.enter_context(Person(first.address, "--nick", "alice"))
            alice.wait_for_end("\nalice>")
            alice.type("/join dev\r")
            alice.wait_for("* you talk in dev now, 1 here")
            alice.type("hello\r")
            alice.wait_for("[dev] alice: hello")
            alice.type("/nick alicia\r")
            alice.wait_for("[dev] alice is now alicia")
            alice.type("/nope\r")
            alice.wait_for("error: there is no /nope")
            alice.wait_for_end("\nalicia>")
            first.stop()
            alice.wait_for("connecting again")
            second = stack.enter_context(Hub(*ports, ports=False))
            bob = stack.enter_context(join(second, "bob"))
            alice.wait_for("connected again as alicia")
            bob.send(b"/join dev\n")
            bob.skip_to(b"* you talk in dev now, 2 here")
            alice.type("again\r")
            bob.skip_to(b"[dev] alicia: again")

    def test_who_leaves_while_the_hub_is_away_has_failed(self) -> None:
        with self.hub() as hub, Person(hub.address, "--nick", "alice") as alice:
            alice.wait_for_end("\nalice>")
            hub.kill()
            alice.wait_for("connecting again")
            alice.type("lost\r")
            alice.type("\x04")
            self.assertEqual(alice.leave(), (1, True))
            alice.wait_for("coax chat: 1 messages were not sent")

    def test_in_a_pipe_when_it_is_asked_for(self) -> None:
        with self.hub() as first, \
                Program(coax(), "chat", first.address, "--nick", "bot", "--reconnect") as bot:
            bot.output.wait_for("bot joined")
            bot.send(b"one\n")
            bot.output.wait_for("bot: one")
            first.kill()
            bot.log.wait_for("connecting again")
            bot.send(b"two\n")
            with self.hub(first.port) as second, join(second, "seen") as seen:
                seen.skip_to(b"bot: two")
                bot.finish()
                self.assertEqual(bot.wait(), 0, bot.log.text())

    def test_what_did_not_come_back_is_sent_again(self) -> None:
        got: list[bytes] = []
        listener = self.enterContext(socket.create_server((LOCALHOST, 0)))
        listener.settimeout(WAIT_S)

        def serve() -> None:
            for answers in 1, 2:
                connection, _ = listener.accept()
                connection.settimeout(WAIT_S)
                with connection, connection.makefile("rb") as lines:
                    connection.sendall(b"NICK")
                    connection.recv(5)
                    connection.sendall(b"alice joined the chat!\n")
                    for _ in range(2):
                        got.append(lines.readline())
                        if len(got) != 2:
                            connection.sendall(b"alice: " + got[-1])
                    if answers == 2:
                        lines.read()

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        address = f"{LOCALHOST}:{listener.getsockname()[1]}"
        with Person(address, "--nick", "alice") as alice:
            alice.wait_for_end("\nalice>")
            alice.type("one\r")
            alice.wait_for("alice: one")
            alice.type("two\r")
            alice.wait_for("connected again")
            alice.wait_for("alice: two")
            alice.type("three\r")
            alice.wait_for("alice: three")
            alice.type("\x04")
            self.assertEqual(alice.leave(), (0, True))
        self.assertEqual(got, [b"one\n", b"two\n", b"two\n", b"three\n"])

    def test_both_options_are_one_too_many(self) -> None:
        ran = support.run("chat", "--nick", "a", "--reconnect", "--no-reconnect")
        self.assertEqual(ran.returncode, 2)


class Ends(HubTest):
    def test_lost_output_ends_it(self) -> None:
        with open("/dev/full", "wb") as full:
            ran = subprocess.run([coax(), "chat", self.hub.address, "--nick", "bot"], stdin=subprocess.DEVNULL,
                                 stdout=full, stderr=subprocess.PIPE, timeout=WAIT_S, check=False,
                                 env=support.environment())
        self.assertEqual(ran.returncode, 1)
        self.assertIn(b"write to standard output: No space left on device", ran.stderr)

    def test_a_slow_reader_of_a_pipe_gets_all_and_does_not_freeze_it(self) -> None:
        reader, writer = os.pipe()
        with open(reader, "rb") as out:
            process = subprocess.Popen([coax(), "chat", self.hub.address, "--nick", "bot"], stdin=subprocess.PIPE,
                                       stdout=writer, stderr=subprocess.PIPE, env=support.environment())
            os.close(writer)
            try:
                lines = b"".join(b"%d\n" % number for number in range(30_000))
                feeder = threading.Thread(target=process.communicate, args=(lines,), daemon=True)
                feeder.start()
                time.sleep(3)  # longer than the time limit of an answer
                self.assertEqual(out.read().splitlines()[1:], [b"bot: %d" % number for number in range(30_000)])
                feeder.join(WAIT_S)
                self.assertEqual(process.returncode, 0)
            finally:
                process.kill()


if __name__ == "__main__":
    unittest.main()
