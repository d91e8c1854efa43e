#!/usr/bin/env python3
# `coax connect --udp` and `coax listen --udp` against Python's sockets and nc.

import shutil
import signal
import socket
import unittest

import support
from exchange import Listening, connect, connecting, events
from support import LOCALHOST, WAIT_S, Program


class Udp(unittest.TestCase):
    def server(self) -> socket.socket:
        server = self.enterContext(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind((LOCALHOST, 0))
        server.settimeout(WAIT_S)
        return server

    def test_each_piece_is_a_datagram_and_the_answers_are_printed(self) -> None:
        server = self.server()
        with connecting("%s:%d" % server.getsockname(), "--udp", "--wait", "300ms") as client:
            client.send(b"question")
            data, peer = server.recvfrom(100)
            self.assertEqual(data, b"question")
            client.finish()
            server.sendto(b"answer\n", peer)
            client.output.wait_for("answer")
            server.sendto(b"and more\n", peer)
            client.output.wait_for("and more")
            self.assertEqual(client.wait(), 0)

    def test_each_line_is_a_datagram(self) -> None:
        server = self.server()
        code, out, _ = connect("%s:%d" % server.getsockname(), "--udp", "--line", "--json", "--wait", "10ms",
                               given=b"one\ntwo\nthree")
        self.assertEqual([server.recv(100) for _ in range(3)], [b"one\n", b"two\n", b"three\n"])
        self.assertEqual((code, [event["event"] for event in events(out.decode())]),
                         (0, ["connected", "sent", "sent", "sent", "finished", "closed"]))

    def test_an_empty_datagram_is_shown(self) -> None:
        for form, wanted in ("--json", '"event":"received"'), ("--hex", "< 00000000"):
            with self.subTest(form), Listening("--udp", form) as listening, self.server() as sender:
                sender.sendto(b"", (LOCALHOST, listening.port))
                line = listening.output.wait_for(wanted)
                if form == "--json":
                    self.assertEqual([(event["bytes"], event["text"]) for event in events(line)], [(0, "")])
                else:
                    self.assertEqual(line, wanted)

    def test_a_datagram_is_not_cut_within_a_character(self) -> None:
        server = self.server()
        text = "a" + "€" * 800
        out = connect("%s:%d" % server.getsockname(), "--udp", "--json", "--wait", "10ms", given=text.encode())[1]
        self.assertEqual("".join(event["text"] for event in events(out.decode()) if event["event"] == "sent"), text)

    def test_large_input_goes_in_datagrams_that_fit_everywhere(self) -> None:
        server = self.server()
        self.assertEqual(connect("%s:%d" % server.getsockname(), "--udp", "--wait", "10ms", given=bytes(3000))[0], 0)
        self.assertEqual([len(server.recv(9000)) for _ in range(3)], [1232, 1232, 536])

    def test_that_nobody_is_there_is_told(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind((LOCALHOST, 0))
            port = closed.getsockname()[1]
        code, _, said = connect(f"{LOCALHOST}:{port}", "--udp", given=b"x")
        self.assertEqual(code, 3)
        self.assertIn("refused", said)

    def test_a_name_goes_on_to_its_next_address(self) -> None:
        server = self.server()  # localhost is ::1, too, and comes first
        with connecting(f"localhost:{server.getsockname()[1]}", "--udp", "--line", "--wait", "300ms") as client:
            client.send(b"one\ntwo\nthree\n")
            got = [server.recvfrom(100) for _ in range(3)]
            self.assertEqual([data for data, _ in got], [b"one\n", b"two\n", b"three\n"])
            server.sendto(b"answer\n", got[-1][1])
            client.output.wait_for("answer")
            client.finish()
            self.assertEqual(client.wait(), 0)

    def test_a_peer_that_starts_after_it_refused_is_heard(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind((LOCALHOST, 0))
            address = closed.getsockname()
        with connecting("%s:%d" % address, "--udp", "--wait", "300ms") as client:
            client.send(b"no peer receives it\n")
            client.log.wait_for("refused")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                server.bind(address)
                server.settimeout(WAIT_S)
                client.send(b"somebody does\n")
                said, peer = server.recvfrom(100)
                self.assertEqual(said, b"somebody does\n")
                server.sendto(b"yes\n", peer)
                client.output.wait_for("yes")
                client.finish()
                self.assertEqual(client.wait(), 0)

    def test_listen_talks_to_the_first_who_sends(self) -> None:
        with Listening("--udp", "--wait", "300ms") as listening:
            address = (LOCALHOST, listening.port)
            first, other = self.server(), self.server()
            first.sendto(b"first\n", address)
            listening.output.wait_for("first")
            other.sendto(b"other\n", address)
            listening.send(b"answer")
            self.assertEqual(first.recv(100), b"answer")
            listening.finish()
            self.assertEqual(listening.wait(), 0)
            self.assertEqual(listening.output.wait_for_end(), "first")

    def test_keep_open_answers_whoever_was_last(self) -> None:
        with Listening("--udp", "--keep-open", "--json") as listening:
            for number in range(2):
                client = self.server()
                client.sendto(b"%d" % number, (LOCALHOST, listening.port))
                listening.output.wait_for(f'"text":"{number}"')
                listening.send(b"answer")
                self.assertEqual(client.recv(100), b"answer")
            listening.send_signal(signal.SIGINT)
            self.assertEqual(listening.wait(), 0)

    def test_closed_is_printed_after_ctrl_c_where_there_was_a_peer(self) -> None:
        for has_peer in False, True:
            with self.subTest(has_peer), Listening("--udp", "--json") as listening:
                if has_peer:
                    self.server().sendto(b"x", (LOCALHOST, listening.port))
                    listening.output.wait_for('"received"')
                listening.send_signal(signal.SIGINT)
                self.assertEqual(listening.wait(), 1)
                self.assertEqual('"closed"' in listening.output.wait_for_end(), has_peer)

    @unittest.skipUnless(shutil.which("nc"), "nc is not installed")
    def test_nc(self) -> None:
        with Listening("--udp") as listening, Program("nc", "-u", LOCALHOST, str(listening.port)) as nc:
            nc.send(b"from nc\n")
            listening.output.wait_for("from nc")
            listening.send(b"to nc\n")
            nc.output.wait_for("to nc")

    def test_what_udp_cannot_do(self) -> None:
        for arguments in (["80", "--check"], ["80", "--reconnect", "1s"], ["unix:/x"]):
            self.assertEqual(support.run("connect", "--udp", *arguments).returncode, 2)


if __name__ == "__main__":
    unittest.main()
