#!/usr/bin/env python3
# TLS clients of ours with servers that are not: Python's ssl and openssl, which certificates are refused in which
# words, and servers that break off.

import contextlib
import dataclasses
import os
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import unittest
from collections.abc import Callable

import support
from support import LOCALHOST, WAIT_S, Program, Server
from tls import EXAMPLES, Files, authority, folder, issue, leaf, openssl, read_rest

TLS11, TLS12, TLS13 = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
GREETING = b"Hello, server!"
HANDSHAKE = "TLS handshake with"


@dataclasses.dataclass
class Ran:
    code: int
    output: str
    log: str


def run_client(address: str, ca_file: str | None = None, name: str = "localhost") -> Ran:
    host, port = address.rsplit(":", 1)
    ran = subprocess.run([str(EXAMPLES / "tls_client"), host, port, ca_file or authority().certificate, name],
                         capture_output=True, timeout=WAIT_S, check=False, env=support.environment())
    return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())


def context_with(files: Files | None = None, version: ssl.TLSVersion | None = None,
                 ciphers: str | None = None) -> ssl.SSLContext:
    """Of a server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # an end without a close_notify is an error
    context.set_ciphers(ciphers or "DEFAULT:@SECLEVEL=0")  # our client is to refuse what is weak
    if version:
        context.minimum_version = context.maximum_version = version
    files = files or leaf()
    context.load_cert_chain(files.certificate, files.key)
    return context


def answer_over_tls(context: ssl.SSLContext, answer: bytes = b"hello") -> Callable[[socket.socket], None]:
    """A server that reads the greeting up to its end and answers; a client that refuses is no failure of its."""
    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError, ConnectionError), \
                context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as tls:
            assert read_rest(tls) == GREETING
            tls.sendall(answer)
            tls.unwrap()
    return serve


class ClientTest(unittest.TestCase):
    def ask(self, serve: Callable[[socket.socket], None], ca_file: str | None = None, name: str = "localhost") -> Ran:
        with Server(serve) as server:
            return run_client(server.address, ca_file, name)

    def assert_answered(self, ran: Ran, answer: str = "hello") -> None:
        self.assertEqual(ran, Ran(0, f"Received: {answer}\n", ""))

    def assert_fails(self, ran: Ran, reason: str, operation: str = HANDSHAKE) -> None:
        """One line on standard error."""
        self.assertIn(ran.code, range(1, 128), ran)
        self.assertEqual(ran.output, "")
        self.assertRegex(ran.log, rf"\A[^\n]*{operation} {LOCALHOST}:\d+: [^\n]+\n\Z")
        self.assertIn(reason, ran.log)
        self.assertTrue(ran.log[:-1].isprintable(), ran.log)


class Certificates(ClientTest):
    """Which are accepted."""

    def ask_with(self, files: Files, ca_file: str | None = None, name: str = "localhost") -> Ran:
        return self.ask(answer_over_tls(context_with(files)), ca_file, name)

    def test_good_ones_of_every_kind_of_key_work_with_both_versions(self) -> None:
        for kind in ["ec", "rsa", "ed25519"]:
            for version in [TLS12, TLS13]:
                with self.subTest(kind, version=version):
                    self.assert_answered(self.ask(answer_over_tls(context_with(leaf(kind), version))))

    def test_names_and_addresses_are_those_of_the_subject_alt_name(self) -> None:
        for name in ["localhost", "LocalHost", "localhost.", "127.0.0.1"]:
            with self.subTest(name):
                self.assert_answered(self.ask_with(leaf(), name=name))
        for name in ["example.org", "127.0.0.2", "::1", "localhost.example.org"]:
            with self.subTest(name):
                self.assert_fails(self.ask_with(leaf(), name=name),
                                  f"the certificate is for localhost, 127.0.0.1, you asked for {name}\n")
        only_address = issue(authority(), names="IP:127.0.0.1,IP:::1")
        self.assert_answered(self.ask_with(only_address, name="::1"))
        self.assert_fails(self.ask_with(only_address), "the certificate is for 127.0.0.1, ::1, you asked for localhost")
        only_name = issue(authority(), names="DNS:localhost,DNS:127.0.0.1")
        self.assert_fails(self.ask_with(only_name, name="127.0.0.1"),
                          "the certificate is for localhost, 127.0.0.1, you asked for 127.0.0.1")

    def test_common_name_and_parts_of_a_wildcard_are_no_names(self) -> None:
        self.assert_fails(self.ask_with(issue(authority(), names="")),
                          "the certificate has no names (subjectAltName), you asked for localhost")
        mail = issue(authority(), names="email:localhost,URI:https://localhost")
        self.assert_fails(self.ask_with(mail), "the certificate has no names (subjectAltName)")
        whole = issue(authority(), names="DNS:*.example.org")
        self.assert_answered(self.ask_with(whole, name="a.example.org"))
        for names, name in [("*.example.org", "example.org"), ("*.example.org", "a.b.example.org"),
                            ("f*.example.org", "foo.example.org"), ("*o.example.org", "foo.example.org"),
                            ("a.*.org", "a.example.org"), ("*", "localhost"), ("*.org", "example.org"),
                            ("**.example.org", "a.example.org")]:
            with self.subTest(names, name=name):
                self.assert_fails(self.ask_with(issue(authority(), names=f"DNS:{names}"), name=name),
                                  f"the certificate is for {names}, you asked for {name}")

    def test_dates_and_purpose_are_checked(self) -> None:
        for options, reason in [
                ({"days": (-30, -3)}, "the certificate of localhost expired 3 days ago ("),
                ({"days": (-30, -1 / 48)}, "the certificate of localhost expired 30 minutes ago ("),
                ({"days": (2, 30)}, "the certificate of localhost is not valid before "),
                ({"purpose": "clientAuth"}, "is not made for servers (extendedKeyUsage)"),
                ({"purpose": "codeSigning"}, "is not made for servers (extendedKeyUsage)")]:
            with self.subTest(reason):
                self.assert_fails(self.ask_with(issue(authority(), **options)), reason)
        old = issue(subject="/CN=Old CA", is_authority=True, days=(-30, -3))
        self.assert_fails(self.ask_with(issue(old), old.certificate), "the issuer CN=Old CA expired 3 days ago (")

    def test_unknown_issuers_are_refused(self) -> None:
        other = issue(subject="/CN=Other CA", is_authority=True)
        self.assert_fails(self.ask_with(issue(other)),
                          "the certificate of localhost was issued by CN=Other CA, which is not trusted")
        self.assert_fails(self.ask_with(issue(other).followed_by(other)), "the authority CN=Other CA is not trusted")
        same_name = issue(subject="/CN=Test CA", is_authority=True)
        self.assertEqual(self.ask_with(issue(same_name)).code, 1)
        own = issue()
        self.assert_fails(self.ask_with(own), "the certificate of localhost is self-signed")
        self.assert_answered(self.ask_with(own, own.certificate))
        of_leaf = issue(leaf())  # a leaf that issues
        self.assertEqual(self.ask_with(of_leaf.followed_by(leaf())).code, 1)

    def test_intermediate_certificates_are_needed_and_may_be_the_anchor(self) -> None:
        middle = issue(authority(), subject="/CN=Middle CA", is_authority=True)
        files = issue(middle)
        reason = ("CN=Middle CA, which is not trusted; if it is the right one, trust it with its file as the CA file; "
                  "or the server does not send an intermediate certificate")
        self.assert_fails(self.ask_with(files), reason)
        self.assert_answered(self.ask_with(files.followed_by(middle)))
        self.assert_answered(self.ask_with(files.followed_by(middle, authority())))
        self.assert_answered(self.ask_with(files, middle.certificate))
        self.assert_fails(self.ask_with(leaf(), middle.certificate), "CN=Test CA, which is not trusted")

    def test_weak_keys_and_signatures_are_refused(self) -> None:
        self.assert_fails(self.ask_with(issue(authority(), kind="rsa1024")), "is too short: RSA 1024")
        self.assert_fails(self.ask_with(issue(authority(), digest="sha1")), "has a weak signature: ecdsa-with-SHA1")
        short = issue(subject="/CN=Short CA", is_authority=True, kind="rsa1024")
        self.assert_fails(self.ask_with(issue(short), short.certificate),
                          "the key of the issuer CN=Short CA is too short: RSA 1024")

    def test_message_of_certificates_is_limited(self) -> None:
        middle = issue(authority(), subject="/CN=Middle CA", is_authority=True)
        size = len(ssl.PEM_cert_to_DER_cert(pathlib.Path(middle.certificate).read_text()))
        for version in [TLS12, TLS13]:
            with self.subTest(version):
                good = issue(middle).followed_by(*[middle] * (100_000 // size))
                self.assert_answered(self.ask(answer_over_tls(context_with(good, version))))
                long = issue(middle).followed_by(*[middle] * (300_000 // size))
                self.assert_fails(self.ask(answer_over_tls(context_with(long, version))),
                                  "it sent a message that is too long")

    def test_control_characters_of_names_are_escaped(self) -> None:
        names = issue(authority(), names="DER:30:17:82:15:" + b"localhost\0\x1b[31m.evil\n".hex(":"))
        self.assert_fails(self.ask_with(names), r"the certificate is for localhost\x00\x1B[31m.evil\x0A, you asked for "
                                                "localhost")
        subject = issue(subject="/CN=a\x1b[31m\nb\u202ec", names="")
        self.assert_fails(self.ask_with(subject), r"the certificate of a\x1B[31m\x0Ab")

    def test_nul_in_the_common_name_is_escaped(self) -> None:
        files = issue(subject="/CN=localhost?evil", names="", kind="ed25519")
        der = ssl.PEM_cert_to_DER_cert(pathlib.Path(files.certificate).read_text())
        der = der.replace(b"localhost?evil", b"localhost\0evil")
        to_sign = folder() / "to-sign"
        to_sign.write_bytes(der[4:8 + int.from_bytes(der[6:8])])
        openssl("pkeyutl", "-sign", "-rawin", "-inkey", files.key, "-in", str(to_sign), "-out", "signature")
        der = der[:-64] + (folder() / "signature").read_bytes()
        pathlib.Path(files.certificate).write_text(ssl.DER_cert_to_PEM_cert(der))
        self.assert_fails(self.ask_with(files), r"the certificate of localhost\x00evil is self-signed")
        self.assert_fails(self.ask_with(files, files.certificate), "the certificate has no names (subjectAltName)")


class Servers(ClientTest):
    def test_answers_are_printed_and_an_empty_one_is_no_failure(self) -> None:
        for version in [TLS12, TLS13]:
            for answer in [b"", b"hello", b"x" * 1_000_000]:
                with self.subTest(version, size=len(answer)):
                    self.assert_answered(self.ask(answer_over_tls(context_with(version=version), answer)),
                                         answer.decode())

    def test_openssl_answers(self) -> None:
        for version in ["-tls1_2", "-tls1_3"]:
            with self.subTest(version), \
                    Program("openssl", "s_server", "-accept", f"{LOCALHOST}:0", "-cert", leaf("rsa").certificate,
                            "-key", leaf("rsa").key, "-rev", version, "-naccept", "1") as server:
                port = server.output.wait_for("ACCEPT ").rpartition(":")[2]
                self.assert_answered(run_client(f"{LOCALHOST}:{port}"), r"!revres ,olleH\x0A")

    def test_many_tickets_are_no_attack(self) -> None:
        with Program("openssl", "s_server", "-accept", f"{LOCALHOST}:0", "-cert", leaf().certificate, "-key",
                     leaf().key, "-rev", "-tls1_3", "-num_tickets", "20", "-naccept", "1") as server:
            port = server.output.wait_for("ACCEPT ").rpartition(":")[2]
            self.assert_answered(run_client(f"{LOCALHOST}:{port}"), r"!revres ,olleH\x0A")

    def test_old_versions_and_suites_are_refused(self) -> None:
        self.assert_fails(self.ask(answer_over_tls(context_with(version=TLS11))), "alert protocol_version")
        for ciphers in ["AES128-SHA256", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256",
                        "AES256-GCM-SHA384"]:
            with self.subTest(ciphers):
                self.assert_fails(self.ask(answer_over_tls(context_with(leaf("rsa"), TLS12, ciphers))),
                                  "alert handshake_failure: no cipher suite, group or signature algorithm in common")

    def test_what_is_no_tls_is_named(self) -> None:
        for answer in [b"220 mail.example ESMTP\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 1000,
                       b"\xff" * 1000, b"SSH-2.0-OpenSSH_9.2\r\n"]:
            def serve(connection: socket.socket) -> None:
                connection.sendall(answer)
                read_rest(connection)

            with self.subTest(answer[:20]):
                self.assert_fails(self.ask(serve), "it does not speak TLS; perhaps another port does")

    def test_garbage_is_refused(self) -> None:
        for seed in range(20):
            garbage = bytes([22, 3, 3, 1, 0]) + os.urandom(256 + 5 * seed)

            def serve(connection: socket.socket) -> None:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                read_rest(connection)

            with self.subTest(garbage.hex()):
                self.assert_fails(self.ask(serve), "")

    def test_server_that_never_answers_is_given_ten_seconds(self) -> None:
        self.assert_fails(self.ask(read_rest), "not complete after 10s")

    def test_server_that_leaves_in_the_handshake_is_named(self) -> None:
        def leave(connection: socket.socket) -> None:
            connection.recv(10_000)

        def reset(connection: socket.socket) -> None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        self.assert_fails(self.ask(leave), "the connection ended during the handshake")
        ran = self.ask(reset)
        self.assertIn(ran.code, range(1, 128), ran)
        self.assertEqual(len(ran.log.splitlines()), 1, ran)

    def end(self, version: ssl.TLSVersion, how: Callable[[socket.socket], None]) -> Ran:
        """The server ends the connection after its answer, without a close_notify."""
        def serve(connection: socket.socket) -> None:
            with context_with(version=version).wrap_socket(connection, server_side=True) as tls:
                assert read_rest(tls) == GREETING
                tls.sendall(b"a whole answer")
                how(tls)

        return self.ask(serve)

    def test_answer_without_the_end_of_tls_is_truncated(self) -> None:
        for version in [TLS12, TLS13]:
            with self.subTest(version):
                self.assert_fails(self.end(version, lambda tls: None),
                                  "the connection ended without the end of TLS (close_notify): bytes may be missing",
                                  "recv from")

    def test_reset_after_the_answer_is_a_failure(self) -> None:
        def reset(tls: socket.socket) -> None:
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        for version in [TLS12, TLS13]:
            with self.subTest(version):
                ran = self.end(version, reset)
                self.assertIn(ran.code, range(1, 128), ran)
                self.assertRegex(ran.log, r"\A[^\n]*recv from [^\n]+\n\Z")

    def test_bad_arguments_are_named(self) -> None:
        missing = run_client(f"{LOCALHOST}:1", "/nonexistent/ca.pem")
        self.assertEqual((missing.code, len(missing.log.splitlines())), (1, 1), missing)
        self.assertIn("/nonexistent/ca.pem", missing.log)
        (folder() / "empty.pem").touch()
        empty = run_client(f"{LOCALHOST}:1", str(folder() / "empty.pem"))
        self.assertIn("no certificate in PEM form", empty.log)
        self.assertTrue(re.fullmatch(r"[^\n]+\n", empty.log), empty)

    def test_starttls_client_talks(self) -> None:
        def talk(connection: socket.socket, early: bytes) -> None:
            connection.sendall(b"220 ready\r\n")
            lines = connection.makefile("rb", buffering=0)
            assert lines.readline() == b"STATUS\r\n"
            connection.sendall(b"211 plain text\r\n")
            assert lines.readline() == b"STARTTLS\r\n"
            connection.sendall(b"220 begin TLS\r\n" + early)
            if early:
                read_rest(connection)
                return
            with context_with().wrap_socket(connection, server_side=True) as tls:
                for answer in [b"211 encrypted\r\n", b"221 goodbye\r\n"]:
                    tls.recv(100)
                    tls.sendall(answer)
                tls.recv(100)

        for early, code, text in [(b"", 0, "211 encrypted\n221 goodbye\n"),
                                  (b"211 encrypted\r\n", 1, "220 begin TLS\n")]:
            with self.subTest(early), Server(lambda connection: talk(connection, early)) as server:
                host, port = server.address.split(":")
                ran = subprocess.run([str(EXAMPLES / "starttls_client"), host, port, authority().certificate],
                                     capture_output=True, timeout=WAIT_S, check=False)
                self.assertEqual(ran.returncode, code, ran.stderr)
                self.assertTrue(ran.stdout.decode().endswith(text), ran.stdout)
                self.assertEqual(b"sent plain text after its answer" in ran.stderr, early != b"", ran.stderr)


if __name__ == "__main__":
    unittest.main()
