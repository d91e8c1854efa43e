#!/usr/bin/env python3
# The hub's log: a reader that does not read blocks nothing, a record is one line whatever name a peer has, and the
# environment sets level and format.

import contextlib
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import support
from support import LOCALHOST, WAIT_S, Hub, join

JOINS = 1000  # each leaves more than 100 bytes in the log


class Unread(unittest.TestCase):
    """Standard output and standard error are one pipe that nothing reads."""

    def setUp(self) -> None:
        self.reading, self.writing = os.pipe()
        self.addCleanup(os.close, self.reading)
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)

    def start(self, *arguments: str, to_fill: bool = False) -> subprocess.Popen[bytes]:
        if to_fill:
            os.set_blocking(self.writing, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(self.writing, b"x")
            os.set_blocking(self.writing, True)
        process = subprocess.Popen([support.coax(), *arguments], stdout=self.writing, stderr=self.writing,
                                   env=support.environment())
        os.close(self.writing)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def assert_ends(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        self.assertIn(process.wait(WAIT_S), (0, 1))

    def test_the_hub_serves_and_ends(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            at = f"{folder}/hub"
            process = self.start("serve", "--listen", f"unix:{at}", "--connections-max", "2000", to_fill=True)
            for number in range(JOINS):
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(WAIT_S)
                    self.connect(client, at)
                    self.assertEqual(client.recv(4), b"NICK")
                    nick = b"n%d" % number
                    client.sendall(nick + b"\n")
                    self.assertTrue(client.recv(64).startswith(nick + b" joined the chat!\n"))
            self.assert_ends(process)

    def test_echo_listen_serves_and_ends(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            at = f"{folder}/echo"
            process = self.start("echo", "listen", f"unix:{at}", to_fill=True)
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(WAIT_S)
                self.connect(client, at)
                client.sendall(b"hello")
                self.assertEqual(client.recv(64), b"hello")
            self.assert_ends(process)

    def connect(self, client: socket.socket, at: str) -> None:
        """Waits until it listens, which is not printed here."""
        for _ in range(int(WAIT_S * 100)):
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                return client.connect(at)
            time.sleep(0.01)
        raise AssertionError("it does not listen")


class Hostile(unittest.TestCase):
    def test_the_name_of_a_clients_socket_forges_no_line(self) -> None:
        with tempfile.TemporaryDirectory() as folder, Hub("--listen", f"{LOCALHOST},unix:{folder}/hub") as hub:
            name = b"\0x\n2026-01-01T00:00:00.000Z info root joined\x1b[2J\xff\xe2\x80\xae"
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(WAIT_S)
                client.bind(name)
                client.connect(f"{folder}/hub")
                client.recv(4)
                client.sendall(b"eve\n")
                line = hub.log.wait_for("eve joined from")
            self.assertIn(r"x\x0A2026-01-01T00:00:00.000Z info root joined\x1B[2J\xFF\xE2\x80\xAE", line)
            hub.log.wait_for("eve left")
            for each in hub.log.lines:
                self.assertRegex(each, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warning) [ -~]*$")

    def test_requests_and_origins_forge_no_line(self) -> None:
        with Hub("--log-level", "debug") as hub:
            for request in [b"GET /\x1b[2J HTTP/1.1\r\nHost: localhost\r\n\r\n",
                            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: http://\xe2\x80\xae\r\n"
                            b"Upgrade: websocket\r\n"
                            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"]:
                with socket.create_connection((LOCALHOST, hub.web_port), WAIT_S) as client:
                    client.sendall(request)
                    while client.recv(4096):
                        pass
            hub.log.wait_for("refused", 2)
            for each in hub.log.lines:
                self.assertRegex(each, r"^[ -~]*$")


class Commands(unittest.TestCase):
    """Untrusted text in messages: arguments, the environment, files, names of processes."""

    def assert_safe(self, ran: subprocess.CompletedProcess[bytes]) -> None:
        controls = rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]"
        for line in (ran.stdout + ran.stderr).splitlines():
            self.assertNotRegex(line, controls)
        self.assertNotIn(b"\n2026", ran.stdout + ran.stderr)

    def test_arguments(self) -> None:
        evil = "a\x1b[31m\r\n2026 \u202e\u009b"
        for words in [[evil], ["serve", evil], ["serve", f"--{evil}"], ["serve", "--listen", evil],
                      ["serve", "--port", evil], ["serve", "--config", evil], ["connect", f"{evil}:1"],
                      ["connect", evil], ["connect", "--check", f"{evil}:1"], ["listen", f"{evil}:0"],
                      ["echo", evil], ["echo", "listen", evil], ["ports", evil], ["resolve", evil],
                      ["resolve", "--json", evil], ["resolve", "--reverse", evil], ["ip", evil],
                      ["ip", "--json", evil], ["chat", evil, "--nick", "a"], ["connect", f"unix:{evil}"],
                      ["connect", "--json", f"unix:{evil}"], ["doctor", evil],
                      ["serve", "--listen", f"unix:/{evil}/x"]]:
            with self.subTest(words=words):
                ran = support.run(*words)
                self.assertNotEqual(ran.returncode, 0)
                self.assert_safe(ran)

    def test_files_and_variables(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "a\x1b\nb.toml")
            for text in ['port = "\\u001b[31m\\n2026"', '"\\u001b\\n2026" = 1', 'x = "\u202e', '"\x1b" = 1']:
                file.write_text(text)
                with self.subTest(text=text):
                    ran = support.run("serve", "--config", str(file))
                    self.assertEqual(ran.returncode, 2)
                    self.assert_safe(ran)
        for name in "COAX_PORT", "COAX_LISTEN", "COAX_LOG", "COAX_LOG_FORMAT", "COAX_BACKEND", "COAX_LOG_LEVEL":
            with self.subTest(name=name):
                ran = support.run("serve", extra={"COAX_PORT": "0", "COAX_WEB_PORT": "0", name: "\x1b[2J\n2026\u009b"})
                self.assertNotEqual(ran.returncode, 0)
                self.assert_safe(ran)

    def test_names_of_processes(self) -> None:
        script = (r"import ctypes, socket, sys; ctypes.CDLL(None).prctl(15, b'a\x1b[2J\nb\xc2\x9b', 0, 0, 0);"
                  "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); sys.stdin.read()")
        with support.Program("/usr/bin/python3", "-c", script) as program:
            port = program.output.wait_for("").strip()
            for flags in [], ["--json"]:
                ran = support.run("ports", *flags, port)
                self.assertIn(b"[2J", ran.stdout)
                self.assert_safe(ran)


class Environment(unittest.TestCase):
    def test_the_level(self) -> None:
        with Hub(extra={"COAX_LOG": "off"}) as hub:
            join(hub, "alice").close()
        self.assertEqual(hub.log.wait_for_end(), "")
        with Hub(extra={"COAX_LOG": "debug"}) as hub:
            join(hub, "alice").close()
            hub.log.wait_for(" debug ")
        with Hub("--log-level", "error", extra={"COAX_LOG": "debug"}) as hub:
            join(hub, "alice").close()
        self.assertEqual(hub.log.wait_for_end(), "")

    def test_json_lines(self) -> None:
        for flags, variable in ([], "json"), (["--log-format", "json"], "text"):
            with Hub(*flags, extra={"COAX_LOG_FORMAT": variable}) as hub:
                join(hub, 'a"\\b').close()
                hub.log.wait_for(" left: ")
            events = [json.loads(line) for line in hub.log.lines]
            self.assertIn('a"\\b joined from 127.0.0.1', [event["message"].rpartition(":")[0] for event in events])
            for event in events:
                self.assertEqual(list(event), ["time", "level", "message"])
                self.assertTrue(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"]), event)
                self.assertIn(event["level"], ("info", "warning"))

    def test_a_wrong_value_is_refused(self) -> None:
        for name, value in [("COAX_LOG", "verbose"), ("COAX_LOG", "INFO"), ("COAX_LOG_FORMAT", "xml")]:
            for command in ["serve", "--port", "0", "--web-port", "0"], ["ip", "::1"]:
                ran = support.run(*command, extra={name: value})
                self.assertEqual(ran.returncode, 2)
                self.assertIn(f'coax: {name}: "{value}" is not one of'.encode(), ran.stderr)


if __name__ == "__main__":
    unittest.main()
