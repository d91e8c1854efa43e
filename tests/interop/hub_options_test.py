#!/usr/bin/env python3
# The options of `coax serve`, in arguments, environment and file: their precedence, and the error messages.

import contextlib
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import unittest
from collections.abc import Mapping

import support
from support import LOCALHOST, Client, Http, Hub, join

ANY_PORTS = {"COAX_PORT": "0", "COAX_WEB_PORT": "0"}


class OptionsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def file(self, text: str) -> str:
        path = self.folder / "hub.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def assert_refused(self, *flags: str, extra: Mapping[str, str] | None = None, says: list[str]) -> None:
        """Exit code 2, and one line that names the source of the invalid value."""
        ran = support.run("serve", *flags, extra={**ANY_PORTS, **(extra or {})})
        self.assertEqual((ran.returncode, ran.stdout), (2, b""), ran.stderr)
        error = ran.stderr.decode()
        self.assertTrue(error.startswith("coax"), error)
        self.assertEqual(error.count("\n"), 1, error)
        for part in says:
            self.assertIn(part, error)


class WhichWins(OptionsTest):
    def test_flags_beat_the_environment_which_beats_the_file(self) -> None:
        file = self.file('listen = "127.0.0.2"\nport = 0\nweb_port = 0\n')
        variable = {"COAX_LISTEN": "127.0.0.3"}
        for flags, extra, address in ([], {}, "127.0.0.2"), ([], variable, "127.0.0.3"), \
                (["--listen", "127.0.0.4"], variable, "127.0.0.4"):
            with self.subTest(address), Hub("--config", file, *flags, extra=extra, ports=False) as hub:
                hub.output.wait_for(f"listening  tcp   {address}:")
                hub.output.wait_for(f"listening  http  {address}:")

    def test_an_empty_variable_is_none(self) -> None:
        file = self.file("port = 0\nweb_port = 0\nlog_level = \"warning\"\n")
        with Hub("--config", file, extra={"COAX_PORT": ""}, ports=False) as hub:
            join(hub, "alice").close()
        self.assertEqual(hub.log.wait_for_end(), "")

    def test_each_setting_takes_effect(self) -> None:
        with Hub("--log-level", "debug") as hub:
            join(hub, "alice").close()
            hub.log.wait_for("debug")
        with Hub("--connections-max", "1") as hub, join(hub, "alice") as alice, Client(hub.port) as waiting:
            hub.log.wait_for("new connections wait")
            alice.send(b"hello\n")
            self.assertEqual(alice.line(), b"alice: hello")
            alice.close()
            self.assertEqual(waiting.exactly(4), b"NICK")

    @unittest.skipUnless(support.has_ipv6(), "no IPv6 on this machine")
    def test_ipv6(self) -> None:
        with Hub("--listen", "::1") as hub:
            hub.output.wait_for(f"listening  tcp   [::1]:{hub.port}")
            ran = support.run("chat", f"[::1]:{hub.port}", "--nick", "six", given=b"hello\n")
            self.assertEqual((ran.returncode, ran.stdout), (0, b"six joined the chat!\nsix: hello\n"))


class Refused(OptionsTest):
    def test_a_bad_value_names_where_it_came_from(self) -> None:
        for flag, value, expected in [("--port", "65536", "0 to 65535"), ("--port", "-1", "0 to 65535"),
                                      ("--port", "http", "0 to 65535"), ("--web-port", "80a", "0 to 65535"),
                                      ("--threads", "0", "from 1"), ("--threads", "2000", "1 to 1024"),
                                      ("--drain", "10", "duration"), ("--drain", "soon", "duration"),
                                      ("--connections-max", "0", "from 1"), ("--connections-max", "many", "from 1"),
                                      ("--connections-per-host-max", "0", "from 1"),
                                      ("--outbox-bytes-max", "256", "size"), ("--outbox-bytes-max", "1MB", "size"),
                                      ("--outbox-bytes-max", "1B", "1KiB"),
                                      ("--outbox-bytes-max", "1GiB", "256MiB"), ("--web-hosts", "a b", "names"),
                                      ("--log-level", "loud", "debug, info, warning, error"),
                                      ("--history-age", "0s", "above 0"), ("--history-file", "file:x", "a path")]:
            with self.subTest(flag=flag, value=value):
                name = flag.removeprefix("--").replace("-", "_")
                self.assert_refused(f"{flag}={value}", says=[flag, f'"{value}"', expected])
                variable = "COAX_" + name.upper()
                self.assert_refused(extra={variable: value}, says=[variable, f'"{value}"', expected])
                file = self.file(f'# settings\n\n{name} = "{value}"\n')
                ran = support.run("serve", "--config", file)
                self.assertEqual(ran.returncode, 2)
                for part in name, file, "line 3", f'"{value}"', expected:
                    self.assertIn(part, ran.stderr.decode())

    def test_the_file(self) -> None:
        for text, says in [("port = 0\nprot = 1\n", ["line 2", "prot"]), ("port = \n", ["line 1"]),
                           ("port = 1.5\n", ["line 1", "port"]), ("[hub]\nport = 0\n", ["hub"]),
                           ("port = 0\nport = 0\n", ["line 2"]),
                           (".".join("a" * 50_000) + "=1", ["line 1", "bytes"])]:
            with self.subTest(text):
                file = self.file(text)
                self.assert_refused("--config", file, says=[file, *says])
        missing = str(self.folder / "missing.toml")
        self.assert_refused("--config", missing, says=[missing])

    def test_a_file_that_is_none(self) -> None:
        fifo = str(self.folder / "fifo")
        os.mkfifo(fifo)
        for path in str(self.folder), "/dev/null", "/dev/zero", fifo:
            with self.subTest(path):
                self.assert_refused("--config", path, says=[path, "it is not a regular file"])

    def test_values_of_the_environment(self) -> None:
        for name, value, says in [("COAX_SPIN", "maybe", "neither on nor off"),
                                  ("COAX_SPIN", "0", "neither on nor off"),
                                  ("COAX_BACKEND", "kqueue", "none of epoll, uring, auto, sim")]:
            with self.subTest(name=name, value=value):
                ran = support.run("serve", "--port", "0", "--web-port", "0", extra={name: value})
                self.assertEqual(ran.returncode, 2)
                self.assertIn(name, ran.stderr.decode())
                self.assertIn(says, ran.stderr.decode())

    def test_a_unix_path_that_is_empty(self) -> None:
        for where in "unix:", "unix:@":
            for command in (["serve", "--listen", where], ["listen", where], ["connect", where],
                            ["chat", where, "--nick", "x"], ["echo", "listen", where], ["echo", where]):
                with self.subTest(command=command):
                    ran = support.run(*command)
                    self.assertEqual(ran.returncode, 2)
                    self.assertIn("unix:", ran.stderr.decode())

    def test_addresses_that_are_none(self) -> None:
        for where in f"{LOCALHOST}:99", "localhost:", "[::1]:80":
            with self.subTest(where):
                self.assert_refused("--listen", where, says=["--listen", where, "without a port", "--port"])
        self.assert_refused("--port", "7000", "--web-port", "7000", says=["--web-port", "7000", "another port"])
        for order in "0.0.0.0,::", "::,0.0.0.0", "[::1]":
            with self.subTest(order), Hub("--listen", order):
                pass

    def test_few_descriptors(self) -> None:
        with Hub("--threads", "1", descriptors_max=64) as hub:
            said = hub.log.wait_for("connections, not 8000")
            promised = int(re.search(r"at most (\d+) connections", said)[1])
            self.assertGreater(promised, 8)
            half = promised // 2  # on each of the two ports
            members = [self.enterContext(Client(port)) for port in (hub.port, hub.web_port) for _ in range(half)]
            for member in members[:half]:
                self.assertEqual(member.exactly(4), b"NICK")
            self.assertNotIn("Too many open files", hub.log.text())

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (22, 22))

        ran = subprocess.run([support.coax(), "serve", "--port", "0", "--web-port", "0", "--threads", "1",
                              "--drain", "2m"], capture_output=True, timeout=support.WAIT_S, check=False,
                             preexec_fn=limit)
        self.assertNotEqual(ran.returncode, 0)
        self.assertIn(b"this process may open 22 files only", ran.stderr)
        self.assertIn(b"ulimit -n", ran.stderr)

    def test_the_command_line(self) -> None:
        for flags, says in [(["--prot", "1"], "--prot"), (["--port"], "--port"), (["extra"], "extra")]:
            ran = support.run("serve", *flags)
            self.assertEqual(ran.returncode, 2)
            self.assertIn(says, ran.stderr.decode())
            self.assertIn("--help", ran.stderr.decode())
        self.assertEqual(support.run().returncode, 2)
        self.assertEqual(support.run("sevre").returncode, 2)

    def test_what_cannot_be_listened_on(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as busy:
            port = str(busy.getsockname()[1])
            for flags in ["--port", port, "--web-port", "0"], ["--port", "0", "--web-port", port]:
                ran = support.run("serve", *flags)
                self.assertEqual((ran.returncode, ran.stdout), (3, b""))
                self.assertRegex(ran.stderr.decode(), rf"^coax serve: listen on .*:{port}: .*in use.*another port")
        for address in "192.0.2.1", "no-such-host.invalid":
            ran = support.run("serve", "--listen", address, "--port", "0", "--web-port", "0")
            self.assertEqual((ran.returncode, ran.stdout), (3, b""))
            self.assertIn(address, ran.stderr.decode())


class WhatItSays(unittest.TestCase):
    def test_version(self) -> None:
        ran = support.run("--version")
        self.assertEqual((ran.returncode, ran.stderr), (0, b""))
        self.assertRegex(ran.stdout, rb"^\d+\.\d+\.\d+\n$")

    def test_help(self) -> None:
        program = support.run("--help")
        self.assertEqual((program.returncode, program.stderr), (0, b""))
        for part in "serve", "chat", "Exit codes", "Examples":
            self.assertIn(part, program.stdout.decode())
        command = support.run("serve", "--help")
        self.assertEqual((command.returncode, command.stderr), (0, b""))
        for part in "--listen", "127.0.0.1", "--port", "12345", "--web-port", "8080", "--drain", "--config", "Examples":
            self.assertIn(part, command.stdout.decode())

    def test_the_banner_of_a_hub_for_this_machine(self) -> None:
        with Hub() as hub:
            self.assertIn("for this machine only", hub.output.text())
            self.assertIn(f"http://127.0.0.1:{hub.web_port}/", hub.output.text())
            self.assertIn(f"coax chat 127.0.0.1:{hub.port} --nick NAME", hub.output.text())
            self.assertIn(f"nc 127.0.0.1 {hub.port}", hub.output.text())

    def test_the_banner_of_a_hub_for_others(self) -> None:
        for listen in "0.0.0.0", "::":
            with self.subTest(listen), Hub("--listen", listen) as hub:
                self.assertIn("for everybody who can reach this machine", hub.output.text())
                self.assertNotIn("this machine only", hub.output.text())
                with Http(hub.web_port) as client:  # its names are not known here: any Host is ours
                    client.send(b"GET /hub.json HTTP/1.1\r\nHost: hub.example\r\n\r\n")
                    self.assertEqual(json.loads(client.response().body)["tcp_port"], hub.port)

    def test_the_lines_of_the_banner_work(self) -> None:
        with Hub() as hub:
            line = hub.output.wait_for("  Python     ").removeprefix("  Python     ")
            names: dict[str, object] = {"socket": socket}
            exec(line, names)  # the text of our own program
            with names["s"] as client:
                client.settimeout(support.WAIT_S)
                received = b""
                while not received.endswith(b"NAME: hello\n"):
                    received += client.recv(100)
            line = hub.output.wait_for("  terminal   ").removeprefix("  terminal   coax ").replace("NAME", "bob")
            self.assertEqual(support.run(*line.split(), given=b"hi\n").returncode, 0)

    def test_signals(self) -> None:
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            with self.subTest(number), Hub() as hub, join(hub, "alice") as alice, Http(hub.web_port) as idle:
                idle.get("/hub.json")
                self.assertEqual(hub.stop(number), 0)
                self.assertEqual(alice.rest(), b"")
                self.assertIsNone(idle.response())

    def test_signals_without_a_meaning_are_ignored(self) -> None:
        with Hub() as hub, join(hub, "alice") as alice:
            for number in support.STRAY_SIGNALS:
                hub.send_signal(number)
                alice.send(f"{number}\n".encode())
                self.assertEqual(alice.line(), f"alice: {number}".encode())

    def test_a_hangup_drains_all_that_was_said(self) -> None:
        said = [b"alice: %d" % number for number in range(200)]
        with Hub() as hub, join(hub, "alice") as alice:
            alice.send(b"".join(line + b"\n" for line in said))
            self.assertEqual(alice.line(), said[0])
            self.assertEqual(hub.stop(signal.SIGHUP), 0)
            self.assertEqual(alice.rest().splitlines(), said[1:])

    def test_a_member_who_writes_on_does_not_delay_the_shutdown(self) -> None:
        with Hub("--drain", "90s") as hub, join(hub, "alice") as alice:
            ended = threading.Event()

            def write_on() -> None:
                with contextlib.suppress(ConnectionError):
                    while not ended.is_set():
                        alice.send(b"and on\n")
                        ended.wait(0.01)

            writer = threading.Thread(target=write_on)
            writer.start()
            try:
                self.assertEqual(alice.line(), b"alice: and on")
                self.assertEqual(hub.stop(), 0)  # WAIT_S is shorter than the time to drain
            finally:
                ended.set()
                writer.join()

    def test_signals_that_were_ignored_at_the_start_stay_so(self) -> None:  # by nohup, or by a script's shell
        for number in signal.SIGHUP, signal.SIGINT:
            hub = Hub(preexec_fn=lambda number=number: signal.signal(number, signal.SIG_IGN))
            with self.subTest(number), hub, join(hub, "alice") as alice:
                hub.send_signal(number)
                alice.send(b"x\n")
                self.assertEqual(alice.line(), b"alice: x")

    def test_standard_output_without_a_reader_is_no_end(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen([support.coax(), "serve", "--port", "0", "--listen", f"unix:{folder}/hub"],
                                       stdout=writing, stderr=subprocess.PIPE)
            os.close(writing)
            log = support.Output(process.stderr)
            try:
                log.wait_for("loops on")
                self.assertIsNone(process.poll())
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(support.WAIT_S), 1)  # the banner was lost
            finally:
                process.kill()
                process.wait()

    def test_a_second_signal_does_not_wait(self) -> None:
        with Hub("--drain", "60s", "--threads", "1") as hub, Http(hub.web_port) as client:
            client.send(b"GET / HTTP/1.1\r\n")  # the shutdown waits for the rest of it
            with Http(hub.web_port) as other:
                other.get("/")
            hub.begin_to_stop()
            self.assertIsNone(hub.process.poll())
            self.assertEqual(hub.stop(), -signal.SIGTERM)


if __name__ == "__main__":
    unittest.main(verbosity=2)
