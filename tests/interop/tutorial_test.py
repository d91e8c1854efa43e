#!/usr/bin/env python3
# The tutorials' servers and clients in both languages (examples/, tests/interop/tutorial/) talk to each other in both
# directions, however TCP splits their bytes; and ours survive what breaks the others.

import contextlib
import re
import select
import shutil
import socket
import subprocess
import unittest

from support import SOURCE, WAIT_S
from tutorials import (OURS, PAIRS, PYTHONS, ask, command, connect, count_lines, cuts, exactly, framed, reset, rest,
                       run, say, serving)

HELLO = "Hello from the client!"
ADA = '{"name": "Ada", "languages": ["C++", "Python"]}'


def padded(text: str) -> bytes:
    return text.encode().ljust(32)


# The server, the client and its arguments after the port, what the client prints, and what the server does.
CONVERSATIONS = [
    ("tcp_server", "tcp_client", [], "Received: Hello from the server!\n", f"Received: {HELLO}\n"),
    ("tcp_server", "error_client", [], "Received: Hello from the server!\n", "Received: Hello\n"),
    ("udp_server", "udp_client", [], "Received: Response from server\n", f"Received: {HELLO}\n"),
    ("json_server", "json_client", [], 'Received dictionary: {"status": "received"}\n',
     f"Received dictionary: {ADA}\n"),
    ("fixed_length_server", "fixed_length_client", [], f"Received: {HELLO}\n", f"Received: {HELLO}\n"),
    ("framed_server", "framed_client", [], f"Received: {HELLO}\n", f"Received: {HELLO}\n"),
    ("half_close_server", "half_close_client", [], "Received 36 bytes\n", ""),
    ("select_server", "half_close_client", [], "Received 36 bytes\n", ""),
    ("select_server", "blocking_sender", ["8MiB"], "Sent 8388608 bytes\nReceived 8388608 bytes\n", ""),
    ("select_server", "nonblocking_sender", ["8MiB"], "Sent 8388608 bytes\nReceived 8388608 bytes\n", ""),
    ("limited_server", "tcp_client", [], f"Received: Processed: {HELLO}\n", ""),
    ("quit_server", "tcp_client", ["quit"], "Received: Goodbye!\n", ""),
    ("async_server", "tcp_client", [], "Received: Response\n", ""),
    ("threaded_server", "tcp_client", [], f"Received: {HELLO}\n", ""),
]

# The answers of our server to these messages, however they are split.
ANSWERS: dict[str, tuple[list[bytes], bytes]] = {
    "tcp_server": ([b"one\n", b"two\n"], b"Hello from the server!" * 2),
    "limited_server": ([b"one\n", b"two\n"], b"Processed: one\nProcessed: two\n"),
    "echo_server": ([b"a text that is longer ", b"than a piece"], b"a text that is longer than a piece"),
    "threaded_server": ([b"any ", b"text"], b"any text"),
    "quit_server": ([b"one\n", b"quit\n"], b"You said: one\nGoodbye!\n"),
    "half_close_server": ([b"twelve ", b"bytes"], b"Received 12 bytes"),
    "select_server": ([b"twelve ", b"bytes"], b"Received 12 bytes"),
    "async_server": ([b"one\n", b"two\n"], b"Response\nResponse\n"),
    "json_server": ([b'{"a":1}\n', b"[1]\n", b"\xff\n", b'{"b":2}'], b'{"status": "received"}\n'
                    + b'{"error": "that is no JSON object"}\n' * 2 + b'{"status": "received"}\n'),
    "fixed_length_server": ([padded("one"), padded("two")], padded("one") + padded("two")),
    "framed_server": ([framed(b"one"), framed(b"\xff")], framed(b"one", b"\xff")),
    "key_value_server": ([b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$2\r\n\r\n\r\n",
                          b"*2\r\n$3\r\nget\r\n$3\r\nkey\r\n*0\r\n*1\r\n$4\r\nPING\r\n"],
                         b"+OK\r\n$2\r\n\r\n\r\n+PONG\r\n"),
    "credentials_server": ([framed(b"ada"), framed(b"lovelace")], framed(b"Welcome!")),
}
CHATS = ["broadcast_server", "chat_server", "thread_per_client_chat"]
SERVERS = [*ANSWERS, *CHATS]


class BothWays(unittest.TestCase):
    def test_the_conversations(self) -> None:
        for server, client, words, answer, printed in CONVERSATIONS:
            for one, other in PAIRS:
                protocol = "udp" if server == "udp_server" else "tcp"
                with (self.subTest(server=one.format(server), client=other.format(client)),
                      serving(one.format(server), protocol=protocol) as running):
                    self.assertEqual(ask(other.format(client), "127.0.0.1", str(running.port), *words), (0, answer))
                    if printed:
                        self.assertEqual(running.printed("\n"), printed)

    def test_echo(self) -> None:
        for server, client in PAIRS:
            with self.subTest(server=server, client=client), serving(server.format("echo_server")) as running:
                status, said = ask(client.format("echo_client"), "127.0.0.1", str(running.port))
                first, *pieces = [line.split('"')[1] for line in said.splitlines()]
                self.assertEqual((status, "".join(pieces)), (0, first))
                self.assertTrue(all(len(piece) <= 16 for piece in pieces), pieces)

    def test_credentials_are_right_or_wrong_and_no_password_is_shown(self) -> None:
        for server, client in PAIRS:
            with self.subTest(server=server, client=client), serving(server.format("credentials_server")) as running:
                for user, password, verdict, printed in (("ada", "lovelace", "Welcome!", "ada: welcome"),
                                                         ("ada", "hopper", "Wrong user or password.", "ada: refused"),
                                                         ("eve", "", "Wrong user or password.", "eve: refused")):
                    done = run(client.format("credentials_client"), "127.0.0.1", str(running.port), user,
                               given=f"{password}\n")
                    self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f"{verdict}\n", ""))
                    self.assertEqual(running.printed("\n"), f"{printed}\n")

    def test_failures_are_told_alike(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = str(closed.getsockname()[1])
        for client in "error_client", "error_client.py":
            with self.subTest(client):
                self.assertEqual(ask(client, "127.0.0.1", port), (1, "Connection refused: is the server running?\n"))
                self.assertEqual(ask(client, "no-such-name.invalid", "80"), (1, "Unknown host name.\n"))

    def test_a_server_that_is_silent_is_given_up_after_five_seconds(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            words = "127.0.0.1", str(silent.getsockname()[1])
            clients = [subprocess.Popen([*command(name), *words], stdout=subprocess.PIPE, text=True)
                       for name in ("error_client", "error_client.py")]
            for client in clients:
                self.assertEqual(client.communicate(timeout=WAIT_S)[0], "Timed out after 5 seconds.\n")
                self.assertEqual(client.returncode, 1)

    def test_words_that_are_missing_or_wrong_are_told_with_the_usage(self) -> None:
        done = run("tcp_client", "127.0.0.1")
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (2, "", "tcp_client: PORT is missing\nusage: tcp_client HOST PORT [TEXT]\n"))
        self.assertEqual(run("tcp_server", "http").returncode, 2)


class Cut(unittest.TestCase):
    def test_whole_joined_or_byte_by_byte_the_answers_are_the_same(self) -> None:
        for name, (messages, answer) in ANSWERS.items():
            with serving(name) as server:
                for cut, segments in cuts(*messages).items():
                    with self.subTest(name, cut=cut):
                        self.assertEqual(say(server.port, *segments), answer)

    def test_clients_take_answers_that_come_byte_by_byte(self) -> None:
        for name, answer, printed in (
                ("tcp_client", b"Hello", "Received: Hello\n"),
                ("half_close_client", b"Received 1 bytes", "Received 1 bytes\n"),
                ("json_client", b'{"a": [1]}\n', 'Received dictionary: {"a": [1]}\n'),
                ("fixed_length_client", padded("one"), "Received: one\n"),
                ("framed_client", framed(b"one"), "Received: one\n")):
            with self.subTest(name), socket.create_server(("127.0.0.1", 0)) as listener:
                listener.settimeout(WAIT_S)
                words = "127.0.0.1", str(listener.getsockname()[1])
                with subprocess.Popen([*command(name), *words], stdout=subprocess.PIPE, text=True) as client:
                    peer, _ = listener.accept()
                    with peer:
                        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        for byte in answer:
                            peer.sendall(bytes([byte]))
                        peer.shutdown(socket.SHUT_WR)
                        self.assertEqual(client.communicate(timeout=WAIT_S)[0], printed)


class Limited(unittest.TestCase):
    def test_each_bad_line_gets_its_answer_and_the_next_is_processed(self) -> None:
        for name in "limited_server", "limited_server.py":
            with self.subTest(name), serving(name) as server:
                self.assertEqual(say(server.port, b"x" * 1025 + b"\n" + b"\xff\n" + "ä".encode() * 101 + b"\n"),
                                 b"Error: Message too long\nError: Not UTF-8\nProcessed: " + "ä".encode() * 100 + b"\n")

    def test_the_eleventh_is_refused_until_a_place_is_free(self) -> None:
        with serving("limited_server") as server, contextlib.ExitStack() as stack:
            guests = [stack.enter_context(connect(server.port)) for _ in range(10)]
            for guest in guests:
                guest.sendall(b"in\n")
                self.assertEqual(guest.recv(100), b"Processed: in\n")
            with connect(server.port) as eleventh:
                self.assertEqual(rest(eleventh), b"Server busy. Try again later.\n")
            guests[0].shutdown(socket.SHUT_WR)
            self.assertEqual(rest(guests[0]), b"")
            self.assertEqual(say(server.port, b"now\n"), b"Processed: now\n")

    def test_one_who_is_silent_or_drips_loses_its_place(self) -> None:
        with serving("limited_server", "127.0.0.1", "150ms") as server:
            with connect(server.port) as silent:
                self.assertEqual(rest(silent), b"")
            with connect(server.port) as dripping:
                drops = 0
                with contextlib.suppress(ConnectionError):
                    while not select.select([dripping], [], [], 0.02)[0]:
                        dripping.sendall(b"x")
                        drops += 1
                        self.assertLess(drops, 1000)
                    self.assertEqual(dripping.recv(1), b"")


class Chats(unittest.TestCase):
    def test_all_who_are_there_are_told_of_each_newcomer(self) -> None:
        welcome = b"Welcome to the server!"
        for name in "broadcast_server", "broadcast_server.py":
            with self.subTest(name), serving(name) as server, connect(server.port) as first:
                self.assertEqual(exactly(first, len(welcome)), welcome)
                with connect(server.port) as second:
                    self.assertEqual(exactly(second, len(welcome)), welcome)
                    self.assertEqual(exactly(first, len(welcome)), welcome)

    def expect(self, client: socket.socket, text: str) -> None:
        self.assertEqual(exactly(client, len(text.encode())).decode(), text)

    def test_the_chat_speaks_the_hubs_protocol(self) -> None:
        for name in "chat_server", "chat_server.py":
            with self.subTest(name), serving(name) as server, connect(server.port) as alice:
                alice.sendall(b"alice\n")
                self.expect(alice, "NICKalice joined the chat!\n")
                with connect(server.port) as bob:
                    bob.sendall(b"alice\nb")
                    self.expect(bob, "NICKerror: that ")
                    bob.sendall(b"ob\n\nhello\nbob: all\n")
                    self.expect(alice, "bob joined the chat!\nbob: hello\nbob: all\n")
                self.expect(alice, "bob left the chat!\n")

    def test_the_chat_answers_what_is_no_text_and_no_nickname(self) -> None:
        with serving("chat_server") as server, connect(server.port) as alice:
            for bad in b"\xff\n", b"error\n", b"a:b\n", b"\x1b[2J\n", "ä".encode() * 33 + b"\n":
                alice.sendall(bad)
            alice.sendall(b"alice\n\xff\n\x1b[2J\nlast\n")
            alice.shutdown(socket.SHUT_WR)
            refusal = "error: that is taken, or no nickname; send another one\n"
            self.assertEqual(rest(alice).decode(), "NICK" + refusal * 5 + "alice joined the chat!\n"
                             + "error: that is no text; it was not sent\n" * 2 + "alice: last\n")
            self.assertTrue(say(server.port, b"alice\n").endswith(b"alice joined the chat!\n"), "the name is free")

    def test_the_threads_chat_goes_to_the_others(self) -> None:
        for name in "thread_per_client_chat", "thread_per_client_chat.py":
            with self.subTest(name), serving(name) as server, connect(server.port) as alice:
                with connect(server.port) as bob:
                    for byte in b"hello\n":  # again, since no event shows that alice is in
                        bob.sendall(bytes([byte]))
                    while not select.select([alice], [], [], 0.05)[0]:
                        bob.sendall(b"hello\n")
                    self.expect(alice, "hello\n")
                    alice.sendall(b"answer\n")
                    self.expect(bob, "answer\n")

    def test_the_threads_chat_waits_for_nobody_who_does_not_read(self) -> None:
        with (serving("thread_per_client_chat") as server, connect(server.port, receive_buffer=4096) as slow,
              connect(server.port) as reader, connect(server.port) as speaker):
            speaker.sendall(b"\xff\n")
            self.expect(speaker, "Error: Not UTF-8\n")
            reader.sendall(b"\xff\n")
            self.expect(reader, "Error: Not UTF-8\n")
            lines = (b"x" * 4000 + b"\n") * 50
            for _ in range(100):  # 20 MB, more than any buffer takes
                speaker.sendall(lines)
                self.assertEqual(exactly(reader, len(lines)), lines)
            self.assertLess(len(rest(slow)), 100 * len(lines), "it was ended")


def resp(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class KeyValue(unittest.TestCase):
    def test_both_answer_the_same_bytes_whole_joined_and_byte_by_byte(self) -> None:
        exchange = [
            (resp(b"PING"), b"+PONG\r\n"),
            (resp(b"GET", b"key"), b"$-1\r\n"),
            (resp(b"SET", b"key", b"a\r\nvalue"), b"+OK\r\n"),
            (resp(b"get", b"key"), b"$8\r\na\r\nvalue\r\n"),
            (resp(b"SET", b"empty", b""), b"+OK\r\n"),
            (resp(b"GET", b"empty"), b"$0\r\n\r\n"),
            (resp(b"INCR", b"key"), b"-ERR value is not an integer or out of range\r\n"),
            (resp(b"INCR", b"count") * 2, b":1\r\n:2\r\n"),
            (resp(b"SET", b"count", b"-1") + resp(b"INCR", b"count"), b"+OK\r\n:0\r\n"),
            (resp(b"DEL", b"key") * 2, b":1\r\n:0\r\n"),
            (resp(b"DEL", b"count") + resp(b"DEL", b"empty"), b":1\r\n:1\r\n"),
            (resp(b"GET"), b"-ERR wrong number of arguments for 'get'\r\n"),
            (resp(b"NOPE"), b"-ERR unknown command 'nope'\r\n"),
            (b"*0\r\n" + resp(b"PING"), b"+PONG\r\n"),
            (b"PING\r\n", b"+PONG\r\n"),
            (b"\r\n  set  key value \r\nGET key\n", b"+OK\r\n$5\r\nvalue\r\n"),
            (b"DEL key\r\nNOPE\r\n", b":1\r\n-ERR unknown command 'nope'\r\n"),
        ]
        for name in "key_value_server", "key_value_server.py":
            with serving(name) as server:
                for cut, segments in cuts(*(asked for asked, _ in exchange)).items():
                    with self.subTest(name, cut=cut):
                        self.assertEqual(say(server.port, *segments), b"".join(answer for _, answer in exchange))

    def test_both_answer_what_is_not_resp_and_close(self) -> None:
        for name in "key_value_server", "key_value_server.py":
            with serving(name) as server:
                for wrong in (b"*1025\r\n", b"*-1\r\n", b"*x\r\n", b"*1\r\n$1048577\r\n", b"*1\r\nx\r\n",
                              b"*1\r\n$-1\r\n", b"*1\r\n$4\r\nPINGxx", b"*1\r\n$4\r\nPING\n\n"):
                    with self.subTest(name, wrong=wrong), connect(server.port) as client:
                        client.sendall(resp(b"PING") + wrong)
                        self.assertEqual(rest(client), b"+PONG\r\n-ERR Protocol error\r\n")

    @unittest.skipUnless(shutil.which("redis-cli"), "there is no redis-cli here")
    def test_redis_cli_speaks_with_both(self) -> None:
        for name in "key_value_server", "key_value_server.py":
            with self.subTest(name), serving(name) as server:
                done = subprocess.run(["redis-cli", "-p", str(server.port)], capture_output=True, timeout=WAIT_S,
                                      text=True, check=False,
                                      input='PING\nSET key "a value"\nGET key\nINCR n\nINCR n\nDEL key\nGET key\n')
                self.assertEqual((done.returncode, done.stdout), (0, "PONG\nOK\na value\n1\n2\n1\n\n"))

    @unittest.skipUnless(shutil.which("redis-benchmark"), "there is no redis-benchmark here")
    def test_redis_benchmark_measures_both(self) -> None:
        for name in "key_value_server", "key_value_server.py":
            with self.subTest(name), serving(name) as server:
                done = subprocess.run(["redis-benchmark", "-p", str(server.port), "-t", "ping,set,get,incr", "-c", "4",
                                       "-n", "200", "-P", "4", "--csv"], capture_output=True, timeout=WAIT_S, text=True,
                                      check=False)
                measured = re.findall(r'^"([A-Z_]+)"', done.stdout, re.MULTILINE)
                self.assertEqual(measured, ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"], done.stdout)


class Rude(unittest.TestCase):
    def test_one_who_is_silent_one_who_vanishes_and_bytes_that_are_no_text_harm_nobody(self) -> None:
        for name in SERVERS:
            with self.subTest(name), serving(name) as server, connect(server.port):
                rude = connect(server.port)
                rude.sendall(b"\xff\xfe\x80\n")
                reset(rude)
                if name in ANSWERS:
                    messages, answer = ANSWERS[name]
                    self.assertEqual(say(server.port, *messages), answer)
                elif name != "thread_per_client_chat":  # which sends nothing to a single client
                    with connect(server.port) as good:
                        self.assertNotEqual(good.recv(100), b"")

    def test_bytes_that_are_no_text_are_answered(self) -> None:
        for name in "tcp_server", "limited_server", "quit_server", "async_server", "chat_server":
            with self.subTest(name), serving(name) as server:
                self.assertNotEqual(say(server.port, b"\xff\xfe\n").replace(b"NICK", b""), b"")

    def test_a_datagram_that_is_no_text_or_empty_is_answered(self) -> None:
        with serving("udp_server", protocol="udp") as server, socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(WAIT_S)
            for datagram in b"\xff", b"", b"text":
                client.sendto(datagram, ("127.0.0.1", server.port))
                self.assertEqual(client.recv(100), b"Response from server")

    def test_a_server_that_is_killed_while_somebody_is_connected_starts_again_on_its_port(self) -> None:
        for name in SERVERS:
            with self.subTest(name):
                with serving(name) as server, connect(server.port) as client:
                    client.sendall(b"x\n")
                with serving(name, port=server.port), connect(server.port):
                    pass


class Table(unittest.TestCase):
    def test_it_has_all_programs_of_both_sides_and_their_lines(self) -> None:
        guide = (SOURCE / "docs/guide/python.md").read_text()
        rows = re.findall(r"^\| `(\w+) [^`]*` \|.*\| (\d+) \| (\d+) \|$", guide, re.MULTILINE)
        self.assertEqual(sorted(row[0] for row in rows), sorted(path.stem for path in PYTHONS.glob("*.py")))
        longer = {name for name, ours, pythons in rows if int(ours) > int(pythons)}
        self.assertEqual(longer, set(re.findall(r"^- `(\w+)`: ", guide, re.MULTILINE)), "with the reason")
        for name, ours, pythons in rows:
            with self.subTest(name):
                self.assertEqual(int(ours), count_lines(SOURCE / "examples" / f"{name}.cpp"))
                self.assertEqual(int(pythons), count_lines(PYTHONS / f"{name}.py"))


if __name__ == "__main__":
    assert OURS.is_dir(), "COAX_EXAMPLES must name the folder of the examples"
    unittest.main(verbosity=2)
