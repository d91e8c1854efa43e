#!/usr/bin/env python3
# The hub's plain TCP protocol, sentence by sentence as in docs/protocols.md, with clients of others: raw sockets, a
# tutorial's script, nc.

import asyncio
import itertools
import json
import shutil
import subprocess
import threading
import time
import unittest

import support
import websockets
from support import LOCALHOST, WAIT_S, Client, HubTest


class Entering(HubTest):
    def test_the_server_asks_first_and_without_a_line_end(self) -> None:
        client = self.connect()
        self.assertEqual(client.exactly(4), b"NICK")
        client.send(b"ann\n")
        self.assertEqual(client.line(), b"ann joined the chat!")

    def test_the_nickname_and_messages_may_come_in_one_segment(self) -> None:
        client = self.connect()
        client.send(b"ben\none\ntwo\n")
        self.assertEqual(client.lines(3), [b"NICKben joined the chat!", b"ben: one", b"ben: two"])

    def test_the_nickname_may_end_with_crlf_and_has_no_space_around(self) -> None:
        client = self.connect()
        client.send(b" \t cyd the first \r\n")
        self.assertEqual(client.line(), b"NICKcyd the first joined the chat!")

    def test_comings_and_goings_are_told_to_all(self) -> None:
        dan = self.join("dan")
        eva = self.join("eva")
        self.assertEqual(dan.line(), b"eva joined the chat!")
        eva.close()
        self.assertEqual(dan.line(), b"eva left the chat!")

    def test_a_reset_is_a_going_too(self) -> None:
        fay = self.join("fay")
        self.join("gus").reset()
        self.assertEqual(fay.lines(2), [b"gus joined the chat!", b"gus left the chat!"])

    def test_a_nickname_is_free_again_when_its_owner_has_left(self) -> None:
        hal = self.join("hal")
        self.join("ida").close()
        hal.skip_to(b"ida left the chat!")
        self.join("ida")
        self.assertEqual(hal.line(), b"ida joined the chat!")


class Nicknames(HubTest):
    numbers = itertools.count()

    def assert_refused(self, nick: bytes, reason: bytes) -> None:
        """The nickname is refused with that word in the error; the second one is accepted."""
        with Client(self.hub.port) as client:
            client.send(nick + b"\n")
            error = client.line()
            self.assertTrue(error.startswith(b"NICKerror: "), error)
            self.assertIn(reason, error)
            good = b"good %d" % next(self.numbers)
            client.send(good + b"\n")
            self.assertEqual(client.line(), good + b" joined the chat!")

    def test_32_characters_are_enough(self) -> None:
        for nick in ["a" * 32, "ä" * 32, "\N{GRINNING FACE}" * 32]:
            with self.subTest(nick):
                self.join(nick).close()
        self.assert_refused(b"b" * 33, b"32 characters")
        self.assert_refused("ü".encode() * 33, b"32 characters")
        self.assert_refused(b"c" * 100_000, b"")

    def test_control_characters_are_refused(self) -> None:
        for nick in ["bell\a", "tab\tinside", "nul\0", "esc\x1b[31m", "c1\x85", "rlo\u202e", "line\u2028"]:
            with self.subTest(nick):
                self.assert_refused(nick.encode(), b"control characters")

    def test_what_is_not_utf_8_is_refused(self) -> None:
        for nick in [b"\xff\xfe", b"caf\xe9", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x82"]:
            with self.subTest(nick):
                self.assert_refused(nick, b"UTF-8")

    def test_blank_lines_before_the_nickname_are_ignored(self) -> None:
        client = self.connect()
        client.send(b"\n  \r\n \t \n")
        client.send(b"somebody\n")
        self.assertEqual(client.line(), b"NICKsomebody joined the chat!")

    def test_nobody_is_called_like_the_hub_or_speaks_for_others(self) -> None:
        self.join("alice")
        for nick in "error", "Error", "\N{FULLWIDTH LATIN SMALL LETTER E}rror":
            with self.subTest(nick):
                self.assert_refused(nick.encode(), b"reserved")
        for nick in "alice: I resign", "a:b", ":":
            with self.subTest(nick):
                self.assert_refused(nick.encode(), b"colon")
        self.assert_refused("\u200b\u2060".encode(), b"U+200B")
        self.assert_refused("\u2003\u00a0".encode(), b"empty")
        self.assert_refused("err\u043er".encode(), b"reserved")
        self.assert_refused("al\u200bice".encode(), b"U+200B")
        for nick in "ALICE", "alice\u00a0", "aIice", "\u0430lice", "\uff41lice":
            with self.subTest(nick):
                self.assert_refused(nick.encode(), b"taken")

    def test_a_nickname_is_shown_in_its_normal_form(self) -> None:
        client = self.connect()
        client.send("\uff21\u2003\u00a0e\u0301\n".encode())
        self.assertEqual(client.line(), "NICKA \u00e9 joined the chat!".encode())
        client.send("\uff21\u2003\u00a0e\u0301: hello\n".encode())
        self.assertEqual(client.line(), "A \u00e9: hello".encode())
        self.join("errors")

    def test_a_nickname_is_taken_whatever_its_case(self) -> None:
        for owner, same in [("alice", "alice"), ("Bob", "bOB"), ("Straße", "STRASSE"), ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
                            ("caf\u00e9", "cafe\u0301")]:
            with self.subTest(same):
                self.join(owner)
                self.assert_refused(same.encode(), b"taken")

    def test_the_second_bad_one_is_the_last(self) -> None:
        self.join("kim")
        client = self.connect()
        client.send(b"kim\n")
        self.assertRegex(client.line(), rb"^NICKerror: .*taken")
        client.send(b"\xff\n")
        self.assertRegex(client.rest(), rb"^error: .*UTF-8.*\n$")

    def test_who_is_refused_disturbs_nobody(self) -> None:
        lea = self.join("lea")
        client = self.connect()
        client.send(b"lea\nLEA\n")
        client.rest()
        lea.send(b"still here\n")
        self.assertEqual(lea.line(), b"lea: still here")


class LineClients(HubTest):
    def test_a_message_goes_to_all_and_oneself(self) -> None:
        max_, nia = self.join("max"), self.join("nia")
        max_.skip_to(b"nia joined the chat!")
        max_.send(b"hello\n")
        nia.send("grüß dich \N{WAVING HAND SIGN}\r\n".encode())
        for client in max_, nia:
            self.assertEqual({*client.lines(2)}, {b"max: hello", "nia: grüß dich \N{WAVING HAND SIGN}".encode()})

    def test_empty_lines_are_ignored(self) -> None:
        client = self.join("ole")
        client.send(b"\n\r\n\n\r\n\nhere\n")
        self.assertEqual(client.line(), b"ole: here")

    def test_however_the_lines_are_cut(self) -> None:
        client = self.join("pam")
        for byte in "größer\r\nzwei\n".encode():
            client.send(bytes([byte]))
        self.assertEqual(client.lines(2), ["pam: größer".encode(), b"pam: zwei"])

    def test_a_line_is_not_cut_by_a_pause(self) -> None:
        client, clock = self.join("quin"), self.join("quinn", b"")
        client.skip_to(b"quinn joined the chat!")
        client.send(b"a line ")
        for tick in b"tick", b"tack":  # each takes the pause of a client without line ends
            clock.send(tick)
            self.assertEqual(client.line(), b"quinn: " + tick)
        client.send(b"in two\n")
        self.assertEqual(client.line(), b"quin: a line in two")

    def test_its_own_name_is_not_doubled(self) -> None:
        client = self.join("rob")
        client.send(b"rob: hello\nrob:hello\nBob: hello\nrob: rob: twice\n")
        self.assertEqual(client.lines(4), [b"rob: hello", b"rob: rob:hello", b"rob: Bob: hello", b"rob: rob: twice"])

    def test_the_last_line_needs_no_end_and_comes_back_before_the_close(self) -> None:
        other, client = self.join("sam"), self.join("sue")
        client.send(b"first\nlast")
        client.finish()
        self.assertEqual(client.rest(), b"sue: first\nsue: last\n")
        self.assertEqual(other.lines(4), [b"sue joined the chat!", b"sue: first", b"sue: last", b"sue left the chat!"])

    def test_what_was_sent_before_a_plain_close_is_said(self) -> None:
        other, client = self.join("tim"), self.join("tom")
        client.send(b"bye\n")
        client.close()
        self.assertEqual(other.lines(3), [b"tom joined the chat!", b"tom: bye", b"tom left the chat!"])


class TutorialClients(HubTest):
    def test_each_send_is_a_message(self) -> None:
        client, other = self.join("alice", b""), self.join("abel")
        client.skip_to(b"abel joined the chat!")
        for sent, received in ("hi", "alice: hi"), ("alice: hello", "alice: hello"), ("schön", "alice: schön"):
            client.send(sent.encode())
            self.assertEqual(client.line(), received.encode())
            self.assertEqual(other.line(), received.encode())

    def test_the_pause_is_50_ms(self) -> None:
        client = self.join("uma", b"")
        begin = time.monotonic()
        client.send(b"hi")
        self.assertEqual(client.line(), b"uma: hi")
        self.assertGreater(time.monotonic() - begin, 0.045)

    def test_what_comes_without_a_pause_is_one_message(self) -> None:
        client = self.join("vic", b"")
        for _ in range(10):  # on a busy machine the pause may be ours
            client.send(b"one ")
            client.send(b"message")
            if client.line() == b"vic: one message":
                return
            client.skip_to(b"vic: message")
        self.fail("two sends in a row are never one message")

    def test_with_its_first_line_end_it_is_a_line_client_for_good(self) -> None:
        client, clock = self.join("wes", b""), self.join("wanda", b"")
        client.skip_to(b"wanda joined the chat!")
        client.send(b"raw")
        self.assertEqual(client.line(), b"wes: raw")
        client.send(b"one\ntwo\nthr")
        self.assertEqual(client.lines(2), [b"wes: one", b"wes: two"])
        for tick in b"tick", b"tack":
            clock.send(tick)
            self.assertEqual(client.line(), b"wanda: " + tick)
        client.send(b"ee\n")
        self.assertEqual(client.line(), b"wes: three")


class Refusals(HubTest):
    def assert_refused(self, nick: str, text: bytes, reason: bytes) -> None:
        """Only that client gets it, and stays connected."""
        client, other = self.join(nick), self.join(nick + " 2")
        client.skip_to(f"{nick} 2 joined the chat!".encode())
        client.send(text + b"\nstill here\n")
        error = client.line()
        self.assertRegex(error, b"^error: .*" + reason)
        for each in client, other:
            self.assertEqual(each.line(), nick.encode() + b": still here")

    def test_a_message_has_at_most_4096_bytes(self) -> None:
        client = self.join("xena")
        for text in "x" * 4096, "ü" * 2048, "xena: " + "x" * 4096:
            client.send(text.encode() + b"\n")
            self.assertEqual(client.line(), b"xena: " + text.removeprefix("xena: ").encode())
        self.assert_refused("xaver", b"x" * 4097, b"4096 bytes")
        self.assert_refused("xy", "ü".encode() * 2049, b"4096 bytes")

    def test_a_line_without_end_is_refused_once_and_read_on_after(self) -> None:
        self.assert_refused("yan", b"y" * 1_000_000, b"4096 bytes")

    def test_too_long_a_message_of_a_tutorials_client(self) -> None:
        client, clock = self.join("yul", b""), self.join("yvo", b"")
        client.skip_to(b"yvo joined the chat!")
        client.send(b"y" * 5000)
        self.assertRegex(client.line(), rb"^error: .*4096 bytes")
        for tick in b"tick", b"tack":
            clock.send(tick)
            self.assertEqual(client.line(), b"yvo: " + tick)
        client.send(b"short")
        self.assertEqual(client.line(), b"yul: short")

    def test_what_is_not_utf_8(self) -> None:
        for index, text in enumerate([b"\xff", b"caf\xe9", b"\xf0\x9f\x98", b"\xed\xa0\x80"]):
            with self.subTest(text):
                self.assert_refused(f"zoe {index}", text, b"UTF-8")

    def test_control_characters(self) -> None:
        texts = ["\x1b[2Jboo", "a\tb", "a\rb", "nul\0", "del\x7f", "csi\x9b1m", "rlo\u202e", "\u2028"]
        for index, text in enumerate(texts):
            with self.subTest(text):
                self.assert_refused(f"zed {index}", text.encode(), b"control characters")


class Silence(HubTest):
    def test_ten_seconds_for_the_nickname(self) -> None:
        seen = self.join("witness")
        begin = time.monotonic()
        silent, slow = self.connect(), self.connect()
        slow.send(b"bad\tname\n")  # an error does not extend the time limit
        stop = threading.Event()

        def chatter() -> None:
            for number in range(10_000):
                seen.send(b"%d\n" % number)
                assert seen.line() == b"witness: %d" % number
                if stop.wait(0.1):
                    return

        thread = threading.Thread(target=chatter)
        thread.start()
        try:
            self.assertRegex(silent.rest(), rb"^NICKerror: [^\n]*10s[^\n]*\n$")
            took = time.monotonic() - begin
            self.assertRegex(slow.rest(), rb"^NICKerror: [^\n]*\nerror: [^\n]*10s[^\n]*\n$")
        finally:
            stop.set()
            thread.join(WAIT_S)
        self.assertGreater(took, 9.9)
        seen.send(b"the end\n")
        self.assertEqual(seen.line(), b"witness: the end")


@unittest.skipUnless(shutil.which("nc"), "no nc in PATH")
class Netcat(HubTest):
    def test_nc_both_ways(self) -> None:
        other = self.join("somebody")
        with support.Program("nc", "-N", LOCALHOST, str(self.hub.port)) as nc:
            nc.send(b"ned\nfrom nc\n")
            self.assertEqual(other.lines(2), [b"ned joined the chat!", b"ned: from nc"])
            other.send(b"to nc\n")
            nc.output.wait_for("somebody: to nc")
            nc.send(b"the last")
            nc.finish()
            self.assertEqual(nc.wait(), 0)
            received = nc.output.wait_for_end().splitlines()
        self.assertEqual(received, ["NICKned joined the chat!", "ned: from nc", "somebody: to nc", "ned: the last"])
        self.assertEqual(other.lines(3), [b"somebody: to nc", b"ned: the last", b"ned left the chat!"])


class Order(HubTest):
    MESSAGES = 100

    async def speak_tcp(self, nick: str, everybody: asyncio.Barrier) -> list[str]:
        reader, writer = await asyncio.open_connection(LOCALHOST, self.hub.port)
        self.assertEqual(await reader.readexactly(4), b"NICK")
        writer.write(nick.encode() + b"\n")
        self.assertEqual(await reader.readline(), f"{nick} joined the chat!\n".encode())
        await everybody.wait()
        writer.write(b"".join(b"%d\n" % number for number in range(self.MESSAGES)))
        received: list[str] = []
        while len(received) < 5 * self.MESSAGES:
            line = (await reader.readline()).decode().rstrip("\n")
            received += [line] if ": " in line else []
        await everybody.wait()
        writer.close()
        return received

    async def speak_websocket(self, nick: str, everybody: asyncio.Barrier) -> list[str]:
        async with websockets.connect(f"ws://{LOCALHOST}:{self.hub.web_port}/ws") as socket:
            await socket.send(json.dumps({"type": "join", "nick": nick}))
            self.assertEqual(json.loads(await socket.recv())["type"], "welcome")
            await everybody.wait()
            received: list[str] = []
            for number in range(self.MESSAGES):
                await socket.send(json.dumps({"type": "message", "text": str(number)}))
            while len(received) < 5 * self.MESSAGES:
                event = json.loads(await socket.recv())
                received += [f"{event['nick']}: {event['text']}"] if event["type"] == "message" else []
            await everybody.wait()
            return received

    async def speak_all(self) -> list[list[str]]:
        everybody = asyncio.Barrier(5)
        async with asyncio.timeout(WAIT_S):
            return await asyncio.gather(*(self.speak_tcp(f"tcp {number}", everybody) for number in range(3)),
                                        *(self.speak_websocket(f"ws {number}", everybody) for number in range(2)))

    def test_everybody_gets_the_same_in_the_same_order_on_both_wires(self) -> None:
        received, *others = asyncio.run(self.speak_all())
        for other in others:
            self.assertEqual(received, other)
        for nick in "tcp 0", "tcp 2", "ws 1":
            self.assertEqual([line for line in received if line.startswith(nick)],
                             [f"{nick}: {number}" for number in range(self.MESSAGES)])


class ForeignProtocols(HubTest):
    """A page of any origin can make a browser send a request here: no part of it may reach the room."""

    HTTP = (b"POST / HTTP/1.1\r\nHost: 127.0.0.1:12345\r\nOrigin: http://evil.example\r\nCookie: secret=1\r\n"
            b"Content-Length: 2\r\n\r\nx\n")

    def refused(self, pieces: list[bytes]) -> bytes:
        witness = self.join("witness")
        client = self.connect()
        self.assertEqual(client.exactly(4), b"NICK")
        for piece in pieces:
            client.send(piece)
        answer = client.rest()
        witness.send(b"only me\n")
        self.assertEqual(witness.line(), b"witness: only me")
        return answer

    def test_http_request_joins_nobody(self) -> None:
        answer = self.refused([self.HTTP])
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer)
        self.hub.log.wait_for("it speaks HTTP")

    def test_http_request_in_pieces_joins_nobody(self) -> None:
        self.assertTrue(self.refused([b"POST / HTTP", b"/1.1\r", self.HTTP[16:]]).startswith(b"HTTP/1.1 400 "))

    def test_http_request_byte_by_byte_joins_nobody(self) -> None:
        request = b"PUT /a HTTP/1.0\r\n"
        self.assertTrue(self.refused([request[at:at + 1] for at in range(16)]).startswith(b"HTTP/1.1 400 "))

    def test_tls_client_gets_an_alert(self) -> None:
        self.assertEqual(self.refused([b"\x16\x03\x01\x00\x05hello"]), b"\x15\x03\x01\x00\x02\x02\x0a")

    def test_ssh_client_gets_a_line(self) -> None:
        answer = self.refused([b"SSH-2.0-OpenSSH_9.2p1\r\n"])
        self.assertEqual(answer, b"This port is for messages of text. It is no SSH server.\r\n")

    def test_openssl_and_curl_end_at_once(self) -> None:
        for command in (["curl", "-s", f"https://{self.hub.address}/"], ["curl", "-s", f"http://{self.hub.address}/"],
                        ["openssl", "s_client", "-connect", self.hub.address]):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_S, check=False)
            self.assertNotEqual(done.returncode, 0, command)

    def test_a_nickname_that_resembles_a_method_is_one(self) -> None:
        client = self.join("GET well soon")
        client.send(b"POST / HTTP/1.1\n")
        self.assertEqual(client.line(), b"GET well soon: POST / HTTP/1.1")


if __name__ == "__main__":
    unittest.main(verbosity=2)
