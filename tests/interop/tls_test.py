#!/usr/bin/env python3
# TLS with programs that are not ours: Python's ssl, openssl, curl and node as clients of the TLS examples.
# tls_client_test.py has the other direction.

import asyncio
import contextlib
import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import unittest

from support import LOCALHOST, WAIT_S, Program
from tls import (Client, authority, client_context, connect, folder, issue, leaf, of_client, read_rest,
                 serving)

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
# TLS 1.2 with forward secrecy and authenticated encryption, by the kind of the server's key.
SUITES_12 = {kind: [f"ECDHE-{key}-{cipher}" for cipher in ["AES128-GCM-SHA256", "AES256-GCM-SHA384",
                                                           "CHACHA20-POLY1305"]]
             for kind, key in [("ec", "ECDSA"), ("ed25519", "ECDSA"), ("rsa", "RSA")]}
SUITES_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]


def s_client(port: int, *words: str, given: bytes = b"hello\n") -> subprocess.CompletedProcess[bytes]:
    """openssl s_client up to the end of the connection."""
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"{LOCALHOST}:{port}", "-CAfile", authority().certificate,
         "-verify_return_error", "-servername", "localhost", "-verify_hostname", "localhost", "-ign_eof", *words],
        input=given, capture_output=True, timeout=WAIT_S, check=False)


class Python(unittest.TestCase):
    """Clients of Python's ssl."""

    def test_every_kind_of_key_works_with_both_versions(self) -> None:
        for kind, version in itertools.product(SUITES_12, [TLS12, TLS13]):
            with self.subTest(kind, version=version), serving("tls_server", leaf(kind)) as (port, server):
                context = client_context(version)
                context.set_alpn_protocols(["h2", "http/1.1"])
                with connect(port, context) as client:
                    self.assertEqual(client.version(), version.name.replace("_", "."))
                    self.assertIn(("DNS", "localhost"), client.getpeercert()["subjectAltName"])
                    self.assertIn(client.cipher()[0], SUITES_12[kind] if version == TLS12 else SUITES_13)
                    self.assertIsNone(client.selected_alpn_protocol())
                    self.assertIsNone(client.compression())
                    client.sendall(b"a \x1b[31m line")
                    self.assertEqual(client.recv(100), b"Secure response")
                    self.assertEqual(client.recv(100), b"")  # a close_notify, or it would raise
                server.output.wait_for(r"Received: a \x1B[31m line")

    def test_long_data_is_echoed(self) -> None:
        data = os.urandom(4_000_000)
        with serving("tls_echo") as (port, _):
            for version in [TLS12, TLS13]:
                with self.subTest(version):
                    self.assertEqual(asyncio.run(asyncio.wait_for(self.exchange(port, version, data), WAIT_S)), data)

    async def exchange(self, port: int, version: ssl.TLSVersion, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(LOCALHOST, port, ssl=client_context(version),
                                                       server_hostname="localhost")
        writer.write(data)
        echo = await reader.readexactly(len(data))
        writer.close()
        await writer.wait_closed()
        return echo

    def test_start_tls_of_asyncio_switches_a_connection(self) -> None:
        async def talk(port: int) -> list[bytes]:
            reader, writer = await asyncio.open_connection(LOCALHOST, port)
            lines = [await reader.readline()]
            for command in [b"STATUS", b"nonsense", b"STARTTLS"]:
                writer.write(command + b"\r\n")
                lines.append(await reader.readline())
            await writer.start_tls(client_context(), server_hostname="localhost")
            for command in [b"STATUS", b"STARTTLS", b"QUIT"]:
                writer.write(command + b"\r\n")
                lines.append(await reader.readline())
            lines.append(await reader.read())
            writer.close()
            return lines

        with serving("starttls_server") as (port, _):
            self.assertEqual(asyncio.run(asyncio.wait_for(talk(port), WAIT_S)), [
                b"220 ready\r\n", b"211 plain text\r\n", b"500 STARTTLS, STATUS or QUIT\r\n", b"220 begin TLS\r\n",
                b"211 encrypted\r\n", b"500 STARTTLS, STATUS or QUIT\r\n", b"221 goodbye\r\n", b""])

    def test_plain_text_behind_starttls_ends_the_connection(self) -> None:
        with serving("starttls_server") as (port, server):
            with socket.create_connection((LOCALHOST, port), WAIT_S) as client:
                client.sendall(b"STARTTLS\r\nSTATUS\r\n")
                self.assertEqual(read_rest(client), b"220 ready\r\n220 begin TLS\r\n")
            server.log.wait_for("it sent bytes between the command that begins TLS and the handshake")

    def test_server_goes_on_receiving_after_its_own_last_byte(self) -> None:
        for version in [TLS12, TLS13]:
            with self.subTest(version), serving("tls_echo") as (port, server), \
                    Client(port, client_context(version)) as client:
                client.handshake()
                client.send(b"x" * 100_000)
                client.send_end()
                client.socket.shutdown(socket.SHUT_WR)
                self.assertEqual(client.rest(), b"x" * 100_000)
                self.assertNotIn("close_notify", server.log.text())

    def test_connection_that_ends_without_a_close_notify_gets_its_echo_and_is_logged(self) -> None:
        with serving("tls_echo") as (port, server), Client(port) as client:
            client.handshake()
            client.send(b"x" * 100_000)
            client.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(client.exactly(100_000), b"x" * 100_000)
            self.assertEqual(read_rest(client.socket)[-100:].count(b"x"), 0)
            server.log.wait_for("the connection ended without the end of TLS (close_notify): bytes may be missing")


class OpenSsl(unittest.TestCase):
    """openssl s_client."""

    def assert_served(self, ran: subprocess.CompletedProcess[bytes]) -> str:
        output = (ran.stdout + ran.stderr).decode()
        self.assertEqual(ran.returncode, 0, output)
        self.assertIn("Secure response", output)
        self.assertNotIn("unexpected eof", output)
        return output

    def assert_refused(self, ran: subprocess.CompletedProcess[bytes], reason: str) -> None:
        output = (ran.stdout + ran.stderr).decode()
        self.assertNotEqual(ran.returncode, 0, output)
        self.assertNotIn("Secure response", output)
        self.assertIn(reason, output)

    def test_every_allowed_suite_works(self) -> None:
        for kind, suites in SUITES_12.items():
            with serving("tls_server", leaf(kind)) as (port, _):
                for suite in suites:
                    with self.subTest(suite, kind=kind):
                        output = self.assert_served(s_client(port, "-tls1_2", "-cipher", suite))
                        self.assertIn(f"New, TLSv1.2, Cipher is {suite}\n", output)
                for suite in SUITES_13:
                    with self.subTest(suite, kind=kind):
                        output = self.assert_served(s_client(port, "-tls1_3", "-ciphersuites", suite))
                        self.assertIn(f"New, TLSv1.3, Cipher is {suite}\n", output)
                self.assertIn("Secure Renegotiation IS supported", output := self.assert_served(
                    s_client(port, "-tls1_2")))
                self.assertIn("Compression: NONE", output)

    def test_suites_without_forward_secrecy_or_authenticated_encryption_are_refused(self) -> None:
        for kind, suites in {
                "rsa": ["ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA", "AES128-SHA",
                        "AES128-GCM-SHA256", "AES256-GCM-SHA384", "DHE-RSA-AES128-GCM-SHA256",
                        "DHE-RSA-CHACHA20-POLY1305", "AES128-CCM", "NULL-SHA256", "aNULL"],
                "ec": ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-CCM8",
                       "ECDHE-ECDSA-CAMELLIA128-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"]}.items():
            with serving("tls_server", leaf(kind)) as (port, server):
                for times, suite in enumerate(suites, 1):
                    with self.subTest(suite, kind=kind):
                        self.assert_refused(s_client(port, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0"),
                                            "alert handshake failure")
                        server.log.wait_for("no cipher suite in common", times)
        with serving("tls_server") as (port, _):
            self.assert_refused(s_client(port, "-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"),
                                "alert handshake failure")

    def test_old_versions_are_refused(self) -> None:
        with serving("tls_server", leaf("rsa")) as (port, server):
            for times, version in enumerate(["-tls1", "-tls1_1"], 1):
                with self.subTest(version):
                    self.assert_refused(s_client(port, version, "-cipher", "ALL:@SECLEVEL=0"),
                                        "alert protocol version")
                    server.log.wait_for("no version of TLS in common", times)

    def test_three_groups_are_allowed(self) -> None:
        with serving("tls_server", leaf("rsa")) as (port, _):  # of TLS 1.2 the groups are those of EC keys, too
            for version in ["-tls1_2", "-tls1_3"]:
                for group, name in [("X25519", "X25519, 253"), ("P-256", "ECDH, prime256v1, 256"),
                                    ("P-384", "ECDH, secp384r1, 384")]:
                    with self.subTest(version, group=group):
                        output = self.assert_served(s_client(port, version, "-groups", group))
                        self.assertIn(f"Server Temp Key: {name} bits", output)
            for version, group in [("-tls1_2", "X448"), ("-tls1_2", "P-521"), ("-tls1_3", "X448"),
                                   ("-tls1_3", "P-521"), ("-tls1_3", "ffdhe2048")]:
                with self.subTest(version, refused=group):
                    # A client whose groups are all unknown gets no ECDHE, and no suite is left.
                    self.assert_refused(s_client(port, version, "-groups", group), "alert handshake failure")
            self.assertIn("Server Temp Key: ECDH, prime256v1", self.assert_served(
                s_client(port, "-tls1_3", "-groups", "X448:P-256")))  # by way of a HelloRetryRequest

    def test_sessions_are_resumed(self) -> None:
        path = str(folder() / "session.pem")
        with serving("tls_server") as (port, _):
            for version, name in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")]:
                with self.subTest(version):
                    pathlib.Path(path).unlink(missing_ok=True)
                    self.assertIn(f"New, {name}", self.assert_served(s_client(port, version, "-sess_out", path)))
                    for _ in range(3):
                        self.assertIn(f"Reused, {name}", self.assert_served(
                            s_client(port, version, "-sess_in", path, "-sess_out", path)))
            output = self.assert_served(s_client(port, "-tls1_3", "-sess_in", path, "-early_data",
                                                 authority().certificate))
            self.assertIn("Early data was not sent", output)

    def test_session_of_another_server_is_not_resumed(self) -> None:
        path = str(folder() / "other-session.pem")
        for version, name in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")]:
            with self.subTest(version), serving("tls_server") as (port, _), serving("tls_server") as (other, _):
                self.assert_served(s_client(port, version, "-sess_out", path))
                self.assertIn(f"New, {name}", self.assert_served(s_client(other, version, "-sess_in", path)))

    def test_short_records_are_sent_to_those_who_ask_for_them(self) -> None:
        """max_fragment_length (RFC 6066)."""
        data = bytes(range(65, 91)) * 400
        with serving("tls_echo") as (port, _):
            for length, version in itertools.product(["512", "1024", "2048", "4096"], ["-tls1_2", "-tls1_3"]):
                with self.subTest(length, version=version), subprocess.Popen(
                        ["openssl", "s_client", "-connect", f"{LOCALHOST}:{port}", "-quiet", version, "-maxfraglen",
                         length], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
                    assert client.stdin and client.stdout
                    client.stdin.write(data + b"\n")
                    client.stdin.flush()
                    self.assertEqual(client.stdout.read(len(data) + 1), data + b"\n")
                    client.kill()

    def test_renegotiation_is_refused(self) -> None:
        with serving("tls_echo") as (port, _), \
                Program("openssl", "s_client", "-connect", f"{LOCALHOST}:{port}", "-tls1_2", "-CAfile",
                        authority().certificate) as client:
            client.output.wait_for("Extended master secret")
            client.send(b"R\n")
            client.log.wait_for("no renegotiation")


class Others(unittest.TestCase):
    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl_makes_a_handshake(self) -> None:
        with serving("tls_server") as (port, server):
            for times, version in enumerate(["1.2", "1.3"], 1):
                with self.subTest(version):
                    ran = subprocess.run(
                        ["curl", "--silent", "--show-error", "--http0.9", "--noproxy", "*", "--tlsv" + version,
                         "--tls-max", version, "--cacert", authority().certificate, "--connect-to",
                         f"localhost:{port}:{LOCALHOST}:{port}", f"https://localhost:{port}/"],
                        capture_output=True, timeout=WAIT_S, check=False)
                    self.assertEqual((ran.returncode, ran.stdout), (0, b"Secure response"), ran.stderr)
                    server.output.wait_for("Received: GET / HTTP/1.1", times)

    @unittest.skipUnless(shutil.which("node"), "node is not installed")
    def test_node_talks(self) -> None:
        script = """
            const [port, ca, version] = process.argv.slice(1);
            const client = require('tls').connect({
              host: '127.0.0.1', port, servername: 'localhost', ca: require('fs').readFileSync(ca),
              minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'],
            }, () => client.end('hello'));
            let text = '';
            client.on('data', (data) => text += data);
            client.on('end', () => console.log(JSON.stringify(
              [client.authorized, client.alpnProtocol, client.getProtocol(), text])));"""
        for example, answer in [("tls_server", "Secure response"), ("tls_echo", "hello")]:
            with serving(example, leaf("rsa")) as (port, _):
                for version in ["TLSv1.2", "TLSv1.3"]:
                    with self.subTest(example, version=version):
                        ran = subprocess.run(["node", "-e", script, str(port), authority().certificate, version],
                                             capture_output=True, timeout=WAIT_S, check=False)
                        self.assertEqual(ran.returncode, 0, ran.stderr)
                        self.assertEqual(json.loads(ran.stdout), [True, False, version, answer])


class ClientCertificates(unittest.TestCase):
    """tls_echo with a CLIENT_CA."""

    def setUp(self) -> None:
        self.port, self.server = self.enterContext(
            serving("tls_echo", leaf(), LOCALHOST, authority().certificate))

    def refusal(self, context: ssl.SSLContext) -> str:
        """Of TLS 1.3 the client learns of it with its first receive."""
        with self.assertRaises(ssl.SSLError) as error, connect(self.port, context) as client:
            client.sendall(b"x")
            client.recv(100)
        return error.exception.reason

    def test_name_is_printed(self) -> None:
        for version in [TLS12, TLS13]:
            with self.subTest(version), connect(
                    self.port, client_context(version, of_client(f"alice \x1b[31m {version.name}"))) as client:
                client.sendall(b"hello")
                self.assertEqual(client.recv(100), b"hello")
                self.server.output.wait_for(rf"alice \x1B[31m {version.name} has connected")

    def test_two_common_names_are_no_name(self) -> None:
        files = issue(authority(), subject="/CN=alice/CN=admin", names="", purpose="clientAuth")
        with connect(self.port, client_context(TLS13, files)) as client:
            client.sendall(b"hello")
            self.assertEqual(client.recv(100), b"hello")
        self.server.output.wait_for("CN=admin,CN=alice has connected")

    def test_missing_one_is_refused(self) -> None:
        self.assertEqual(self.refusal(client_context(TLS13)), "TLSV13_ALERT_CERTIFICATE_REQUIRED")
        self.server.log.wait_for("it sent no client certificate")
        self.assertEqual(self.refusal(client_context(TLS12)), "SSLV3_ALERT_HANDSHAKE_FAILURE")
        self.server.log.wait_for("it sent no client certificate", 2)

    def test_wrong_ones_are_refused_and_the_log_says_why(self) -> None:
        stranger = issue(subject="/CN=Other CA", is_authority=True)
        rows = [
            (of_client("mallory", stranger), "TLSV1_ALERT_UNKNOWN_CA", "the certificate of mallory was issued by"),
            (of_client("old", days=(-30, -3)), "SSLV3_ALERT_CERTIFICATE_EXPIRED",
             "the certificate of old expired 3 days ago"),
            (of_client("early", days=(2, 30)), "SSLV3_ALERT_BAD_CERTIFICATE",
             "the certificate of early is not valid before"),
            (leaf(), "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
             "is not made for clients (extendedKeyUsage)"),
            (issue(subject="/CN=self", names="", purpose="clientAuth"), "TLSV1_ALERT_UNKNOWN_CA",
             "the certificate of self is self-signed"),
        ]
        for version, (files, alert, text) in itertools.product([TLS12, TLS13], rows):
            with self.subTest(text, version=version):
                self.assertEqual(self.refusal(client_context(version, files)), alert)
                self.server.log.wait_for(text, 1 if version == TLS12 else 2)

    def test_one_of_an_intermediate_authority_needs_the_chain(self) -> None:
        middle = issue(authority(), subject="/CN=Middle CA", is_authority=True)
        files = of_client("bob", middle)
        self.assertEqual(self.refusal(client_context(TLS13, files)), "TLSV1_ALERT_UNKNOWN_CA")
        with connect(self.port, client_context(TLS13, files.followed_by(middle))) as client:
            client.sendall(b"hello")
            self.assertEqual(client.recv(100), b"hello")

    def test_resumed_session_keeps_the_name(self) -> None:
        context = client_context(TLS13, of_client("carol"))
        session = None
        for times in range(1, 4):
            plain = socket.create_connection((LOCALHOST, self.port), WAIT_S)
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as client:
                client.sendall(b"hello")
                self.assertEqual(client.recv(100), b"hello")
                self.assertEqual(client.session_reused, times != 1)
                session = client.session
            self.server.output.wait_for("carol has connected", times)

    def test_message_of_certificates_is_limited(self) -> None:
        middle = issue(authority(), subject="/CN=Middle CA", is_authority=True)
        size = len(ssl.PEM_cert_to_DER_cert(pathlib.Path(middle.certificate).read_text()))
        good = of_client("dave", middle).followed_by(*[middle] * (100_000 // size))
        with connect(self.port, client_context(TLS13, good)) as client:
            client.sendall(b"hello")
            self.assertEqual(client.recv(100), b"hello")
        long = of_client("erin", middle).followed_by(*[middle] * (300_000 // size))
        for times, version in enumerate([TLS12, TLS13], 1):
            with self.subTest(version), self.assertRaises((ssl.SSLError, OSError)):
                with connect(self.port, client_context(version, long)) as client:
                    client.sendall(b"x")
                    self.assertEqual(client.recv(100), b"nothing")
            self.server.log.wait_for("it sent a message that is too long", times)


class BadClients(unittest.TestCase):
    """What is no TLS ends only its own connection, with a line in the log."""

    def setUp(self) -> None:
        self.port, self.server = self.enterContext(serving("tls_server"))
        self.addCleanup(self.assert_serves)

    def assert_serves(self) -> None:
        with connect(self.port) as client:
            client.sendall(b"hello")
            self.assertEqual(client.recv(100), b"Secure response")

    def answer(self, data: bytes) -> bytes:
        with socket.create_connection((LOCALHOST, self.port), WAIT_S) as client:
            client.sendall(data)
            return read_rest(client)

    def test_plain_text_ends_the_connection_with_an_answer(self) -> None:
        for times, data in enumerate([b"hello, not TLS\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"EHLO a\r\n", b"\n"], 1):
            with self.subTest(data[:20]):
                self.assertEqual(self.answer(data), b"This port is for TLS.\n")
                self.server.log.wait_for("it sent plain text, not TLS", times)
        for times, data in enumerate([b"\0" * 100, b"\xff" * 1000], 1):
            with self.subTest(data[:20]):
                self.assertEqual(self.answer(data), b"")
                self.server.log.wait_for("it does not speak TLS", times)

    def test_http_request_gets_an_answer_in_plain_text(self) -> None:
        for times, data in enumerate([b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST /x HTTP/1.0\r\n\r\n",
                                      b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"PUT /x HTTP/1.1\r\n\r\n",
                                      b"OPTIONS * HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"], 1):
            with self.subTest(data):
                answer = self.answer(data)
                head, _, body = answer.partition(b"\r\n\r\n")
                self.assertTrue(head.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer)
                self.assertEqual(int(re.search(rb"Content-Length: (\d+)", head)[1]), len(body))
                self.server.log.wait_for("it speaks HTTP, not TLS", times)

    def test_http_request_byte_by_byte_gets_it_too(self) -> None:
        with socket.create_connection((LOCALHOST, self.port), WAIT_S) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError):
                for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n":
                    client.sendall(bytes([byte]))
            self.assertTrue(read_rest(client).startswith(b"HTTP/1.1 400 Bad Request\r\n"))

    def test_client_that_leaves_in_its_handshake_is_logged(self) -> None:
        with Client(self.port) as client:
            client.socket.sendall(client.flight()[:100])
        self.server.log.wait_for("the connection ended during the handshake", 2)  # the first was of serving()
        socket.create_connection((LOCALHOST, self.port), WAIT_S).close()
        self.server.log.wait_for("the connection ended during the handshake", 3)

    def test_reset_ends_only_its_connection(self) -> None:
        with Client(self.port) as client:
            client.socket.sendall(client.flight()[:100])
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with Client(self.port) as client:
            client.handshake()
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


if __name__ == "__main__":
    unittest.main()
