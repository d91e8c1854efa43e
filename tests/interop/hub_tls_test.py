#!/usr/bin/env python3
# `coax serve --tls`: the chat, the page and WebSockets over TLS, beside plain text or instead of it; certificates that
# are replaced while it runs; and `coax cert`, `coax chat --tls`, `coax connect --tls`, `coax listen --tls`.

import asyncio
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import websockets

import support
from support import LOCALHOST, WAIT_S, Hub, Program
from tls import read_rest


class TlsTest(unittest.TestCase):
    """A data directory of its own: the authority of this user is not touched."""

    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="coax-tls-")))
        self.extra = {"XDG_DATA_HOME": str(self.folder)}
        self.authority = self.folder / "coax" / "authority.pem"

    def coax(self, *words: str, given: bytes = b"", code: int = 0) -> subprocess.CompletedProcess[bytes]:
        done = support.run(*words, extra=self.extra, given=given)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done

    def hub(self, *flags: str) -> Hub:
        return self.enterContext(Hub(*flags, extra=self.extra))

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def connect(self, port: int, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        plain = socket.create_connection((LOCALHOST, port), WAIT_S)
        secure = (context or self.trusting()).wrap_socket(plain, server_hostname="localhost")
        self.addCleanup(secure.close)
        return secure

    def certificate(self, name: str, *flags: str) -> tuple[str, str]:
        self.coax("cert", name, "--out", str(self.folder), *flags)
        return str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")


class TheHub(TlsTest):
    def test_members_of_every_kind_meet_over_tls(self) -> None:
        hub = self.hub("--tls", "auto")
        member = self.connect(hub.port_of("tls"))
        lines = self.enterContext(member.makefile("rwb"))
        self.assertEqual(lines.read(4), b"NICK")
        lines.write(b"python\n")
        lines.flush()
        self.assertEqual(lines.readline(), b"python joined the chat!\n")
        said = self.coax("chat", "--tls", f"{LOCALHOST}:{hub.port_of('tls')}", "--nick", "terminal", given=b"hello\n")
        self.assertIn(b"terminal: hello\n", said.stdout)
        heard = [lines.readline() for _ in range(3)]
        self.assertEqual(heard, [b"terminal joined the chat!\n", b"terminal: hello\n", b"terminal left the chat!\n"])

        async def browser() -> str:
            async with websockets.connect(f"wss://localhost:{hub.port_of('https')}/ws", ssl=self.trusting(),
                                          origin=f"https://localhost:{hub.port_of('https')}") as room:
                await room.send(json.dumps({"type": "join", "nick": "browser"}))
                await room.recv()
                await room.send(json.dumps({"type": "say", "text": "over wss"}))
                return await asyncio.wait_for(room.recv(), WAIT_S)

        asyncio.run(browser())
        self.assertEqual(lines.readline(), b"browser joined the chat!\n")

    def test_page_is_served_over_https(self) -> None:
        hub = self.hub("--tls", "auto", "--hsts", "24h")
        page = http.client.HTTPSConnection("localhost", hub.port_of("https"), timeout=WAIT_S, context=self.trusting())
        page.request("GET", "/")
        response = page.getresponse()
        self.assertEqual((response.status, response.getheader("Strict-Transport-Security")), (200, "max-age=86400"))
        self.assertIn(b"<!doctype html>", response.read())
        context = self.trusting()
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.assertEqual(self.connect(hub.port_of("https"), context).selected_alpn_protocol(), "http/1.1")

    def test_plain_http_beside_https_redirects(self) -> None:
        hub = self.hub("--tls", "auto", "--tls-port", "0", "--tls-web-port", "0")
        page = http.client.HTTPConnection(LOCALHOST, hub.port_of("http"), timeout=WAIT_S)
        page.request("GET", "/a?b=c", headers={"Host": f"localhost:{hub.port_of('http')}"})
        response = page.getresponse()
        where = f"https://localhost:{hub.port_of('https')}/a?b=c"
        self.assertEqual((response.status, response.getheader("Location")), (308, where))
        plain = self.coax("chat", f"{LOCALHOST}:{hub.port_of('tcp')}", "--nick", "plain", given=b"hi\n")
        self.assertIn(b"plain: hi\n", plain.stdout)

    def test_plain_text_on_a_port_for_tls_is_answered_and_harms_no_member(self) -> None:
        hub = self.hub("--tls", "auto")
        member = self.connect(hub.port_of("tls"))
        with socket.create_connection((LOCALHOST, hub.port_of("https")), WAIT_S) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(support.read_to_end(browser).startswith(b"HTTP/1.1 400 Bad Request\r\n"))
        hub.log.wait_for("it speaks HTTP, not TLS")
        self.assertEqual(member.recv(4), b"NICK")

    def test_member_whose_records_are_broken_leaves(self) -> None:
        """An error of TLS stays: it is no line that is too long, after which others follow."""
        hub = self.hub("--tls", "auto")
        for nick in (b"", b"mallory\n"):
            with self.subTest(nick), self.connect(hub.port_of("tls")) as member:
                self.assertEqual(member.recv(4), b"NICK")
                if nick:
                    member.sendall(nick)
                    self.assertEqual(member.recv(100), b"mallory joined the chat!\n")
                with socket.socket(fileno=os.dup(member.fileno())) as below:
                    below.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
                    below.settimeout(WAIT_S)
                    self.assertLess(len(read_rest(below)), 200)  # an alert
        hub.log.wait_for("it sent a record that was changed on its way", 2)

    def test_member_who_leaves_without_the_end_of_tls_has_one_line(self) -> None:
        hub = self.hub("--tls", "auto")
        ports = []
        for nick, line in ((b"", "close_notify"), (b"\x01\n", "refused: "), (b"mallory\n", "mallory left: ")):
            with self.subTest(nick), self.connect(hub.port_of("tls")) as member:
                ports.append(member.getsockname()[1])
                self.assertEqual(member.recv(4), b"NICK")
                member.sendall(nick)
                if nick:
                    self.assertTrue(member.recv(100))
                member.shutdown(socket.SHUT_WR)  # of the connection below: no close_notify
                read_rest(member)
                hub.log.wait_for(line)
        hub.stop()
        lines = [line for line in hub.log.text().splitlines() if "joined from" not in line]
        for port in ports:
            self.assertEqual(len([line for line in lines if f"{LOCALHOST}:{port}" in line]), 1, lines)

    def test_unix_socket_stays_plain(self) -> None:
        path = self.folder / "hub.sock"
        hub = self.hub("--tls", "auto", "--listen", f"127.0.0.1,unix:{path}")
        said = self.coax("chat", f"unix:{path}", "--nick", "local", given=b"hi\n")
        self.assertIn(b"local: hi\n", said.stdout)
        self.assertEqual(self.connect(hub.port_of("tls")).recv(4), b"NICK")

    def test_settings_that_contradict_are_refused(self) -> None:
        for flags, says in ((["--tls-port", "1"], "used without --tls"), (["--hsts", "1h"], "used without --tls"),
                            (["--tls", "cert.pem"], "is not off, auto, or CERT,KEY"),
                            (["--tls", "a,b,c"], "is not off, auto, or CERT,KEY"),
                            (["--tls", ""], "is not off, auto, or CERT,KEY"),
                            (["--tls-passphrase-file", "/dev/null"], "used without --tls CERT,KEY"),
                            (["--tls", "auto", "--tls-port", "7", "--tls-web-port", "7"], "a port of its own")):
            with self.subTest(flags):
                done = self.coax("serve", "--port", "0", "--web-port", "0", *flags, code=2)
                self.assertIn(says, done.stderr.decode())

    def test_files_of_no_use_end_it_with_the_reason(self) -> None:
        cert, _ = self.certificate("one.example")
        _, other = self.certificate("two.example")
        for pair, says in ((f"{cert},{self.folder}/none", "No such file"), (f"{cert},{other}", "another certificate")):
            done = support.run("serve", "--port", "0", "--web-port", "0", "--tls", pair, extra=self.extra)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(says, done.stderr.decode())
            self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)


class Certificates(TlsTest):
    def name_presented(self, port: int) -> str:
        context = self.trusting()
        context.check_hostname = False
        return dict(self.connect(port, context).getpeercert()["subjectAltName"])["DNS"]

    def test_new_files_are_used_after_sighup_and_open_connections_stay(self) -> None:
        cert, key = self.certificate("first.example")
        new_cert, new_key = self.certificate("second.example")
        hub = self.hub("--tls", f"{cert},{key}")
        context = self.trusting()
        context.check_hostname = False
        member = self.connect(hub.port_of("tls"), context)
        self.assertEqual(member.recv(4), b"NICK")
        shutil.copy(new_cert, cert)
        hub.send_signal(signal.SIGHUP)
        hub.log.wait_for("belongs to another certificate; the old certificates stay in use")
        self.assertEqual(self.name_presented(hub.port_of("tls")), "first.example")
        shutil.copy(new_key, key)
        hub.send_signal(signal.SIGHUP)
        hub.log.wait_for("the certificates were read again")
        self.assertEqual(self.name_presented(hub.port_of("tls")), "second.example")
        self.assertEqual(self.name_presented(hub.port_of("https")), "second.example")
        member.sendall(b"alice\n")
        self.assertEqual(member.recv(100), b"alice joined the chat!\n")

    def test_file_that_cannot_be_read_at_once_stops_nothing(self) -> None:
        cert, key = self.certificate("first.example")
        hub = self.hub("--tls", f"{cert},{key}")
        pathlib.Path(cert).unlink()
        os.mkfifo(cert)
        hub.send_signal(signal.SIGHUP)
        hub.log.wait_for("it is not a regular file; the old certificates stay in use")
        self.assertEqual(self.name_presented(hub.port_of("tls")), "first.example")

    def test_passphrases_may_come_from_other_systems(self) -> None:
        cert, key = self.certificate("locked.example")
        subprocess.run(["openssl", "pkcs8", "-topk8", "-in", key, "-out", f"{key}.locked", "-passout", "pass:secret"],
                       check=True)
        file = self.folder / "passphrase"
        for content in (b"secret", b"secret\n", b"secret\r\n", b"\xef\xbb\xbfsecret\r\nsecond line\n"):
            with self.subTest(content):
                file.write_bytes(content)
                hub = Hub("--tls", f"{cert},{key}.locked", "--tls-passphrase-file", str(file), extra=self.extra)
                with hub:
                    self.assertEqual(self.name_presented(hub.port_of("tls")), "locked.example")
        for content, says in ((b"", "is empty"), (b"\nsecret\n", "is empty"), (b"wrong", "does not open")):
            file.write_bytes(content)
            done = support.run("serve", "--port", "0", "--web-port", "0", "--tls", f"{cert},{key}.locked",
                               "--tls-passphrase-file", str(file), extra=self.extra)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(says, done.stderr.decode())

    def test_certificate_that_expires_soon_is_a_warning(self) -> None:
        cert, key = self.certificate("soon.example", "--days", "5")
        hub = self.hub("--tls", f"{cert},{key}")
        hub.log.wait_for("warning the certificate for soon.example expires in")

    def test_cert_makes_files_that_openssl_verifies(self) -> None:
        cert, key = self.certificate("localhost")
        self.assertEqual(pathlib.Path(key).stat().st_mode & 0o777, 0o600)
        self.assertEqual((self.folder / "coax" / "authority.key").stat().st_mode & 0o777, 0o600)
        subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", self.authority, cert],
                       check=True, capture_output=True)
        again = self.coax("cert", "localhost", "--out", str(self.folder), code=1)
        self.assertIn("File exists; --replace replaces it", again.stderr.decode())
        shown = json.loads(self.coax("cert", "show", cert, "--json").stdout)
        self.assertEqual((shown["subject"], shown["names"]), ("CN=localhost", ["localhost"]))
        self.assertFalse(shown["is_authority"])

    def test_show_explains_what_a_server_presents(self) -> None:
        hub = self.hub("--tls", "auto")
        shown = self.coax("cert", "show", f"localhost:{hub.port_of('tls')}").stdout.decode()
        self.assertIn("for         localhost, 127.0.0.1, ::1", shown)


class OwnAuthority(TlsTest):
    def fails(self, says: str, *words: str) -> None:
        text = self.coax(*(words or ("cert", "a.example", "--out", str(self.folder))), code=1).stderr.decode()
        self.assertIn(says, text)
        self.assertEqual(text.count("\n"), 1, text)

    def test_several_processes_make_one(self) -> None:
        makers = [subprocess.Popen([support.coax(), "cert", f"{name}.example", "--out", str(self.folder)],
                                   env={**os.environ, **self.extra}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                  for name in "abcdefgh"]
        for maker in makers:
            self.assertEqual((maker.communicate(timeout=WAIT_S)[1], maker.returncode), (b"", 0))
        files = [str(self.folder / f"{name}.example.pem") for name in "abcdefgh"]
        subprocess.run(["openssl", "verify", "-CAfile", self.authority, *files], check=True, capture_output=True)

    def test_files_of_no_use_are_named(self) -> None:
        self.certificate("localhost")
        key = self.authority.with_suffix(".key")
        content = key.read_bytes()
        key.write_bytes((self.folder / "localhost.key").read_bytes())
        self.fails(f"the key in {key} belongs to another certificate")
        key.unlink()
        self.fails(f"read {key}: No such file or directory; remove {self.authority} to make a new authority")
        key.write_bytes(content)
        subprocess.run(["openssl", "pkcs8", "-topk8", "-in", key, "-out", self.folder / "locked", "-passout",
                        "pass:secret"], check=True)
        shutil.move(self.folder / "locked", key)
        self.fails("its private key is encrypted")

    def test_names_of_a_user_are_not_cut(self) -> None:
        for names, says in ((["--client", "a" * 65], "a common name has at most 64 bytes"),
                            (["--client", "a\x01b"], "visible characters"), (["--client", "a", "b"], "takes one name"),
                            (["127.1"], "clients take it for an IP address"), (["fe80::1%lo"], "without its interface"),
                            (["a b"], "neither a name nor an address")):
            with self.subTest(names):
                text = self.coax("cert", *names, "--out", str(self.folder), code=2).stderr.decode()
                self.assertIn(says, text)

    def test_absolute_name_gets_the_file_of_the_name(self) -> None:
        self.coax("cert", "localhost.", "--out", str(self.folder))
        self.assertTrue((self.folder / "localhost.pem").exists())

    def test_malformed_names_are_wrong_usage(self) -> None:
        for flags, says in ((["--alpn", "a,,b"], "--alpn has an empty name"),
                            (["--server-name", "a..b"], "--server-name a..b"),
                            (["--server-name", "a" * 300], "--server-name")):
            with self.subTest(flags):
                text = self.coax("connect", "--tls", "127.0.0.1:1", *flags, code=2).stderr.decode()
                self.assertIn(says, text)

    def test_interrupted_first_use_is_repeated(self) -> None:
        self.authority.parent.mkdir()
        self.authority.with_suffix(".key").write_text("what a full disk has left")
        self.certificate("localhost")
        self.names_of()

    def test_failure_leaves_no_part_of_a_pair(self) -> None:
        (self.folder / "x.example.pem").touch()
        self.fails("File exists; --replace replaces it", "cert", "x.example", "--out", str(self.folder))
        self.assertEqual({each.name for each in self.folder.iterdir()}, {"coax", "x.example.pem"})
        self.certificate("x.example", "--replace")

    def test_name_may_be_as_long_as_dns_allows(self) -> None:
        name = ".".join(["a" * 60] * 4)
        shown = json.loads(self.coax("cert", name, "--out", str(self.folder), "--json").stdout)
        self.assertEqual(json.loads(self.coax("cert", "show", shown["certificate"], "--json").stdout)["names"], [name])

    def names_of(self, *flags: str) -> set[str]:
        hub = Hub("--tls", "auto", *flags, extra=self.extra)
        with hub, self.connect(hub.port_of("tls")) as member:
            return {value for _, value in member.getpeercert()["subjectAltName"]}

    def test_certificate_of_a_hub_has_the_names_of_this_start(self) -> None:
        local = {"localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"}
        names = [f"{letter * 60}.example" for letter in "abcd"]
        for each in ([], names[:2], names[1:], names[:2], names):
            flags = ["--web-hosts", ",".join(each)] if each else []
            with self.subTest(each):
                self.assertEqual(self.names_of(*flags), local | set(each))

    def test_new_authority_issues_a_new_certificate(self) -> None:
        self.names_of()
        for file in [self.authority, self.authority.with_suffix(".key")]:
            file.unlink()
        self.names_of()  # verified with the new one

    def test_long_name_of_the_machine_is_cut(self) -> None:
        enter = ["unshare", "--uts", "--map-root-user"]
        if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no namespace of one's own for the name of the machine")
        command = f'hostname {"h" * 64} && exec "{support.coax()}" cert localhost --out "{self.folder}"'
        done = subprocess.run([*enter, "sh", "-c", command], capture_output=True, timeout=WAIT_S, check=False,
                              env={**os.environ, **self.extra})
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        shown = json.loads(self.coax("cert", "show", str(self.authority), "--json").stdout)
        self.assertEqual(shown["subject"], "CN=Coax authority of " + "h" * 46)


class ConnectAndListen(TlsTest):
    def test_listen_and_connect_speak_tls_with_a_client_certificate(self) -> None:
        alice, key = self.certificate("alice", "--client")
        with Program(support.coax(), "listen", "--tls", "--ca", str(self.authority), f"{LOCALHOST}:0",
                     extra=self.extra) as server:
            where = server.log.wait_for("listening on").rsplit(" ", 1)[1]
            refused = self.coax("connect", "--tls", where, given=b"x", code=1)
            self.assertIn("certificate_required", refused.stderr.decode())
            server.log.wait_for("it sent no client certificate")
            with Program(support.coax(), "connect", "--tls", "-v", "--cert", alice, "--key", key, where,
                         extra=self.extra) as client:
                client.send(b"to the server\n")
                server.output.wait_for("to the server")
                server.send(b"to the client\n")
                client.output.wait_for("to the client")
                client.log.wait_for("TLS 1.3, TLS_AES_128_GCM_SHA256, key exchange x25519")
                client.finish()
                server.finish()
                self.assertEqual((client.wait(), server.wait()), (0, 0))

    def test_silent_clients_delay_no_other(self) -> None:
        with Program(support.coax(), "listen", "--tls", "--keep-open", f"{LOCALHOST}:0", extra=self.extra) as server:
            where = server.log.wait_for("listening on").rsplit(" ", 1)[1]
            host, port = where.rsplit(":", 1)
            silent = [self.enterContext(socket.create_connection((host, int(port)), WAIT_S)) for _ in range(3)]
            self.coax("connect", "--tls", where, given=b"first\n")
            server.output.wait_for("first")
            silent[0].sendall(b"plain text, which ends this connection\n")
            self.assertEqual(silent[0].recv(100), b"This port is for TLS.\n")
            server.log.wait_for("it sent plain text, not TLS")
            self.coax("connect", "--tls", where, given=b"second\n")
            server.output.wait_for("second")

    def test_time_limit_of_connecting_includes_the_handshake(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as silent:
            where = f"{LOCALHOST}:{silent.getsockname()[1]}"
            for command in (["connect"], ["echo"]):
                text = self.coax(*command, "--tls", "--timeout", "300ms", where, code=3).stderr.decode()
                self.assertIn(f"TLS handshake with {where}: no answer within ", text)

    def test_secrets_that_cannot_be_written_are_reported(self) -> None:
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        self.certificate("localhost")
        with Program(support.coax(), "echo", "listen", "--tls", f"{LOCALHOST}:0", extra=self.extra) as server:
            where = server.output.wait_for("listening on").rsplit(" ", 1)[1]
            done = support.run("echo", "--tls", "--count", "1", where,
                               extra={**self.extra, "SSLKEYLOGFILE": str(pipe)})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count(b"(SSLKEYLOGFILE): No such device or address"), 1, done.stderr)

    def test_truncated_answer_is_a_failure(self) -> None:
        cert, key = self.certificate("localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)

        def serve(connection: socket.socket) -> None:
            secure = context.wrap_socket(connection, server_side=True)
            while secure.recv(10):  # up to the client's close_notify: unread bytes would be a reset
                pass
            secure.sendall(b"half of it")
            socket.socket(fileno=secure.detach()).close()  # without close_notify

        with support.Server(serve) as server:
            done = self.coax("connect", "--tls", "--server-name", "localhost", server.address, given=b"ask", code=1)
            self.assertEqual(done.stdout, b"half of it")
            self.assertIn("close_notify", done.stderr.decode())

    def test_echo_is_measured_over_tls(self) -> None:
        with Program(support.coax(), "echo", "listen", "--tls", f"{LOCALHOST}:0", extra=self.extra) as server:
            where = server.output.wait_for("listening on").rsplit(" ", 1)[1]
            done = self.coax("echo", "--tls", where, "--count", "50", "--size", "100KiB", "--json")
            self.assertEqual(json.loads(done.stdout)["unchanged"], 50)

    def test_options_without_tls_and_wrong_trust_are_refused(self) -> None:
        for flags in (["--ca", "x"], ["--insecure"], ["--tls", "--ca", "x", "--insecure"], ["--tls", "--udp"],
                      ["--tls", "--key", "x"]):
            with self.subTest(flags):
                self.coax("connect", *flags, "7000", code=2)


if __name__ == "__main__":
    unittest.main()
