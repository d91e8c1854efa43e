#!/usr/bin/env python3
# Malformed TLS against tls_echo. On the same server a good client sends and receives all the time; nothing of what the
# others do may disturb it.

import contextlib
import ctypes
import ctypes.util
import hashlib
import hmac
import os
import pathlib
import random
import re
import resource
import select
import signal
import socket
import ssl
import struct
import threading
import time
import unittest
from collections.abc import Callable, Iterator

from support import LOCALHOST, WAIT_S, Program, has_asan
from tls import (Client, alert_in, authority, client_context, connect, folder, leaf, of_client, read_rest, records_of,
                 serving)

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
ALERT, HANDSHAKE, DATA = 21, 22, 23
KEY_UPDATE = b"\x18\0\0\1\0"
KEY_UPDATE_REQUESTED = b"\x18\0\0\1\1"
DELAY_MAX_S = 5.0  # of the good client's echo, on a busy machine; that of a single thread which is kept busy


class GoodClient:
    """Sends and receives in a thread until it is stopped."""

    def __init__(self, port: int) -> None:
        self.client = Client(port, client_context(files=of_client("good")))
        self.client.handshake()
        self.count = 0
        self.slowest_s = 0.0
        self.failure: BaseException | None = None
        self.is_stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            is_last = False
            while not is_last:
                is_last = self.is_stopped.wait(0.005)  # one more echo after what the others did
                data = os.urandom(1 + self.count * 997 % 20_000)
                begin = time.monotonic()
                self.client.send(data)
                assert self.client.exactly(len(data)) == data
                self.slowest_s = max(self.slowest_s, time.monotonic() - begin)
                self.count += 1
        except BaseException as failure:  # noqa: for the test's thread
            self.failure = failure

    def stop(self) -> None:
        self.is_stopped.set()
        self.thread.join(WAIT_S)
        with self.client:
            if self.failure:
                raise self.failure
            assert self.slowest_s < DELAY_MAX_S, self.slowest_s


class Crypto:
    """AES-128-GCM of libcrypto, which Python's ssl does not offer."""

    crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
    crypto.EVP_CIPHER_CTX_new.restype = crypto.EVP_aes_128_gcm.restype = ctypes.c_void_p

    @classmethod
    def seal(cls, key: bytes, nonce: bytes, head: bytes, plain: bytes) -> bytes:
        cipher = ctypes.c_void_p(cls.crypto.EVP_CIPHER_CTX_new())
        out = ctypes.create_string_buffer(len(plain) + 16)
        tag = ctypes.create_string_buffer(16)
        size = ctypes.c_int()
        kind = ctypes.c_void_p(cls.crypto.EVP_aes_128_gcm())
        try:
            assert cls.crypto.EVP_EncryptInit_ex(cipher, kind, None, key, nonce) == 1
            assert cls.crypto.EVP_EncryptUpdate(cipher, None, ctypes.byref(size), head, len(head)) == 1
            assert cls.crypto.EVP_EncryptUpdate(cipher, out, ctypes.byref(size), plain, len(plain)) == 1
            assert cls.crypto.EVP_EncryptFinal_ex(cipher, None, ctypes.byref(size)) == 1
            assert cls.crypto.EVP_CIPHER_CTX_ctrl(cipher, 0x10, 16, tag) == 1
        finally:
            cls.crypto.EVP_CIPHER_CTX_free(cipher)
        return out.raw[:len(plain)] + tag.raw


def expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446, section 7.1) with SHA-256, for at most 32 bytes."""
    label = b"tls13 " + label
    text = size.to_bytes(2) + bytes([len(label)]) + label + b"\0" + b"\1"
    return hmac.digest(secret, text, hashlib.sha256)[:size]


class Sealer(Client):
    """A client of TLS 1.3 that encrypts any record, right or wrong, after its handshake."""

    def __init__(self, port: int) -> None:
        context = client_context(TLS13, of_client("sealer"))
        log = folder() / f"secrets-{port}-{time.monotonic_ns()}"
        context.keylog_filename = str(log)
        super().__init__(port, context)
        self.handshake()
        self.send(b"first")
        assert self.exactly(5) == b"first"
        assert self.tls.cipher()[0] == "TLS_AES_128_GCM_SHA256"
        self.secret = bytes.fromhex(re.search(r"^CLIENT_TRAFFIC_SECRET_0 \w+ (\w+)$", log.read_text(), re.M)[1])
        self.number = 1

    def record(self, kind: int, plain: bytes, padding: int = 0) -> bytes:
        plain += bytes([kind]) + b"\0" * padding
        nonce = int.from_bytes(expand(self.secret, b"iv", 12)) ^ self.number
        self.number += 1
        head = bytes([DATA, 3, 3]) + (len(plain) + 16).to_bytes(2)
        return head + Crypto.seal(expand(self.secret, b"key", 16), nonce.to_bytes(12), head, plain)

    def key_update(self, message: bytes = KEY_UPDATE) -> bytes:
        record = self.record(HANDSHAKE, message)
        self.secret, self.number = expand(self.secret, b"traffic upd", 32), 0
        return record


def client_hello(port: int) -> bytes:
    with Client(port) as client:
        return client.flight()


def resident_bytes(program: Program) -> int:
    status = pathlib.Path(f"/proc/{program.process.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.M)[1]) * 1024


class HostileTest(unittest.TestCase):
    """A server with a good client, which must not be disturbed; the server must end with 0."""

    def setUp(self) -> None:
        self.port, self.server = self.enterContext(serving("tls_echo", leaf(), LOCALHOST, authority().certificate))
        good = GoodClient(self.port)
        self.addCleanup(good.stop)

    def connect(self) -> socket.socket:
        client = self.enterContext(socket.create_connection((LOCALHOST, self.port), WAIT_S))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def answer(self, data: bytes) -> bytes:
        """To these bytes and the end of the connection."""
        with self.connect() as client:
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
            except OSError:
                return b""  # the server has closed before
            return read_rest(client)


class ClientHellos(HostileTest):
    def test_one_may_be_cut_anywhere(self) -> None:
        hello = client_hello(self.port)
        self.assertGreater(len(hello), 200)
        for size in range(len(hello)):
            with self.subTest(size):
                self.assertNotEqual(self.answer(hello[:size])[:1], bytes([HANDSHAKE]))
        self.assertEqual(self.answer(hello)[:1], bytes([HANDSHAKE]))
        self.server.log.wait_for("the connection ended during the handshake", len(hello))

    def test_handshake_in_segments_of_one_byte_succeeds(self) -> None:
        for version in [TLS12, TLS13]:
            with self.subTest(version), Client(self.port, client_context(version, of_client("slow"))) as client:
                while flight := client.flight():
                    for byte in flight:
                        client.socket.sendall(bytes([byte]))
                client.tls.write(b"hello")
                for byte in client.unsent.read():
                    client.socket.sendall(bytes([byte]))
                self.assertEqual(client.exactly(5), b"hello")

    def test_handshake_in_records_of_one_byte_succeeds_or_gets_an_alert(self) -> None:
        hello = client_hello(self.port)[5:]
        answer = self.answer(b"".join(b"\x16\3\1\0\1" + bytes([byte]) for byte in hello))
        self.assertIn(answer[:1], [bytes([HANDSHAKE]), bytes([ALERT])])

    def test_wrong_records_get_an_alert(self) -> None:
        hello = client_hello(self.port)
        body = hello[5:]
        rows = [
            ("longer than 16 KiB", b"\x16\3\1\x48\1" + bytes(18_433), 22),
            ("longest length", b"\x16\3\1\xff\xff" + bytes(65_535), 22),
            ("empty", b"\x16\3\1\0\0" * 1000 + hello, 10),
            ("shorter than its message", b"\x16\3\1\0\4" + body, None),
            ("data instead", b"\x17\3\1" + hello[3:], 10),
            ("change cipher spec instead", b"\x14\3\1\0\1\1" + hello, 10),
            ("alert type with a message", b"\x15\3\1" + hello[3:], None),
            ("heartbeat", b"\x18\3\1\0\3\1\x40\0" + hello, 10),
            ("unknown type", b"\xff\3\1" + hello[3:], None),
            ("message that is too long", b"\x16\3\1\0\4\1\xff\xff\xff" + bytes(200), 47),
            ("message without content", b"\x16\3\1\0\4\1\0\0\0", 50),
            ("ServerHello", b"\x16\3\1" + hello[3:5] + b"\2" + body[1:], 10),
            ("Finished", b"\x16\3\1\0\x10\x14\0\0\x0c" + bytes(12), 10),
            ("version SSL 2", b"\x80\x2e\1\0\2\0\x15\0\0\0\x10" + bytes(37), None),
            ("second ClientHello", hello + hello, None),
        ]
        for name, data, alert in rows:
            with self.subTest(name):
                got = alert_in(self.answer(data))
                if alert is not None:
                    self.assertEqual(got, alert)

    def test_every_byte_of_one_may_be_changed(self) -> None:
        hello = client_hello(self.port)
        for at in range(len(hello)):
            with self.subTest(at):
                changed = bytearray(hello)
                changed[at] ^= 1 << at % 8
                self.assertIn(self.answer(bytes(changed))[:1], [b"", bytes([HANDSHAKE]), bytes([ALERT])])

    def test_random_bytes_end_their_connection(self) -> None:
        seed = int(os.environ.get("COAX_SEED", time.time_ns()))
        print(f"seed: COAX_SEED={seed}")
        source = random.Random(seed)
        hello = client_hello(self.port)
        for _ in range(100):
            self.answer(source.randbytes(source.randrange(1, 2_000)))
            self.answer(hello[:11] + source.randbytes(len(hello) - 11))
            self.answer(b"\x16\3\1" + source.randrange(1, 20_000).to_bytes(2) + source.randbytes(20_000))

    def test_long_message_in_many_records_is_not_kept(self) -> None:
        before = resident_bytes(self.server)
        record = b"\x16\3\1\x40\0"
        self.answer(record + b"\1\xff\xff\xff" + bytes(16_380) + (record + bytes(16_384)) * 1_000)
        if not has_asan():
            self.assertLess(resident_bytes(self.server) - before, 8_000_000)


class Alerts(HostileTest):
    def steps(self, version: ssl.TLSVersion) -> Iterator[Client]:
        """A client before its handshake, after each of its flights, and when it is open."""
        for flights in range(4):
            with Client(self.port, client_context(version, of_client("steps"))) as client:
                for _ in range(flights):
                    if data := client.flight():
                        client.socket.sendall(data)
                yield client

    def test_they_end_a_handshake_at_each_step(self) -> None:
        for version in [TLS12, TLS13]:
            for level, number in [(2, 40), (2, 0), (1, 0), (2, 255), (3, 40), (0, 0)]:
                for step, client in enumerate(self.steps(version)):
                    with self.subTest(version, level=level, number=number, step=step):
                        client.socket.sendall(bytes([ALERT, 3, 3, 0, 2, level, number]))
                        client.socket.shutdown(socket.SHUT_WR)
                        read_rest(client.socket)

    def test_malformed_ones_end_the_connection(self) -> None:
        hello = client_hello(self.port)
        for alert in [b"\x15\3\1\0\0", b"\x15\3\1\0\1\2", b"\x15\3\1\0\3\2\x28\0", b"\x15\3\1\0\4\1\0\1\0"]:
            with self.subTest(alert):
                self.assertNotEqual(self.answer(alert + hello)[:1], bytes([HANDSHAKE]))
                self.assertEqual(self.answer(hello + alert)[:1], bytes([HANDSHAKE]))  # and an encrypted alert

    def test_floods_of_warnings_end_the_connection(self) -> None:
        for version in [TLS12, TLS13]:
            for number in [90, 100, 112]:
                for step, client in enumerate(self.steps(version)):
                    with self.subTest(version, number=number, step=step):
                        client.socket.sendall(bytes([ALERT, 3, 3, 0, 2, 1, number]) * 1_000)
                        read_rest(client.socket)  # the end comes, although this side is open


class Handshakes(HostileTest):
    """Each record that the client sends is changed, in turn."""

    def test_changed_records_never_lead_to_data(self) -> None:
        files = of_client("changed")
        for version in [TLS12, TLS13]:
            context = client_context(version, files)
            with Client(self.port, context) as client:
                flights = []
                while flight := client.flight():
                    flights.append(records_of(flight))
                    client.socket.sendall(flight)
            self.assertGreaterEqual(len(flights), 2)
            for turn, flight in enumerate(flights):
                for index, record in enumerate(flight):
                    for at in sorted({0, 1, 2, 3, 4, 5, 6, 8, 9, len(record) // 2, len(record) - 1}):
                        if at < len(record):
                            with self.subTest(version, flight=turn, record=index, at=at):
                                self.change(context, turn, index, at)

    def change(self, context: ssl.SSLContext, turn: int, index: int, at: int) -> None:
        with Client(self.port, context) as client:
            for _ in range(turn):
                client.socket.sendall(client.flight())
            records = [bytearray(record) for record in records_of(client.flight())]
            records[index][min(at, len(records[index]) - 1)] ^= 0x41
            client.socket.sendall(b"".join(bytes(record) for record in records))
            makes_longer = at in {3, 4} or (records[index][0] == HANDSHAKE and at in {6, 7, 8})
            if makes_longer:  # then the server waits for more
                client.socket.shutdown(socket.SHUT_WR)
            failures = (OSError, AssertionError)
            is_ignored = at in {1, 2} and records[index][0] != DATA  # the version
            with contextlib.suppress(*failures) if is_ignored else self.assertRaises(failures):
                client.handshake()  # of TLS 1.3 the client's side is complete
                client.send(b"x")
                client.socket.shutdown(socket.SHUT_WR)
                self.assertEqual(client.recv(), b"x")

    def test_records_may_not_be_left_out_repeated_or_swapped(self) -> None:
        for version in [TLS12, TLS13]:
            context = client_context(version, of_client("order"))
            for name, change in [("left out", lambda records, at: records[:at] + records[at + 1:]),
                                 ("repeated", lambda records, at: records[:at + 1] + records[at:]),
                                 ("last first", lambda records, at: records[-1:] + records[:-1])]:
                for at in range(4):
                    with self.subTest(name, version=version, at=at), Client(self.port, context) as client:
                        client.socket.sendall(client.flight())
                        records = records_of(client.flight())
                        if at >= len(records):
                            continue
                        client.socket.sendall(b"".join(change(records, at)))
                        client.socket.shutdown(socket.SHUT_WR)
                        read_rest(client.socket)


class Records(HostileTest):
    """After a handshake with TLS 1.3."""

    def sealer(self) -> Sealer:
        return self.enterContext(Sealer(self.port))

    def assert_echoes(self, client: Sealer) -> None:
        client.socket.sendall(client.record(DATA, b"last"))
        self.assertEqual(client.exactly(4), b"last")

    def test_unusual_ones_are_accepted(self) -> None:
        rows = {
            "one byte": lambda client: client.record(DATA, b"x"),
            "16 KiB": lambda client: client.record(DATA, b"x" * 16_384),
            "empty": lambda client: client.record(DATA, b"") + client.record(DATA, b"x"),
            "padded": lambda client: client.record(DATA, b"x", 1000),
            "padded and empty": lambda client: client.record(DATA, b"", 16_000) + client.record(DATA, b"x"),
            "key update": lambda client: client.key_update() + client.record(DATA, b"x"),
            "key update, both": lambda client: client.key_update(KEY_UPDATE_REQUESTED) + client.record(DATA, b"x"),
            "60 key updates": lambda client: b"".join(client.key_update(KEY_UPDATE_REQUESTED) for _ in range(60)) +
            client.record(DATA, b"x"),
        }
        for name, records in rows.items():
            with self.subTest(name):
                client = self.sealer()
                client.socket.sendall(records(client))
                self.assertEqual(client.recv()[:1], b"x")
                self.assert_echoes(client)

    def test_malformed_ones_end_the_connection_with_an_alert(self) -> None:
        rows = {
            "above 16 KiB": (lambda client: client.record(DATA, b"x" * 16_385), "RECORD_OVERFLOW"),
            "padded above 16 KiB": (lambda client: client.record(DATA, b"x", 16_640), "ALERT"),
            "only zeros": (lambda client: client.record(0, bytes(10)), "UNEXPECTED_MESSAGE"),
            "unknown type": (lambda client: client.record(99, b"x"), "UNEXPECTED_MESSAGE"),
            "wrong tag": (lambda client: client.record(DATA, b"x")[:-1] + b"?", "BAD_RECORD_MAC"),
            "sent twice": (lambda client: client.record(DATA, b"x") * 2, "BAD_RECORD_MAC"),
            "plain data": (lambda client: b"\x17\3\3\0\1x", "ALERT"),
            "plain text": (lambda client: b"GET / HTTP/1.1\r\n\r\n", "ALERT"),
            "key update of value 2": (lambda client: client.record(HANDSHAKE, b"\x18\0\0\1\2"), "ILLEGAL_PARAMETER"),
            "long key update": (lambda client: client.record(HANDSHAKE, b"\x18\0\0\2\0\0"), "ALERT"),
            "cut key update": (lambda client: client.record(HANDSHAKE, b"\x18\0") + client.record(DATA, b"x"), "ALERT"),
            "message of 16 MiB": (lambda client: client.record(HANDSHAKE, b"\x18\xff\xff\xff\0"), "ALERT"),
            "ClientHello": (lambda client: client.record(HANDSHAKE, b"\1\0\0\1\0"), "UNEXPECTED_MESSAGE"),
            "Finished": (lambda client: client.record(HANDSHAKE, b"\x14\0\0\x20" + bytes(32)), "UNEXPECTED_MESSAGE"),
            "ticket": (lambda client: client.record(HANDSHAKE, b"\4\0\0\4" + bytes(4)), "UNEXPECTED_MESSAGE"),
        }
        for name, (records, alert) in rows.items():
            with self.subTest(name):
                client = self.sealer()
                client.socket.sendall(records(client))
                with self.assertRaises(ssl.SSLError) as error:
                    client.rest()
                self.assertIn(alert, error.exception.reason)

    def test_floods_without_data_end_the_connection(self) -> None:
        rows = {
            "empty": lambda client: client.record(DATA, b""),
            "padded and empty": lambda client: client.record(DATA, b"", 100),
            "key updates": lambda client: client.key_update(),
            "key updates, both": lambda client: client.key_update(KEY_UPDATE_REQUESTED),
            "warnings": lambda client: client.record(ALERT, b"\1\x5a"),
        }
        for name, record in rows.items():
            for batch in [1, 200]:
                with self.subTest(name, batch=batch):
                    client = self.sealer()
                    with self.assertRaises(OSError):  # an alert, or a reset
                        for _ in range(2_000 // batch):
                            client.socket.sendall(b"".join(record(client) for _ in range(batch)))
                            if select.select([client.socket], [], [], 0)[0]:
                                client.take_input()
                                with contextlib.suppress(ssl.SSLWantReadError):  # a key update of the server
                                    client.tls.read(1)
                        client.recv()

    def test_key_updates_with_data_in_between_are_not_limited(self) -> None:
        files = of_client("updating")
        with Program("openssl", "s_client", "-connect", f"{LOCALHOST}:{self.port}", "-tls1_3", "-CAfile",
                     authority().certificate, "-cert", files.certificate, "-key", files.key) as client:
            client.output.wait_for("Verify return code: 0 (ok)")
            for times in range(1, 61):
                client.send(b"K\n")
                client.log.wait_for("KEYUPDATE", times)
            client.send(b"hello\n")
            client.output.wait_for("hello")
            for times in range(61, 121):
                client.send(b"K\n")
                client.log.wait_for("KEYUPDATE", times)
            self.assertNotIn("without an end", self.server.log.text())


class Memory(HostileTest):
    """What connections that fail had allocated is freed. A buffer for sending takes 64 KiB, if all of it is used."""

    COUNT = 400
    KEPT_MAX = COUNT * 2 * 1024

    def assert_freed(self, fail: Callable[[], None], connections: int = 1) -> None:
        for _ in range(self.COUNT // 2 // connections):
            fail()
        before = resident_bytes(self.server)
        for _ in range(self.COUNT // connections):
            fail()
        if not has_asan():
            self.assertLess(resident_bytes(self.server) - before, self.KEPT_MAX)

    def test_connections_that_fail_while_they_send_leave_nothing(self) -> None:
        def fail() -> None:
            with Sealer(self.port) as client:
                client.socket.sendall(client.record(DATA, b"x" * 8_000) * 2)  # the second one is refused
                read_rest(client.socket)

        self.assert_freed(fail)

    def test_connections_that_are_reset_in_the_handshake_leave_nothing(self) -> None:
        hello = client_hello(self.port)

        def fail() -> None:
            self.server.send_signal(signal.SIGSTOP)  # it reads the ClientHello, and its answer fails
            os.waitid(os.P_PID, self.server.process.pid, os.WSTOPPED | os.WNOWAIT)
            for _ in range(20):
                with socket.create_connection((LOCALHOST, self.port), WAIT_S) as client:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.sendall(hello)
            self.server.send_signal(signal.SIGCONT)
            Sealer(self.port).socket.close()  # it is served after them

        self.assert_freed(fail, 20)


class Stalled(HostileTest):
    COUNT = 2_000  # as many as a server admits
    PER_HANDSHAKE_MAX = 64 * 1024  # OpenSSL has three buffers of 16 KiB in a handshake

    def raise_limits(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * self.COUNT
        if hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest(f"at most {hard} file descriptors")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.prlimit(self.server.process.pid, resource.RLIMIT_NOFILE, (max(soft, wanted), hard))

    def stall(self, hello: bytes) -> list[socket.socket]:
        """Clients that do not go on after the server's answer."""
        clients = []
        for number in range(self.COUNT):
            source = f"127.0.{1 + number // 250}.{1 + number % 250}"
            clients.append(self.enterContext(
                socket.create_connection((LOCALHOST, self.port), WAIT_S, source_address=(source, 0))))
            clients[-1].sendall(hello)
        for client in clients:
            self.assertEqual(client.recv(1), bytes([HANDSHAKE]))
        return clients

    def test_many_handshakes_take_bounded_memory_and_end_after_their_limit(self) -> None:
        self.raise_limits()
        hello = client_hello(self.port)
        self.server.log.wait_for("the connection ended during the handshake", 2)  # of that, and of serving()
        before = resident_bytes(self.server)
        begin = time.monotonic()
        clients = self.stall(hello)
        most = resident_bytes(self.server)
        with connect(self.port, client_context(None, of_client("good"))) as good:  # it takes the place of the oldest
            good.sendall(b"hello")
            self.assertEqual(good.recv(100), b"hello")
        self.server.log.wait_for("it was the oldest of too many at once")
        for client in clients:
            read_rest(client)
        self.assertGreater(time.monotonic() - begin, 9.5)
        self.server.log.wait_for("not complete after 10s", self.COUNT - 1)
        for client in clients:
            client.close()
        for client in self.stall(hello):  # admitted again, in the memory of the others
            client.close()
        again = resident_bytes(self.server)
        print(f"stalled handshakes: {(most - before) // self.COUNT} bytes each, {(again - before) // self.COUNT} again")
        if not has_asan():
            self.assertLess((most - before) // self.COUNT, self.PER_HANDSHAKE_MAX)
            self.assertLess((again - before) // self.COUNT, self.PER_HANDSHAKE_MAX)


if __name__ == "__main__":
    unittest.main()
